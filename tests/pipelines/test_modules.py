"""`--modules`: what code may import besides the usual, in a rollout and whenever its actions run again."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines.generate import GenerateOptions, build_setup
from pipelines.parts import ModelOptions
from pipelines.replay import replay_lake
from pipelines.replay_scores import SCORER
from pipelines.review.annotations import read_tasks
from pipelines.review.cards import card
from pipelines.review.pull import Pulled, take_in
from schemas import TrajectoryKind
from toolkit.api import Lake, open_lake
from toolkit.cli.main import run
from toolkit.errors import InputError
from toolkit.lake.records import read_records

CODE = "import graphlib\nfinal_answer(len(graphlib.__name__))"


def rollout(home: Path, *options: str) -> Lake:
    """A lake with one rollout whose only action imports graphlib, and answers."""
    (home / "script.json").write_text(json.dumps([f"Thought: so\nCode:\n```py\n{CODE}\n```"]))
    (home / "tasks.jsonl").write_text('{"question": "How long is it?", "answer": "8"}\n')
    arguments = ["--tasks", str(home / "tasks.jsonl"), "--teacher", f"scripted:{home / 'script.json'}", "--no-ftp"]
    assert run(["generate", *arguments, "--max-steps", "1", "--lake", str(home / "lake"), *options]) == 0
    return open_lake(home / "lake")


def verdicts(lake: Lake, *modules: str) -> list[tuple[str, bool | None]]:
    """Source and verdict of each trajectory after a replay."""
    asyncio.run(replay_lake(lake, workers=1, modules=modules))
    return lake.sql(
        "SELECT source, passed FROM scores JOIN trajectories USING (trajectory_id) "
        f"WHERE scorer = '{SCORER}' AND step_index IS NULL ORDER BY ALL"
    ).fetchall()


def edited(lake: Lake, code: str, *modules: str) -> Pulled:
    """The lake's only rollout with another action, as a reviewer would write it."""
    [record] = read_records(lake.snapshot().connect(), "SELECT trajectory_id FROM trajectories")
    result = [{"from_name": "edit_0", "value": {"text": [code]}}]
    words = [{"id": 1, "completed_by": 1, "updated_at": datetime(2026, 1, 1, tzinfo=UTC).isoformat(), "result": result}]
    tasks = [{"id": 1, "data": card(record, lake.identity.id, None), "annotations": words}]
    read = read_tasks(tasks, {1: "ada"}, lake_id=lake.identity.id, project="p")
    return asyncio.run(take_in(lake, read, "p", {}, source="test", modules=modules))


def test_code_may_import_what_is_named_and_runs_again_where_it_is_named_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = rollout(tmp_path, "--modules", "graphlib", "--modules", "math")
    assert lake.sql("SELECT stop_reason, final_answer FROM trajectories").fetchall() == [("final_answer", "8")]
    # The usual ones are not named: ids do not tell those who wrote them down from those who did not.
    assert lake.sql("SELECT identity->>'$.modules' FROM runs").fetchall() == [('["graphlib"]',)]
    [again] = edited(lake, "import graphlib\nfinal_answer('edited')", "graphlib").edited
    assert again.trajectory.final_answer == "edited"
    assert verdicts(lake) == []
    told = "2 trajectories are left: their code could import more than the usual; --modules graphlib allows it again"
    assert told in capsys.readouterr().err
    assert verdicts(lake, "graphlib", "queue") == [("edited", True), ("generated", True)]
    assert "are left" not in capsys.readouterr().err


def test_without_being_named_it_is_refused(tmp_path: Path) -> None:
    lake = rollout(tmp_path)
    [(kind, error)] = lake.sql("SELECT error_kind, error FROM steps").fetchall()
    assert (kind, "import of 'graphlib' is not allowed here" in error) == ("execution", True)
    # Nor where others may import it.
    assert verdicts(lake, "graphlib") == [("generated", True)]


def test_an_edit_imports_only_what_is_named(tmp_path: Path) -> None:
    lake = rollout(tmp_path, "--modules", "graphlib")
    [again] = edited(lake, "import graphlib\nfinal_answer('edited')").edited
    assert "import of 'graphlib' is not allowed here" in str(again.steps[0].error)


def test_only_named_modules_enter_the_identity_of_an_agent() -> None:
    def identity(*modules: str, kind: TrajectoryKind = "agent") -> dict[str, object]:
        options = GenerateOptions(ModelOptions("oracle"), kind=kind, modules=modules, sandbox="unsafe", ftp=False)
        return build_setup([], options, None).identity

    assert identity() == identity("math", "json")
    assert identity("queue", "graphlib") == {**identity(), "modules": ["graphlib", "queue"]}
    assert identity("graphlib", kind="cot") == identity(kind="cot")


@pytest.mark.parametrize("name", ["nosuch", "__main__", "msvcrt"])
def test_a_module_that_is_not_here_is_refused_before_anything_runs(tmp_path: Path, name: str) -> None:
    lake = rollout(tmp_path)
    with pytest.raises(InputError, match=f"allowed module '{name}' is not installed"):
        verdicts(lake, name)
    assert verdicts(lake) == [("generated", True)]
