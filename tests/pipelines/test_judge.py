"""`toolkit judge` as one types it, against a server that answers under schemas and fails on demand."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from episodes import Fill, episode
from simulated_server import Manners, SimulatedServer, answers, breaks_off, served

from pipelines.filter import filter_lake
from pipelines.recipe import parse_recipe
from toolkit.cli.main import run
from toolkit.formats.parsed import ParsedTrajectory

ASKED = re.compile(r"<(reference|answer)>\n(.*?)\n</\1>", re.DOTALL)
Judge = Callable[..., tuple[int, dict[str, Any], str]]


def contents(server: SimulatedServer) -> list[str]:
    """What was judged, looking around left out."""
    return [body["messages"][1]["content"] for body in server.bodies if len(body["messages"]) > 1]


def contains(body: dict[str, Any]) -> dict[str, str]:
    """A judge of facts: equivalent if the answer contains a reference."""
    parts = ASKED.findall(body["messages"][1]["content"])
    answer = next(text for name, text in parts if name == "answer")
    same = any(text.lower() in answer.lower() for name, text in parts if name == "reference")
    return {"reason": "it is in it" if same else "it is not", "verdict": "equivalent" if same else "different"}


def people(count: int, **more: Any) -> list[ParsedTrajectory]:
    """Episodes whose every second answer is another wording of the gold answer, and every other one is wrong."""
    return [
        episode(f"Who is {index}?", f"It is P{index}" if index % 2 else "nobody", gold=[f"P{index}"], **more)
        for index in range(count)
    ]


@pytest.fixture
def judge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Judge:
    """Runs the command on the lake of this test; exit code, document, what was said."""

    def call(rubric: str, *more: object, json_out: bool = True) -> tuple[int, dict[str, Any], str]:
        arguments = ["judge", rubric, "--lake", tmp_path / "lake", *more, *(["--json"] if json_out else [])]
        code = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, json.loads(out) if out.startswith("{") else {"text": out}, " ".join(err.split())

    return call


def test_a_verdict_is_a_score_that_says_by_whom_and_by_which_rubric(fill: Fill, judge: Judge) -> None:
    lake = fill(people(4))
    with served(SimulatedServer(answers=contains)) as url:
        code, report, _ = judge("factual", "--model", "openai:tiny", "--base-url", url)
    assert (code, report["judged"]) == (0, 4)
    rows = lake.sql("SELECT question, judge_factual FROM trajectories_scored ORDER BY 1").fetchall()
    assert rows == [("Who is 0?", False), ("Who is 1?", True), ("Who is 2?", False), ("Who is 3?", True)]
    ((scorer, step, value, passed, details),) = lake.sql("""
        SELECT scorer, step_index, value, passed, details FROM scores JOIN trajectories_scored USING (trajectory_id)
        WHERE question = 'Who is 1?'""").fetchall()
    assert (scorer, step, value, passed) == (report["scorer"], None, 1.0, True)
    found = json.loads(details)
    assert {name: found[name] for name in ("verdict", "reason", "model", "rubric", "rubric_version")} == {
        "verdict": "equivalent",
        "reason": "it is in it",
        "model": "tiny",
        "rubric": "factual",
        "rubric_version": "1",
    }
    assert found["prompt_tokens"] > 500
    ((text,),) = lake.sql(f"SELECT text FROM prompts WHERE prompt_hash = '{found['rubric_hash']}'").fetchall()
    assert text.startswith("You compare answers")


def test_judging_again_asks_nothing_and_new_trajectories_are_judged_alone(fill: Fill, judge: Judge) -> None:
    fill(people(4))
    server = SimulatedServer(answers=contains)
    with served(server) as url:
        options = ("--model", "openai:tiny", "--base-url", url)
        assert judge("factual", *options)[1]["judged"] == 4
        before = len(server.bodies)
        code, report, _ = judge("factual", *options)
        assert (code, report["judged"], report["all_verdicts"]) == (0, 0, {"different": 2, "equivalent": 2})
        # Not even what the server can do is tried.
        assert len(server.bodies) == before
        fill(people(6)[4:], start=5)
        assert judge("factual", *options)[1]["judged"] == 2
    assert len(contents(server)) == 6


def test_equal_content_is_paid_for_once_at_the_same_time_and_later(fill: Fill, judge: Judge) -> None:
    for dataset in ("one", "two", "three"):
        lake = fill(people(3), dataset=dataset)
    server = SimulatedServer(answers=contains, delay_s=0.05)
    with served(server) as url:
        options = ("--model", "openai:tiny", "--base-url", url)
        code, report, _ = judge("factual", *options, "--in-flight", 9)
        assert (code, report["judged"], report["copied"]) == (0, 9, 6)
        fill(people(3), dataset="four")
        assert judge("factual", *options)[1]["copied"] == 3
    assert len(contents(server)) == len(set(contents(server))) == 3
    assert lake.sql("SELECT count(*) FROM scores WHERE passed").fetchall() == [(4,)]
    paid = "SELECT count(*) FROM scores WHERE details->>'prompt_tokens' IS NOT NULL"
    assert lake.sql(paid).fetchall() == [(3,)]


def test_another_model_and_another_rubric_are_judges_of_their_own(fill: Fill, judge: Judge, tmp_path: Path) -> None:
    lake = fill(people(2))
    own = tmp_path / "strict.md"
    own.write_text("Say different unless they are equal, letter by letter.")
    server = SimulatedServer(answers=contains)
    with served(server) as url:
        for model in ("tiny", "tiny-adapted"):
            assert judge("factual", "--model", f"openai:{model}", "--base-url", url)[1]["judged"] == 2
        code, report, _ = judge("factual", "--model", "openai:tiny", "--base-url", url, "--rubric-file", own)
    assert (code, report["judged"]) == (0, 2)
    assert "@own-" in report["scorer"]
    assert server.bodies[-1]["messages"][0]["content"] == own.read_text()
    assert lake.sql("SELECT count(DISTINCT scorer), count(*) FROM scores").fetchall() == [(3, 6)]


def test_each_step_is_judged_and_recipes_mask_and_drop_by_it(fill: Fill, judge: Judge) -> None:
    lake = fill([episode("Who?", searches=2), episode("Where?", searches=1)])

    def wrong_searches(body: dict[str, Any]) -> dict[str, str]:
        judged = body["messages"][1]["content"].partition("The step to judge:")[2]
        return {"reason": "r", "verdict": "wrong" if "search[Who? 1]" in judged else "correct"}

    with served(SimulatedServer(answers=wrong_searches)) as url:
        assert judge("step", "--model", "openai:tiny", "--base-url", url)[1]["judged"] == 5
    rows = lake.sql(
        "SELECT step_index, judge_step FROM steps_scored JOIN trajectories USING (trajectory_id) "
        "WHERE n_steps = 3 ORDER BY 1"
    ).fetchall()
    assert rows == [(0, True), (1, False), (2, True)]
    counts = lake.sql("SELECT question, judge_wrong_steps FROM trajectories_scored ORDER BY 1").fetchall()
    assert counts == [("Where?", 0), ("Who?", 1)]
    filter_lake(lake, parse_recipe("name: masked\nsteps:\n  - mask_steps: judge_step = false\n", "r"))
    assert lake.sql("SELECT step_index, weight FROM step_weights WHERE selection = 'masked'").fetchall() == [(1, 0.0)]
    outcome = filter_lake(lake, parse_recipe("name: clean\nsteps:\n  - where: judge_wrong_steps = 0\n", "r"))
    assert outcome.selection.n_kept == 1


def test_rollouts_are_rated_and_only_those_that_are_chosen(fill: Fill, judge: Judge) -> None:
    lake = fill([episode(f"q{index}", searches=index % 3) for index in range(9)])
    filter_lake(lake, parse_recipe('name: some\nsteps:\n  - where: "n_steps > 1"\n', "r"))
    server = SimulatedServer(answers=lambda body: {"reason": "r", "verdict": "accepted", "rating": "4"})
    with served(server) as url:
        options = ("--model", "openai:tiny", "--base-url", url, "--selection", "some", "--where", "n_steps = 2")
        # Twice the same limit is the same three trajectories.
        assert [judge("rollout", *options, "--limit", 2)[1]["judged"] for _ in range(2)] == [2, 0]
        assert judge("rollout", *options)[1]["judged"] == 1
    rows = lake.sql(
        "SELECT n_steps, judge_rollout, judge_rating FROM trajectories_scored WHERE judge_rollout"
    ).fetchall()
    assert rows == [(2, True, 0.75)] * 3


def test_no_more_requests_are_in_flight_than_allowed(fill: Fill, judge: Judge) -> None:
    fill(people(12))
    server = SimulatedServer(answers=contains, delay_s=0.02)
    with served(server) as url:
        assert judge("factual", "--model", "openai:tiny", "--base-url", url, "--in-flight", 3)[0] == 0
    assert server.most_in_flight == 3


def test_what_a_busy_server_drops_is_asked_again_and_ends_well(fill: Fill, judge: Judge) -> None:
    lake = fill(people(3))
    dropped: list[dict[str, Any]] = []
    server = SimulatedServer(answers=contains)

    def busy_once(body: dict[str, Any]) -> dict[str, str]:
        if not dropped:
            dropped.append(body)
            server.faults += [answers(503), breaks_off]
        return contains(body)

    server.answers = busy_once
    with served(server) as url:
        code, report, _ = judge("factual", "--model", "openai:tiny", "--base-url", url, "--in-flight", 1)
    assert (code, report["judged"], server.faults) == (0, 3, [])
    assert len(contents(server)) == 5
    assert lake.sql("SELECT count(*) FROM scores").fetchall() == [(3,)]


def test_a_refused_case_is_told_and_the_next_call_asks_for_it_alone(fill: Fill, judge: Judge) -> None:
    lake = fill(people(4))
    server = SimulatedServer(answers=contains, refuses=("Who is 2?", 400))
    with served(server) as url:
        options = ("--model", "openai:tiny", "--base-url", url)
        code, report, _ = judge("factual", *options)
        assert (code, report["judged"], sum(report["failed"].values())) == (1, 3, 1)
        assert "HTTP 400" in next(iter(report["failed"]))
        server.refuses = None
        server.bodies.clear()
        assert judge("factual", *options)[0] == 0
    assert [content for content in contents(server) if "Who is 2?" not in content] == []
    assert lake.sql("SELECT count(*) FROM scores").fetchall() == [(4,)]


def test_a_revoked_key_ends_the_command_and_keeps_what_was_judged(fill: Fill, judge: Judge) -> None:
    lake = fill(people(4))
    last = lake.sql("SELECT max_by(question, trajectory_id) FROM trajectories_scored").fetchall()[0][0]
    server = SimulatedServer(answers=contains, refuses=(last, 401))
    with served(server) as url:
        code, _, said = judge("factual", "--model", "openai:tiny", "--base-url", url, "--in-flight", 1)
    assert code == 2
    assert "refused the API key" in said
    assert lake.sql("SELECT count(*) FROM scores").fetchall() == [(3,)]


def test_an_answer_that_was_cut_off_is_no_verdict_and_is_paid_for_once(fill: Fill, judge: Judge) -> None:
    lake = fill(people(2))
    server = SimulatedServer(answers=lambda body: {"reason": "r" * 100, "verdict": "equivalent"})
    with served(server) as url:
        options = ("--model", "openai:tiny", "--base-url", url)
        for _ in range(2):
            code, report, _ = judge("factual", *options, "--completion-tokens", 60)
            assert (code, report["judged"], sum(report["unreadable"].values())) == (1, 0, 2)
            assert "cut off after 60 tokens; --completion-tokens allows more" in report["unreadable"]
        assert len(contents(server)) == 2
        assert judge("factual", *options)[1]["judged"] == 2
    assert lake.sql("SELECT count(*) FROM scores WHERE passed").fetchall() == [(2,)]
    assert list((lake.path / "journal").iterdir()) == []


def test_a_budget_stops_the_asking_and_counts_earlier_calls(fill: Fill, judge: Judge) -> None:
    lake = fill(people(10))
    server = SimulatedServer(answers=contains)
    with served(server) as url:
        options = ("--model", "openai:tiny", "--base-url", url, "--in-flight", 1)
        assert judge("factual", *options, "--limit", 2)[0] == 0
        query = "SELECT sum((details->>'prompt_tokens')::INT + (details->>'completion_tokens')::INT) FROM scores"
        spent = int(lake.sql(query).fetchall()[0][0])
        code, report, _ = judge("factual", *options, "--max-tokens", spent * 2)
        assert (code, report["judged"]) == (1, 2)
        assert f"--max-tokens is {spent * 2:,}" in report["out_of_budget"]
        assert judge("factual", *options, "--max-tokens", spent * 20)[0] == 0
    assert len(contents(server)) == 10


def test_a_dry_run_asks_nothing_and_foresees_the_calls(fill: Fill, judge: Judge) -> None:
    fill(people(5))
    fill(people(5), dataset="again")
    server = SimulatedServer(answers=contains)
    with served(server) as url:
        options = ("--model", "openai:tiny", "--base-url", url)
        judge("factual", *options, "--limit", 3)
        server.bodies.clear()
        prices = ("--price-in", 1, "--price-out", 10)
        code, found, _ = judge("factual", *options, *prices, "--dry-run")
        assert (code, server.bodies) == (0, [])
        assert (found["judgements"], found["done"]) == (10, 3)
        assert found["equal"] + found["calls"] == 7
        assert found["cost_usd"] == pytest.approx((round(found["read"]) + 10 * round(found["written"])) / 1e6)
        judge("factual", *options)
    assert len(contents(server)) == found["calls"]
    # One character is a token of this server's; the forecast takes four of them for one.
    sent = sum(len(message["content"]) for body in server.bodies for message in body["messages"] if len(body) > 5)
    assert 4 * found["read"] <= sent


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        (["factual", "--model", "hf:tiny"], "expected openai:MODEL or scripted:FILE as a judge"),
        (["factual", "--model", "oracle"], "expected openai:MODEL or scripted:FILE as a judge"),
        (["facts", "--model", "openai:tiny"], "facts"),
        (["factual", "--model", "openai:tiny", "--logprobs"], "--logprobs is for rollouts"),
        (["factual", "--model", "openai:tiny", "--in-flight", "0"], "--in-flight must be at least 1"),
        (["factual", "--model", "openai:tiny", "--limit", "0"], "--limit must be at least 1"),
        (["factual", "--model", "openai:tiny", "--max-cost", "1"], "--price-in and --price-out"),
        (["factual", "--model", "openai:tiny", "--where", "wrong"], "wrong"),
        (["factual", "--model", "openai:tiny", "--where", "final_answer::int = 5"], "'final_answer::int = 5' does not"),
        (["factual", "--model", "openai:tiny", "--where", "final_answer::int = 5", "--dry-run"], "Conversion Error"),
        (["factual", "--model", "openai:tiny", "--selection", "none"], "none"),
        (["factual", "--model", "openai:tiny", "--rubric-file", "nowhere.md"], "nowhere.md"),
        (["factual", "--model", "openai:tiny"], "no schemas here"),
    ],
)
def test_what_cannot_be_done_is_named_before_anything_is_asked(
    options: list[str], finding: str, fill: Fill, judge: Judge
) -> None:
    lake = fill(people(2))
    server = SimulatedServer(Manners(schemas="ignored", says="no schemas here"))
    with served(server) as url:
        served_there = ["--base-url", url] if "openai:tiny" in options else []
        code, _, said = judge(*options, *served_there)
    assert code == 2
    assert finding in said
    assert contents(server) == []
    assert lake.sql("SELECT count(*) FROM scores").fetchall() == [(0,)]


def start(url: str, lake: Path) -> subprocess.Popen[str]:
    options = ["--model", "openai:tiny", "--base-url", url, "--in-flight", "2", "--json"]
    command = [sys.executable, "-m", "toolkit.cli", "judge", "factual", *options, "--lake", str(lake)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def wait_for(server: SimulatedServer, count: int) -> None:
    deadline = time.monotonic() + 60
    while len(contents(server)) < count and time.monotonic() < deadline:
        time.sleep(0.01)


def test_a_killed_judge_goes_on_and_no_recorded_answer_is_asked_for_again(fill: Fill, judge: Judge) -> None:
    lake = fill(people(20))
    server = SimulatedServer(answers=contains, delay_s=0.05)
    with served(server) as url:
        with start(url, lake.path) as process:
            wait_for(server, 8)
            process.kill()
        asked = len(contents(server))
        assert 8 <= asked < 20
        # Nothing was committed yet: all that is known is in the journal.
        assert lake.sql("SELECT count(*) FROM scores").fetchall() == [(0,)]
        code, report, _ = judge("factual", "--model", "openai:tiny", "--base-url", url)
    assert (code, report["judged"]) == (0, 20)
    # What was on its way when the process died is asked for again, nothing else.
    assert asked - 2 <= report["replayed"] <= asked
    assert len(contents(server)) == asked + 20 - report["replayed"]


def test_an_interrupted_judge_keeps_what_was_in_flight_and_goes_on(fill: Fill, judge: Judge) -> None:
    lake = fill(people(20))
    server = SimulatedServer(answers=contains, delay_s=0.1)
    with served(server) as url:
        with start(url, lake.path) as process:
            wait_for(server, 4)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=60)
        report = json.loads(out)
        asked = len(contents(server))
        assert (process.returncode, report["interrupted"], report["judged"]) == (1, True, asked)
        assert asked < 20
        assert lake.sql("SELECT count(*) FROM scores").fetchall() == [(asked,)]
        code, report, _ = judge("factual", "--model", "openai:tiny", "--base-url", url)
    assert (code, report["judged"]) == (0, 20 - asked)
    assert len(contents(server)) == 20


def test_a_script_judges_for_examples_and_what_is_no_json_is_told(fill: Fill, judge: Judge, tmp_path: Path) -> None:
    fill(people(2))
    script = tmp_path / "script.json"
    script.write_text(json.dumps(['{"reason": "r", "verdict": "unsure"}', "I think so."]))
    code, report, _ = judge("factual", "--model", f"scripted:{script}", "--in-flight", 1)
    assert (code, report["verdicts"]) == (1, {"unsure": 1})
    assert "got 'I think so.'" in next(iter(report["unreadable"]))


def test_the_summary_for_people_says_what_was_judged_and_what_comes_next(fill: Fill, judge: Judge) -> None:
    fill(people(2))
    with served(SimulatedServer(answers=contains)) as url:
        options = ("--model", "openai:tiny", "--base-url", url)
        _, told, said = judge("factual", *options, "--dry-run", json_out=False)
        assert "calls to make" in told["text"]
        assert "2 judgements on 2 trajectories; 2 calls would take about" in said
        _, told, said = judge("factual", *options, json_out=False)
    assert "equivalent" in told["text"]
    assert "2 judged as judge.factual.tiny@1-" in said
    assert "next: toolkit agreement" in said


def test_a_judge_is_a_stage_of_a_run_recipe(fill: Fill, tmp_path: Path) -> None:
    lake = fill(people(2))
    recipe = tmp_path / "road.yaml"
    with served(SimulatedServer(answers=contains)) as url:
        judged = f"{{rubric: factual, model: 'openai:tiny', base_url: '{url}', where: 'correct is null'}}"
        recipe.write_text(f"name: road\nstages:\n  - judge: {judged}\n")
        assert run(["run", str(recipe), "--lake", str(lake.path)]) == 0
    assert lake.sql("SELECT count(*) FROM scores").fetchall() == [(2,)]
