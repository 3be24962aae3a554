import asyncio
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from label_studio_server import TOKEN, LabelStudioServer, label_studio

from pipelines.filter import filter_lake
from pipelines.generate import GenerateOptions, generate
from pipelines.parts import ModelOptions
from pipelines.recipe import parse_recipe
from pipelines.review.push import push
from pipelines.review.sampling import SampleOptions
from pipelines.review.server import ReviewServer
from toolkit.api import Lake, open_lake
from toolkit.cli.main import run
from toolkit.contracts import Passage
from toolkit.errors import InputError, RunError
from toolkit.retrieval.lexical import LexicalRetriever
from toolkit.tasks.minipedia import Minipedia

pytestmark = pytest.mark.service

WORLD = Minipedia(0, 400)
BOTH = 40
"""Trajectories that both annotators judge."""

Answer = tuple[str, str, str, dict[str, object]]
Review = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudioServer]:
    with label_studio(tmp_path_factory.mktemp("label-studio")) as running:
        yield running


@pytest.fixture(scope="module")
def second_token(server: LabelStudioServer) -> str:
    return server.sign_up("ben@example.org")


@pytest.fixture(scope="module")
def hundred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with a hundred graded trajectories of the oracle."""
    path = tmp_path_factory.mktemp("oracle") / "lake"
    options = GenerateOptions(ModelOptions("oracle", slips=0.4), ftp=False)
    retriever = LexicalRetriever.over(Passage(article.title, article.text) for article in WORLD.articles("train"))
    tasks = list(WORLD.tasks("train", limit=100))
    asyncio.run(generate(open_lake(path, create=True), tasks, options, retriever, run_kind="generate"))
    assert run(["score", "--lake", str(path), "--workers", "1"]) == 0
    return path


@pytest.fixture
def lake(hundred: Path, tmp_path: Path) -> Lake:
    """The hundred, for one test."""
    return open_lake(shutil.copytree(hundred, tmp_path / "lake"))


@pytest.fixture
def review(
    server: LabelStudioServer, lake: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Review:
    """Runs `toolkit review …` on the lake of this test and gives what it prints as JSON."""
    monkeypatch.setenv("LABEL_STUDIO_URL", server.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", TOKEN)

    def call(*arguments: str, code: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        assert run(["review", *arguments, "--lake", str(lake.path), "--json"]) == code, capsys.readouterr().err
        printed: dict[str, Any] = json.loads(capsys.readouterr().out)
        return printed

    return call


def tasks_of(server: LabelStudioServer, url: str) -> list[dict[str, Any]]:
    number = url.rstrip("/").rsplit("/", 1)[1]
    with server.user(TOKEN) as admin:
        export = f"/api/projects/{number}/export?exportType=JSON&download_all_tasks=true"
        tasks: list[dict[str, Any]] = admin.get(export).raise_for_status().json()
    return tasks


def choice(name: str, to_name: str, value: str) -> Answer:
    return name, to_name, "choices", {"choices": [value]}


def annotate(server: LabelStudioServer, token: str, task_id: int, answers: Sequence[Answer], change: int = 0) -> int:
    """Write an annotation as the user with `token`, or change the one numbered `change`; its number."""
    keys = ("from_name", "to_name", "type", "value")
    body = {"result": [dict(zip(keys, answer, strict=True)) for answer in answers]}
    with server.user(token) as user:
        if change:
            reply = user.patch(f"/api/annotations/{change}/", json=body)
        else:
            reply = user.post(f"/api/tasks/{task_id}/annotations/", json=body)
        return int(reply.raise_for_status().json()["id"])


def whole(accepted: bool) -> Answer:
    return choice("verdict", "question", "accepted" if accepted else "rejected")


def judge_all(server: LabelStudioServer, second_token: str, tasks: list[dict[str, Any]]) -> tuple[int, int]:
    """Two annotators judge the first tasks, the second one differently at every fifth; verdicts of each kind."""
    accepted = rejected = 0
    for place, task in enumerate(tasks[:BOTH]):
        right = "right by" in task["data"]["facts"]
        other = right != (place % 5 == 0)
        annotate(server, TOKEN, task["id"], [whole(right), choice("step_0", "code_0", "correct")])
        annotate(server, second_token, task["id"], [whole(other), choice("step_0", "code_0", "wrong")])
        accepted += right + other
        rejected += 2 - right - other
    return accepted, rejected


def test_a_hundred_trajectories_are_pushed_once_each_with_what_graders_say(
    server: LabelStudioServer, lake: Lake, review: Review
) -> None:
    planned = review("push", "--project", "hundred", "--dry-run")
    assert (planned["url"], planned["added"]) == (None, 100)
    some = review("push", "--project", "hundred", "--n", "30")
    assert (some["chosen"], some["added"]) == (30, 30)
    rest = review("push", "--project", "hundred")
    assert (rest["chosen"], rest["present"], rest["added"], rest["url"]) == (100, 30, 70, some["url"])
    assert review("push", "--project", "hundred")["added"] == 0

    tasks = tasks_of(server, rest["url"])
    ids = {row[0] for row in lake.sql("SELECT trajectory_id FROM trajectories").fetchall()}
    assert sorted(task["data"]["trajectory_id"] for task in tasks) == sorted(ids)
    with server.user(TOKEN) as admin:
        shown = {task["id"]: admin.get(f"/api/tasks/{task['id']}").json()["predictions"] for task in tasks[:10]}
    for task in tasks[:10]:
        [prediction] = shown[task["id"]]
        said = {answer["from_name"]: answer["value"] for answer in prediction["result"]}
        right = "right by" in task["data"]["facts"]
        assert said["verdict"] == {"choices": ["accepted" if right else "rejected"]}
        failed = [number for number, step in enumerate(task["data"]["steps"]) if "failed" in step["title"]]
        assert {name for name in said if name.startswith("step_")} == {f"step_{number}" for number in failed}


def test_personal_and_legacy_tokens_do_the_same(
    server: LabelStudioServer, review: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    personal = server.personal_token()
    assert personal.count(".") == 2
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", personal)
    assert review("push", "--project", "tokens", "--n", "5")["added"] == 5
    by_personal = review("status", "--project", "tokens")
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", TOKEN)
    assert review("push", "--project", "tokens", "--n", "5")["added"] == 0
    assert review("status", "--project", "tokens") == by_personal
    assert by_personal["tasks"] == 5


def test_words_of_two_annotators_are_pulled_measured_and_used_by_filter(
    server: LabelStudioServer, second_token: str, lake: Lake, review: Review
) -> None:
    tasks = tasks_of(server, review("push", "--project", "two")["url"])
    accepted, rejected = judge_all(server, second_token, tasks)
    status = review("status", "--project", "two")
    assert (status["tasks"], status["annotated"], status["twice"]) == (100, BOTH, BOTH)
    assert [(each["reviewer"], each["annotated"]) for each in status["people"]] == [
        ("ada@example.org", BOTH),
        ("ben@example.org", BOTH),
    ]

    pulled = review("pull", "--project", "two")
    assert pulled["reviews"] == {"new": 4 * BOTH, "changed": 0, "withdrawn": 0}
    wholes, steps = pulled["agreement"]
    # By hand: of 2 x 40 verdicts on wholes, 8 pairs differ. Chance would let accepted x rejected / 79 pairs differ.
    assert (wholes["units"], wholes["verdicts"]) == (BOTH, 2 * BOTH)
    assert wholes["alpha"] == pytest.approx(1 - 8 * 79 / (accepted * rejected))
    # On the steps all pairs differ: 1 - 40 / (40 x 40 / 79).
    assert steps["alpha"] == pytest.approx(1 - 79 / 40)
    for grader in pulled["graders"]:
        # Where the two disagree there is no majority, and elsewhere they say what the grader says.
        assert grader["agreement"] == 1.0
    assert sum(grader["units"] for grader in pulled["graders"]) == BOTH - 8

    kept = filter_lake(lake, parse_recipe("name: r\nsteps:\n  - review: {require: accepted}\n", "recipe"))
    right = sum("right by" in task["data"]["facts"] for place, task in enumerate(tasks[:BOTH]) if place % 5)
    assert kept.selection.n_kept == right


def test_pulling_again_writes_nothing_and_a_changed_annotation_changes_one_row(
    server: LabelStudioServer, lake: Lake, review: Review
) -> None:
    tasks = tasks_of(server, review("push", "--project", "again", "--n", "6")["url"])
    step = choice("step_0", "code_0", "correct")
    numbers = [annotate(server, TOKEN, task["id"], [whole(True), step]) for task in tasks]
    first = review("pull", "--project", "again")
    assert (first["reviews"]["new"], first["commit"]) == (12, lake.snapshot().number)
    assert review("pull", "--project", "again")["commit"] is None

    annotate(server, TOKEN, tasks[2]["id"], [whole(False), step], change=numbers[2])
    changed = review("pull", "--project", "again")
    assert changed["reviews"] == {"new": 0, "changed": 1, "withdrawn": 0}
    counted = lake.sql(
        "SELECT verdict, count(*) FROM reviews WHERE step_index IS NULL GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert counted == [("accepted", 5), ("rejected", 1)]
    assert lake.sql("SELECT count(*) FROM raw.reviews").fetchall() == [(13,)]

    annotate(server, TOKEN, tasks[2]["id"], [whole(False)], change=numbers[2])
    assert review("pull", "--project", "again")["reviews"] == {"new": 0, "changed": 0, "withdrawn": 1}
    with server.user(TOKEN) as admin:
        admin.delete(f"/api/annotations/{numbers[3]}/").raise_for_status()
    assert review("pull", "--project", "again")["reviews"] == {"new": 0, "changed": 0, "withdrawn": 2}
    assert review("pull", "--project", "again")["commit"] is None


def test_an_edited_action_becomes_a_trajectory_that_was_run(
    server: LabelStudioServer, lake: Lake, review: Review
) -> None:
    where = "stop_reason = 'final_answer' and not correct and domain = 'math'"
    [task, *_] = tasks_of(server, review("push", "--project", "edits", "--where", where)["url"])
    last = len(task["data"]["steps"]) - 1
    code = f"right = {task['data']['gold'].split(', ')[0]!r}\nfinal_answer(right)"
    answers = [whole(False), (f"edit_{last}", f"code_{last}", "textarea", {"text": [code]})]
    annotate(server, TOKEN, task["id"], answers)
    [edited] = review("pull", "--project", "edits")["edited"]
    assert edited["parent_id"] == task["data"]["trajectory_id"]
    assert (edited["parent_step"], edited["stop_reason"], edited["replay_differs"]) == (last, "final_answer", [])
    assert run(["score", "--lake", str(lake.path), "--workers", "1"]) == 0
    row = lake.sql(f"""
        SELECT t.source, t.correct, s.code FROM trajectories_scored t JOIN steps s USING (trajectory_id)
        WHERE trajectory_id = '{edited["trajectory_id"]}' AND s.is_final""").fetchall()
    assert row == [("edited", True, code)]
    assert review("pull", "--project", "edits")["commit"] is None


def test_a_server_killed_in_mid_push_has_every_task_once_after_the_next_push(
    server: LabelStudioServer, lake: Lake
) -> None:
    raised: list[Exception] = []

    def push_all() -> None:
        try:
            with ReviewServer(server.url, TOKEN) as client:
                push(lake, client, "killed", SampleOptions(), batch_tasks=2)
        except Exception as error:
            raised.append(error)

    pushing = threading.Thread(target=push_all)
    pushing.start()
    try:
        with server.user(TOKEN) as admin:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                found = [one for one in admin.get("/api/projects/").json()["results"] if one["title"] == "killed"]
                if found and found[0]["task_number"] >= 10:
                    break
        server.kill()
        pushing.join(timeout=60)
    finally:
        server.start()
    [error] = raised
    assert isinstance(error, RunError)
    assert "of 100 tasks were sent; the same command sends the others" in str(error)

    with ReviewServer(server.url, TOKEN) as client:
        project = client.need("killed", lake.identity.id)
        before = len(client.tasks(project))
        assert 10 <= before < 100
        pushed = push(lake, client, "killed", SampleOptions())
        assert (pushed.present, pushed.added) == (before, 100 - before)
        tasks = client.tasks(project)
    assert len({task["data"]["trajectory_id"] for task in tasks}) == len(tasks) == 100
    assert all(task["total_predictions"] == 1 for task in tasks)


def test_what_the_server_refuses_is_explained(
    server: LabelStudioServer, lake: Lake, review: Review, tmp_path: Path
) -> None:
    url = review("push", "--project", "taken", "--n", "1")["url"]
    mine, other = lake.identity.id, open_lake(tmp_path / "other", create=True).identity.id

    def refused(title: str, lake_id: str = mine, *, url: str = server.url, token: str = TOKEN) -> str:
        with pytest.raises((InputError, RunError)) as caught, ReviewServer(url, token) as client:
            client.need(title, lake_id)
        return str(caught.value)

    assert "refuses the token in LABEL_STUDIO_API_KEY" in refused("taken", token="f" * 40)
    assert "knows no such address" in refused("taken", url=f"{server.url}/elsewhere")
    assert f"there is no project 'none' on {server.url}; `toolkit review push` makes it" in refused("none")
    assert f"is for the lake {mine}, this lake is {other}" in refused("taken", other)
    page = '<View><Text name="question" value="$question"/></View>'
    with server.user(TOKEN) as admin:
        number = url.rstrip("/").rsplit("/", 1)[1]
        admin.patch(f"/api/projects/{number}/", json={"label_config": page}).raise_for_status()
        admin.post("/api/projects/", json={"title": "foreign", "label_config": page}).raise_for_status()
    assert "has another labelling page" in refused("taken")
    assert "was not made by `toolkit review push`" in refused("foreign")
