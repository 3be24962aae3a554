import asyncio
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from episodes import Fill, episode
from planted import corrupt, oracle_lake

from pipelines.generate import GenerateOptions, generate
from pipelines.parts import ModelOptions
from pipelines.policy import PolicyOptions
from pipelines.replay import replay_lake
from pipelines.replay_scores import SCORER
from schemas import Run, Task
from schemas.arrow import rows_from_arrow
from schemas.identity import derive_id
from toolkit.api import Lake, open_lake
from toolkit.cli.main import run
from toolkit.contracts import Limits
from toolkit.lake.records import TrajectoryRecord, read_records

TOOLS = '''
import random
from toolkit.tools import tool

@tool
def draw(highest: int = 1000000) -> int:
    """Draw a number."""
    with open({log!r}, "a") as log:
        log.write("drawn\\n")
    return random.randint(1, highest)

@tool(effect="write")
def publish(text: str) -> str:
    """Publish a text."""
    with open({log!r}, "a") as log:
        log.write("published\\n")
    return f"published {{text}}"
'''


def rollouts(home: Path, *turns: str, count: int = 1, step_timeout_s: float = 10.0) -> Lake:
    """A lake with rollouts of a model that says these actions, which may call `draw` and `publish`."""
    home.mkdir(exist_ok=True)
    (home / "tools.py").write_text(TOOLS.format(log=str(home / "called")))
    said = [turn if turn.startswith("Thought") else f"Thought: so\nCode:\n```py\n{turn}\n```" for turn in turns]
    (home / "script.json").write_text(json.dumps(said * count))
    tasks = [
        Task(task_id=derive_id("task", index), dataset="d", question=f"Question {index}?", answers=["1"], domain="math")
        for index in range(count)
    ]
    options = GenerateOptions(
        ModelOptions(f"scripted:{home / 'script.json'}"),
        ftp=False,
        in_flight=1,  # the script has one order
        tools=(home / "tools.py",),
        limits=Limits(step_timeout_s=step_timeout_s),
        max_steps=len(turns),
    )
    lake = open_lake(home / "lake", create=True)
    asyncio.run(generate(lake, tasks, options, None, run_kind="generate"))
    return lake


def replay(lake: Lake) -> Counter[str]:
    return asyncio.run(replay_lake(lake, workers=1))


def steps(lake: Lake) -> list[tuple[bool | None, dict[str, Any]]]:
    """Verdict and details of each step, in order."""
    rows = lake.sql(
        f"SELECT passed, details FROM scores WHERE scorer = '{SCORER}' AND step_index IS NOT NULL "
        "ORDER BY trajectory_id, step_index"
    ).fetchall()
    return [(passed, json.loads(details or "{}")) for passed, details in rows]


def whole(lake: Lake) -> tuple[float | None, bool | None, dict[str, Any]]:
    [(value, passed, details)] = lake.sql(
        f"SELECT value, passed, details FROM scores WHERE scorer = '{SCORER}' AND step_index IS NULL"
    ).fetchall()
    return value, passed, json.loads(details or "{}")


def rewrite(lake: Lake, step_index: int, **changed: object) -> None:
    """Change the recorded step of the only trajectory, as a new attempt."""
    [record] = read_records(lake.snapshot().connect(), "SELECT trajectory_id FROM trajectories")
    record.steps[step_index] = record.steps[step_index].model_copy(update=changed)
    again(lake, record)


def again(lake: Lake, record: TrajectoryRecord) -> None:
    attempt = record.trajectory.attempt + 1
    with lake.write("test") as batch:
        batch.add(
            row.model_copy(update={"attempt": attempt})
            for row in [record.trajectory, *record.steps, *record.tool_calls]
        )


def check_planted_faults(lake: Lake, observed: int, faults: int) -> None:
    corrupted, everything = corrupt(lake, observed, faults)
    replay(lake)
    rows = lake.sql(
        f"SELECT trajectory_id, step_index FROM scores WHERE scorer = '{SCORER}' AND NOT passed "
        "AND step_index IS NOT NULL"
    ).fetchall()
    accused = {(str(trajectory_id), int(step_index)) for trajectory_id, step_index in rows}
    assert len(accused & corrupted) >= 0.99 * faults
    assert accused - corrupted == set()
    assert len(everything) == observed


def test_corrupted_observations_of_oracle_rollouts_are_caught_and_no_other_is_accused(tmp_path: Path) -> None:
    check_planted_faults(oracle_lake(tmp_path / "lake", 80), observed=120, faults=16)


@pytest.mark.slow
def test_of_1000_observations_100_corrupted_ones_are_caught_and_no_other_is_accused(tmp_path: Path) -> None:
    check_planted_faults(oracle_lake(tmp_path / "lake", 640), observed=1_000, faults=100)


def test_clocks_vary_and_chance_from_our_seed_matches(tmp_path: Path) -> None:
    lake = rollouts(
        tmp_path / "home",
        "import time\nstart = time.time()\nprint('now', start)",
        "print(start > 0, 6 * 7)",
        "import random\nprint(random.random(), {'a', 'b', 'c'}, object())",
        "print(6 * 7)",
        "final_answer(start)",
    )
    assert replay(lake) == {"matches": 1}
    clock = ["clock: time.time"]
    found = steps(lake)
    assert [passed for passed, _ in found] == [None, True, True, True, None]
    assert [details.get("verdict") for _, details in found] == ["varies", "matches", None, None, "varies"]
    assert [details.get("because") for _, details in found] == [clock, clock, None, None, clock]
    assert "-now 1" in found[0][1]["diff"]
    assert whole(lake) == (1.0, True, {"steps": {"matches": 3, "varies": 2}})


def test_a_mismatch_has_a_diff_and_makes_the_trajectory_differ(tmp_path: Path) -> None:
    lake = rollouts(tmp_path / "home", "for n in range(3):\n    print(n)", "print('x' * 3000)", "final_answer(1)")
    rewrite(lake, 0, observation="0\n1\n3")
    rewrite(lake, 1, observation="x" * 1500 + "y" + "x" * 1499)
    assert replay(lake) == {"differs": 1}
    [(_, short), (_, long), (last, _)] = steps(lake)
    assert short == {"verdict": "differs", "diff": "--- recorded\n+++ now\n@@ -2,2 +2,2 @@\n 1\n-3\n+2"}
    assert long["diff"].startswith("at character 1,500:\n")
    assert len(long["diff"]) < 600
    assert last is True
    assert whole(lake) == (1 / 3, False, {"steps": {"differs": 2, "matches": 1}, "differing": [0, 1]})
    assert lake.sql("SELECT replay_matches FROM trajectories_scored").fetchall() == [(False,)]
    by_step = "SELECT replay_matches FROM steps_scored ORDER BY step_index"
    assert lake.sql(by_step).fetchall() == [(False,), (False,), (True,)]


def test_a_wrong_final_answer_and_a_call_that_was_made_otherwise_differ(tmp_path: Path) -> None:
    lake = rollouts(tmp_path / "home", "n = draw(highest=9)\nprint('drawn')", "final_answer(n - n)")
    [record] = read_records(lake.snapshot().connect(), "SELECT trajectory_id FROM trajectories")
    record.trajectory = record.trajectory.model_copy(update={"final_answer": "1"})
    record.tool_calls[0] = record.tool_calls[0].model_copy(update={"arguments": '{"highest": 8}'})
    again(lake, record)
    assert replay(lake) == {"differs": 1}
    [(_, call), (_, answer)] = steps(lake)
    assert '-call of draw: {"highest":8}\n+call of draw: {"highest":9}' in call["diff"]
    assert "-final_answer: 1\n+final_answer: 0" in answer["diff"]


def test_tools_answer_from_the_record_for_each_trajectory_its_own_and_are_never_called(tmp_path: Path) -> None:
    turns = (
        "print(draw(), draw())",
        "print(publish(str(draw())))",
        "draw('many')",
        "draw(lowest=1)",
        "final_answer(1)",
    )
    lake = rollouts(tmp_path / "home", *turns, count=12)
    called = (tmp_path / "home" / "called").read_text()
    assert called.count("published") == 12
    assert replay(lake) == {"matches": 12}
    assert (tmp_path / "home" / "called").read_text() == called
    assert {passed for passed, _ in steps(lake)} == {True}


MANY_KINDS = (
    "import random\nprint(random.random(), random.Random().sample(range(99), 5))",
    "import numpy as np\nprint(np.random.rand(3), np.random.default_rng().normal())\nnp.arange(6).reshape(2, 3)",
    "import sympy as sp\nx = sp.Symbol('x')\nprint(sp.solve(x**2 - 2*x), sp.randprime(9, 99))\n{*sp.symbols('a:f')}",
    "print({'b', 'a', 'z', 3.5, (1, 2)}, {x: 1}, hash('abc'))\nprint(random.random(), np.random.rand())",
    "print(sorted({len, print}, key=str), object())\nclass Plain:\n    pass\nPlain()",
    "def deep(n):\n    return deep(n + 1)\ndeep(0)",
    "from dataclasses import dataclass\n@dataclass\nclass Pair:\n    a: int\nprint(Pair(1), lambda: 3)",
    "print(dir())\nprint(globals().keys())\n(n for n in range(3))",
    "import os",
    "open('/etc/passwd').read()",
    "print('x' * 100_000)",
    "raise SystemExit(3)",
    "huge = [0] * 10**9",
    "print(help(draw), draw)",
    "final_answer(random.randint(1, 10**9))",
)


def test_programs_of_many_kinds_match(tmp_path: Path) -> None:
    lake = rollouts(tmp_path / "home", *MANY_KINDS)
    assert replay(lake) == {"matches": 1}
    assert [passed for passed, _ in steps(lake)] == [True] * len(MANY_KINDS)


def test_winners_of_votes_match_too(tmp_path: Path) -> None:
    lake = oracle_lake(tmp_path / "lake", 50, policy=PolicyOptions("sag", sag_samples=4))
    counted = lake.sql("SELECT count(DISTINCT candidate_index) FROM candidates WHERE chosen").fetchall()
    assert counted > [(1,)]
    assert replay(lake) == {"matches": 50}


def test_turns_that_could_not_be_parsed_and_actions_that_failed_are_compared_too(tmp_path: Path) -> None:
    turns = ("Thought: no code at all", "x = 5\nprnt(x)", "print(x)\n1 / 0", "final_answer(x)")
    lake = rollouts(tmp_path / "home", *turns)
    assert replay(lake) == {"matches": 1}
    assert len(steps(lake)) == 4
    rewrite(lake, 0, observation="Error:\nsomething else")
    rewrite(lake, 1, observation="5")
    assert replay(lake) == {"differs": 1}
    assert [passed for passed, _ in steps(lake)] == [False, False, True, True]


def test_errors_that_another_python_worded_are_not_accused(tmp_path: Path) -> None:
    lake = rollouts(tmp_path / "home", "print(nothing)", "print(6)", "final_answer(1)")
    rewrite(lake, 0, observation="Error:\nworded otherwise")
    rewrite(lake, 1, observation="[7]")
    [row] = rows_from_arrow(Run, lake.sql("SELECT * FROM runs").to_arrow_table())
    with lake.write("test") as batch:
        told = json.dumps({**json.loads(row.environment), "python": "3.2.1"})
        batch.add([row.model_copy(update={"environment": told, "finished_at": datetime(2100, 1, 1, tzinfo=UTC)})])
    replay(lake)
    assert [details.get("verdict") for _, details in steps(lake)] == ["varies", "differs", None]
    assert steps(lake)[0][1]["because"] == ["interpreter: errors as Python 3.2.1 words them"]


def test_an_action_that_a_limit_ended_is_not_run_again_and_leaves_no_trace(tmp_path: Path) -> None:
    turns = ("x = 5\ndef f():\n    return 1 / 0", "x = 6\nwhile True: pass", "print(x)\nf()", "final_answer(x)")
    lake = rollouts(tmp_path / "home", *turns, step_timeout_s=0.5)
    assert replay(lake) == {"matches": 1}
    assert [passed for passed, _ in steps(lake)] == [True, None, True, True]
    assert steps(lake)[1][1]["because"][0].startswith("timeout: the action was stopped")
    rewrite(lake, 1, observation="6")
    assert replay(lake) == {"differs": 1}


def test_what_has_a_verdict_is_not_run_again_but_a_new_attempt_is(tmp_path: Path) -> None:
    lake = rollouts(tmp_path / "home", "print(1)", "final_answer(1)", count=3)
    assert replay(lake) == {"matches": 3}
    before = lake.snapshot().number
    assert (replay(lake), lake.snapshot().number) == ({}, before)
    again(lake, next(iter(read_records(lake.snapshot().connect(), "SELECT trajectory_id FROM trajectories"))))
    assert replay(lake).total() == 1
    assert lake.sql(f"SELECT count(*) FROM raw.scores WHERE scorer = '{SCORER}'").fetchall() == [(4 * 3,)]


def test_actions_that_are_no_python_are_counted_as_not_replayable(fill: Fill) -> None:
    lake = fill([episode("one"), episode("two")])
    assert replay(lake) == {"not_replayable": 2}
    (row,) = set(lake.sql("SELECT value, passed, details FROM scores WHERE step_index IS NULL").fetchall())
    assert row == (None, None, '{"not_applicable":"actions of the dialect react-text are not Python"}')
    assert replay(lake) == {}


def foreign(path: Path) -> Lake:
    """A lake with memories of real smolagents agents, of two versions."""
    for file in sorted(Path("tests/data/formats").glob("smolagents_1_*.jsonl")):
        assert run(["import", str(file), "--dataset", file.stem, "--lake", str(path)]) == 0
    return open_lake(path)


def test_programs_that_ran_elsewhere_are_judged_where_no_tool_result_is_missing(tmp_path: Path) -> None:
    lake = foreign(tmp_path / "lake")
    assert replay(lake) == {"matches": 10, "undecided": 2, "not_replayable": 1}
    reasons = [reason for _, details in steps(lake) for reason in details.get("because", [])]
    assert set(reasons) == {"tool: web_search"}


def test_a_wrong_observation_of_a_program_that_ran_elsewhere_differs(tmp_path: Path) -> None:
    lake = foreign(tmp_path / "lake")
    replay(lake)
    where = "final_answer = '170.0' AND dataset = 'smolagents_1_26'"
    [record] = read_records(lake.snapshot().connect(), f"SELECT trajectory_id FROM trajectories WHERE {where}")
    shown = str(record.steps[1].observation)
    assert "170.0" in shown
    record.steps[1] = record.steps[1].model_copy(update={"observation": shown.replace("170.0", "171.0")})
    again(lake, record)
    assert replay(lake) == {"differs": 1}


def test_the_command_prints_tables_and_one_json_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lake = rollouts(tmp_path / "home", "import time\nprint(time.time())", "print(2)", "final_answer(1)")
    rewrite(lake, 1, observation="[3]")
    arguments = ["replay", "--lake", str(lake.path)]
    assert run(arguments) == 0
    printed = capsys.readouterr()
    assert "clock: time.time" in printed.out
    assert "-[3]" in printed.out
    assert "replayed 1 trajectories now" in printed.err
    assert run([*arguments, "--json", "--diffs", "1"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["replayed"] == 0
    assert said["datasets"][0] | {"dataset": ""} == {
        **{"dataset": "", "source": "generated", "trajectories": 1},
        **{"matches": 0, "differs": 1, "undecided": 0, "not_replayable": 0},
    }
    assert said["steps_not_decided"] == [{"verdict": "varies", "reason": "clock: time.time", "steps": 1}]
    assert [step["step_index"] for step in said["differing"]] == [1]
    assert run([*arguments, "--workers", "0"]) == 2
