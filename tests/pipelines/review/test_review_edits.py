import asyncio
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.generate import GenerateOptions, generate
from pipelines.parts import ModelOptions
from pipelines.review.annotations import read_tasks
from pipelines.review.cards import card
from pipelines.review.pull import Pulled, take_in
from schemas import Task
from schemas.identity import derive_id
from toolkit.api import Lake, open_lake
from toolkit.contracts import Tool
from toolkit.lake.records import TrajectoryRecord, read_records
from toolkit.tools import load_tools

QUESTION = "How many people live in Arda and Bel together?"
TOOLS = '''
from toolkit.tools import tool

@tool
def people(town: str, year: int = 2020) -> int:
    """Number of people in a town."""
    with open({log!r}, "a") as log:
        log.write(town + "\\n")
    return {{"Arda": 1200, "Bel": 34, "Cor": 5}}[town]

@tool(effect="write")
def publish(text: str) -> str:
    """Publish a text."""
    with open({log!r}, "a") as log:
        log.write("PUBLISHED\\n")
    return "done"
'''
TURNS = [
    "first = people('Arda')\nprint(first)",
    "second = people('Bel', year=2020)\nprint(first - second)",
    "final_answer(first - second)",
]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with tools, the file to which they write, and a lake with one rollout."""
    home = tmp_path_factory.mktemp("towns")
    (home / "tools.py").write_text(TOOLS.format(log=str(home / "called")))
    turns = [f"Thought: step {index}\nCode:\n```py\n{code}\n```" for index, code in enumerate(TURNS)]
    (home / "script.json").write_text(json.dumps(turns))
    task = Task(
        task_id=derive_id("task", QUESTION), dataset="towns", question=QUESTION, answers=["1234"], domain="math"
    )
    model = ModelOptions(f"scripted:{home / 'script.json'}")
    options = GenerateOptions(model, ftp=False, tools=(home / "tools.py",))
    asyncio.run(generate(open_lake(home / "lake", create=True), [task], options, None, run_kind="generate"))
    return home


@pytest.fixture
def lake(made: Path, tmp_path: Path) -> Lake:
    return open_lake(shutil.copytree(made / "lake", tmp_path / "lake"))


@pytest.fixture
def called(made: Path) -> Path:
    """The file to which tools write that they were called."""
    return made / "called"


@pytest.fixture
def tools(made: Path) -> dict[str, Tool]:
    return load_tools(made / "tools.py")


def record_of(lake: Lake, trajectory_id: str | None = None) -> TrajectoryRecord:
    which = f"trajectory_id = '{trajectory_id}'" if trajectory_id else "source = 'generated'"
    [record] = read_records(lake.snapshot().connect(), f"SELECT trajectory_id FROM trajectories WHERE {which}")
    return record


def export(lake: Lake, answers: dict[str, Any], *, minutes: int = 0, people: tuple[int, ...] = (1,)) -> list[Any]:
    """The task of the rollout as the server would export it, with the same words of some people."""
    result = [{"from_name": name, "value": value} for name, value in answers.items()]
    when = (NOW + timedelta(minutes=minutes)).isoformat()
    words = [{"id": who, "completed_by": who, "updated_at": when, "result": result} for who in people]
    return [{"id": 1, "data": card(record_of(lake), lake.identity.id, None), "annotations": words}]


def take(lake: Lake, tasks: list[Any], tools: dict[str, Tool] | None = None, *, dry_run: bool = False) -> Pulled:
    read = read_tasks(tasks, {1: "ada", 2: "ben"}, lake_id=lake.identity.id, project="p")
    return asyncio.run(take_in(lake, read, "p", tools or {}, source="test", dry_run=dry_run))


def edit(step: int, code: str) -> dict[str, Any]:
    return {f"edit_{step}": {"text": [code]}}


def test_an_edit_runs_on_the_state_before_it_and_the_later_actions_run_again(lake: Lake, called: Path) -> None:
    before = called.read_text()
    pulled = take(lake, export(lake, edit(1, "second = -people('Bel', year=2020)\nprint('so far', first - second)")))
    [edited] = pulled.edited
    assert edited.differs == []
    row, parent = edited.trajectory, record_of(lake)
    assert (row.source, row.parent_id, row.parent_step) == ("edited", parent.trajectory.trajectory_id, 1)
    assert (row.stop_reason, row.final_answer, row.n_steps, row.n_tool_calls) == ("final_answer", "1234", 3, 2)
    stored = record_of(lake, row.trajectory_id)
    assert [step.code for step in stored.steps] == [TURNS[0], edited.steps[1].code, TURNS[2]]
    assert [step.observation for step in stored.steps] == ["1200", "so far 1234", None]
    assert stored.steps[1].completion.startswith("Thought: step 1\nCode:\n```py\nsecond = -people")
    assert [json.loads(call.arguments) for call in stored.tool_calls] == [
        {"town": "Arda"},
        {"town": "Bel", "year": 2020},
    ]
    assert row.content_hash != parent.trajectory.content_hash
    # All results were recorded: no tool was called.
    assert called.read_text() == before


def test_an_edit_that_answers_ends_the_trajectory_and_one_that_fails_shows_its_error(lake: Lake) -> None:
    [short] = take(lake, export(lake, edit(1, "final_answer(first + 34)"))).edited
    assert (short.trajectory.final_answer, len(short.steps)) == ("1234", 2)
    [broken] = take(lake, export(lake, edit(1, "print(nothing)"), minutes=1)).edited
    assert (broken.steps[1].error_kind, broken.trajectory.execution_errors) == ("execution", 2)
    assert "NameError" in str(broken.steps[1].observation)
    assert (broken.trajectory.stop_reason, broken.trajectory.final_answer) == ("error", None)


def test_two_edits_of_one_person_make_one_trajectory_and_equal_edits_of_two_people_too(lake: Lake) -> None:
    both = edit(0, "first = 1") | edit(2, "final_answer(first)")
    pulled = take(lake, export(lake, both, people=(1, 2)))
    assert (pulled.new, len(pulled.edited)) == (4, 1)
    assert pulled.edited[0].trajectory.parent_step == 0
    assert pulled.edited[0].trajectory.final_answer == "1"


def test_a_call_that_was_never_made_needs_the_tool_and_a_later_pull_with_it_tries_again(
    lake: Lake, tools: dict[str, Tool], called: Path
) -> None:
    tasks = export(lake, edit(1, "second = people('Cor')\nprint(first - second)"))
    before = called.read_text()
    [edited] = take(lake, tasks).edited
    assert "ToolNotAvailableError: people is not here" in str(edited.steps[1].observation)
    assert take(lake, tasks).commit is None

    [again] = take(lake, tasks, tools).edited
    assert again.trajectory.trajectory_id == edited.trajectory.trajectory_id
    assert (again.trajectory.attempt, again.trajectory.final_answer) == (1, "1195")
    assert called.read_text() == before + "Cor\n"
    assert take(lake, tasks, tools).commit is None


def test_a_tool_that_writes_is_never_called_in_a_review(lake: Lake, tools: dict[str, Tool], called: Path) -> None:
    [edited] = take(lake, export(lake, edit(1, "print(publish('news'))")), tools).edited
    assert "ToolNotAvailableError: publish is a tool that writes" in str(edited.steps[1].observation)
    assert "PUBLISHED" not in called.read_text()


def test_pulling_again_with_tools_repeats_no_edit_that_they_cannot_help(
    lake: Lake, tools: dict[str, Tool], called: Path
) -> None:
    writes = export(lake, edit(1, "print(publish('news'))"))
    absent = export(lake, edit(1, "print(people('Cor'))"), minutes=1)
    assert len(take(lake, writes, tools).edited) == 1
    assert take(lake, writes, tools).commit is None
    only_publish = {"publish": tools["publish"]}
    assert len(take(lake, absent, only_publish).edited) == 1
    assert take(lake, absent, only_publish).commit is None
    assert "PUBLISHED" not in called.read_text()


def test_an_edit_behind_a_step_that_lacked_its_tool_is_run_once(lake: Lake, tools: dict[str, Tool]) -> None:
    [first] = take(lake, export(lake, edit(1, "print(people('Cor'))"))).edited
    parent = record_of(lake, first.trajectory.trajectory_id)
    result = [{"from_name": "edit_2", "value": {"text": ["final_answer(people('Cor'))"]}}]
    words = [{"id": 1, "completed_by": 1, "updated_at": NOW.isoformat(), "result": result}]
    tasks = [{"id": 2, "data": card(parent, lake.identity.id, None), "annotations": words}]
    # The recorded failure of the call says nothing about what the tool, which is here now, answers.
    edited = next(each for each in take(lake, tasks, tools).edited if each.trajectory.parent_step == 2)
    assert (edited.trajectory.final_answer, edited.differs) == ("5", [])
    assert "people is not here" in str(edited.steps[1].observation)
    assert take(lake, tasks, tools).commit is None


def test_a_past_that_comes_out_otherwise_is_told(lake: Lake) -> None:
    record = record_of(lake)
    with lake.write("test") as batch:
        changed = [step.model_copy(update={"attempt": 1}) for step in record.steps]
        changed[0] = changed[0].model_copy(update={"observation": "it was another number then"})
        calls = [call.model_copy(update={"attempt": 1}) for call in record.tool_calls]
        batch.add([record.trajectory.model_copy(update={"attempt": 1}), *changed, *calls])
    [edited] = take(lake, export(lake, edit(2, "final_answer(first)"))).edited
    assert edited.differs == [0]
    assert json.loads(str(edited.trajectory.metadata))["replay_differs"] == [0]
    assert edited.steps[0].observation == "it was another number then"


@pytest.mark.parametrize(
    ("code", "finding"),
    [("x = 1\n```\ny = 2", "cannot say this turn"), ("print('```py')\n```\n", "cannot say this turn")],
)
def test_code_that_no_turn_can_hold_is_reported_and_the_words_are_kept(lake: Lake, code: str, finding: str) -> None:
    pulled = take(lake, export(lake, edit(1, code) | {"verdict": {"choices": ["rejected"]}}))
    assert (pulled.new, pulled.edited) == (2, [])
    [fault] = pulled.faults
    assert finding in fault
    assert "edit by ada" in fault


def test_pulling_again_changes_nothing_and_a_change_is_one_row(lake: Lake) -> None:
    words = {"verdict": {"choices": ["accepted"]}, "step_0": {"choices": ["correct"]}, "comment": {"text": ["fine"]}}
    first = take(lake, export(lake, words))
    assert (first.new, first.commit) == (2, lake.snapshot().number)
    # Saved again without a change: the time alone is no news.
    assert take(lake, export(lake, words, minutes=5)).commit is None
    changed = take(lake, export(lake, words | {"verdict": {"choices": ["unsure"]}}, minutes=-5))
    assert (changed.new, changed.changed, changed.withdrawn) == (0, 1, 0)
    assert lake.sql("SELECT verdict, comment FROM reviews WHERE step_index IS NULL").fetchall() == [("unsure", "fine")]


def test_a_word_that_is_taken_back_is_a_row_without_one_and_a_task_that_is_gone_takes_nothing_back(lake: Lake) -> None:
    words = {"verdict": {"choices": ["accepted"]}, "rating": {"rating": 1}}
    tasks = export(lake, words)
    take(lake, tasks)
    assert lake.sql("SELECT rating FROM reviews").fetchall() == [(0.0,)]
    assert take(lake, []).commit is None
    tasks[0]["annotations"] = []
    assert take(lake, tasks).withdrawn == 1
    assert take(lake, tasks).commit is None
    assert lake.sql("SELECT verdict, rating FROM reviews").fetchall() == [(None, None)]
    assert take(lake, export(lake, words)).changed == 1


def test_words_that_cannot_be_read_any_more_are_not_taken_back(lake: Lake) -> None:
    take(lake, export(lake, {"verdict": {"choices": ["accepted"]}}))
    pulled = take(lake, export(lake, {"verdict": {"choices": ["perhaps"]}}, minutes=1))
    assert (len(pulled.faults), pulled.withdrawn, pulled.commit) == (1, 0, None)
    assert lake.sql("SELECT verdict FROM reviews").fetchall() == [("accepted",)]


def test_words_on_a_trajectory_that_was_tried_again_are_left_out_and_counted(lake: Lake) -> None:
    tasks = export(lake, {"verdict": {"choices": ["accepted"]}})
    record = record_of(lake)
    with lake.write("test") as batch:
        batch.add([record.trajectory.model_copy(update={"attempt": 1})])
    pulled = take(lake, tasks)
    assert (pulled.outdated, pulled.new, pulled.commit) == (1, 0, None)


def test_a_dry_run_writes_and_runs_nothing(lake: Lake) -> None:
    before = lake.snapshot().number
    pulled = take(lake, export(lake, edit(1, "final_answer(0)")), dry_run=True)
    assert (pulled.new, pulled.edits, pulled.edited, pulled.commit) == (1, 1, [], None)
    assert lake.snapshot().number == before


def test_the_run_that_pulled_is_recorded(lake: Lake) -> None:
    [edited] = take(lake, export(lake, edit(1, "final_answer(0)"))).edited
    rows = lake.sql("SELECT run_id, kind, finished_at IS NOT NULL FROM runs WHERE kind = 'review'").fetchall()
    assert rows == [(edited.trajectory.run_id, "review", True)]
