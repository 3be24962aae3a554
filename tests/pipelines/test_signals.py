"""Process signals in a lake: stored as scores, seen as columns, used by recipes; planted faults in real rollouts."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from episodes import Fill, episode, step

from pipelines.filter import filter_lake
from pipelines.generate import GenerateOptions, generate
from pipelines.parts import ModelOptions
from pipelines.recipe import parse_recipe
from pipelines.score import score_lake
from pipelines.signals import score_signals
from schemas import Score
from toolkit.api import Lake, open_lake
from toolkit.cli.main import run
from toolkit.contracts import Passage
from toolkit.lake.records import TrajectoryRecord, read_records
from toolkit.lake.signal_views import COUNTED, EVERY, TRAJECTORY_COLUMNS
from toolkit.process.episode import Episode
from toolkit.process.signals import NAMES, SIGNALS
from toolkit.retrieval.lexical import LexicalRetriever
from toolkit.tasks.minipedia import Minipedia

WORLD = Minipedia(0, 200)


def columns(lake: Lake, names: str, view: str = "trajectories_scored", order: str = "source_position") -> list[Any]:
    return lake.sql(f"SELECT {names} FROM {view} ORDER BY {order}").fetchall()


def looping(question: str = "loops") -> Any:
    """An episode whose second and third step repeat the first, call and all."""
    made = episode(question, "seen", gold=["seen"])
    made.steps = [step("search[x]"), step("search[x]"), step("search[x]"), *made.steps[-1:]]
    return made


def test_views_and_scorers_name_the_same_signals() -> None:
    assert set(EVERY) == {*NAMES, "replay"}


def test_scores_become_columns_of_trajectories_and_steps(fill: Fill) -> None:
    lake = fill([episode("fine", "seen", gold=["seen"]), looping()])
    score_lake(lake)
    score_signals(lake, NAMES)
    found = columns(lake, "question, loops, repeated_calls, unrecovered_errors, hard_coded, grounded, steps_ratio")
    assert found == [("fine", 0, 0, 0, False, True, 1), ("loops", 2, 2, 0, False, True, 1)]
    by_step = lake.sql("""
        SELECT step_index, s.loops, s.repeated_calls, s.idle_code, s.recovered, s.grounded
        FROM steps_scored s JOIN trajectories_scored t USING (trajectory_id) WHERE question = 'loops' ORDER BY 1""")
    assert by_step.fetchall() == [
        (0, False, False, False, None, None),
        (1, True, True, False, None, None),
        (2, True, True, False, None, None),
        (3, False, False, False, None, True),
    ]


def test_what_was_never_scored_is_null_in_every_column(fill: Fill) -> None:
    lake = fill([episode("q")])
    assert columns(lake, ", ".join(TRAJECTORY_COLUMNS)) == [(None,) * len(TRAJECTORY_COLUMNS)]
    assert columns(lake, "loops, hard_coded, recovered", "steps_scored", "step_index") == [(None, None, None)] * 2


def test_scoring_again_writes_only_what_is_new(fill: Fill) -> None:
    lake = fill([episode("one")])
    assert score_signals(lake, NAMES) > 0
    assert score_signals(lake, NAMES) == 0
    fill([episode("two")], start=2)
    written = score_signals(lake, NAMES)
    assert columns(lake, "count(*)", "scores WHERE step_index IS NULL", "1") == [(2 * len(NAMES),)]
    assert score_signals(lake, NAMES) == 0
    assert (
        written
        == lake.sql(
            "SELECT count(*) FROM scores JOIN trajectories USING (trajectory_id) WHERE source_position = 2"
        ).fetchall()[0][0]
    )


def test_only_the_signals_that_were_asked_for_are_scored(fill: Fill) -> None:
    lake = fill([looping()])
    score_signals(lake, ["loops", "grounded"])
    assert columns(lake, "DISTINCT scorer", "scores", "1") == [("grounded@1",), ("loops@1",)]
    assert columns(lake, "loops, repeated_calls, grounded") == [(2, None, True)]


def test_ratios_follow_the_best_of_the_task(fill: Fill) -> None:
    long, short = episode("q", "yes", searches=3), episode("q", "yes", searches=1)
    lake = fill([long, episode("q", "no", searches=0)])
    score_lake(lake)
    score_signals(lake, ["steps_ratio", "tokens_ratio"])
    assert columns(lake, "n_steps, steps_ratio, tokens_ratio") == [(4, 1, None), (1, 0.25, None)]
    fill([short], start=3)
    score_lake(lake)
    score_signals(lake, ["steps_ratio"])
    assert columns(lake, "n_steps, steps_ratio") == [(4, 2), (1, 0.5), (2, 1)]


def test_ratios_of_tokens_count_what_was_written(fill: Fill) -> None:
    made = [episode("q", "yes", searches=count) for count in (1, 2)]
    for parsed in made:
        for turn in parsed.steps:
            turn.completion_tokens = 10
    lake = fill(made)
    score_lake(lake)
    score_signals(lake, ["tokens_ratio"])
    assert columns(lake, "tokens_ratio") == [(1,), (1.5,)]


def test_without_a_correct_trajectory_there_is_no_best(fill: Fill) -> None:
    lake = fill([episode("q", "no")])
    score_lake(lake)
    score_signals(lake, ["steps_ratio"])
    assert columns(lake, "steps_ratio") == [(None,)]


def test_the_newest_version_of_a_signal_counts_alone(fill: Fill) -> None:
    lake = fill([looping()])
    score_signals(lake, ["loops"])
    (trajectory_id, scored_at), *_ = lake.sql("SELECT trajectory_id, max(scored_at) FROM scores GROUP BY 1").fetchall()
    newer = scored_at.replace(year=scored_at.year + 1)
    with lake.write("test") as batch:
        batch.add([Score(trajectory_id=trajectory_id, scorer="loops@2", value=0, passed=True, scored_at=newer)])
    assert columns(lake, "loops") == [(0,)]
    assert columns(lake, "DISTINCT loops", "steps_scored", "1") == [(False,)]


def filtered(lake: Lake, *rules: str) -> Any:
    text = "name: v1\nsteps:\n" + "".join(f"  - {rule}\n" for rule in rules)
    return filter_lake(lake, parse_recipe(text, "recipe"))


def test_recipes_filter_and_mask_by_signals(fill: Fill) -> None:
    lake = fill([episode("fine", "seen", gold=["seen"]), looping(), episode("lost", "elsewhere")])
    score_signals(lake, NAMES)
    outcome = filtered(lake, 'where: "grounded is not false"', 'mask_steps: "loops or repeated_calls"')
    assert outcome.selection.n_kept == 2
    assert columns(lake, "step_index, weight", "step_weights WHERE weight = 0", "1") == [(1, 0), (2, 0)]
    evidence = lake.sql("SELECT evidence FROM decisions WHERE NOT kept").fetchall()[0][0]
    assert json.loads(evidence)["values"] == {"grounded": False}
    assert [applied.notes for applied in outcome.funnel] == [[], []]


def test_a_recipe_over_signals_that_were_never_scored_says_so(fill: Fill) -> None:
    lake = fill([episode("q")])
    outcome = filtered(lake, 'mask_steps: "loops or recovered"', 'where: "loops = 0 and n_steps > 0"')
    notes = [applied.notes for applied in outcome.funnel]
    assert [len(found) for found in notes] == [2, 1]
    assert notes[1] == ["step 2: where: 1 trajectories were never scored for loops, which is null there"]


def test_the_command_prints_the_signals_it_was_asked_for(fill: Fill, capsys: pytest.CaptureFixture[str]) -> None:
    lake = fill([looping()])
    assert run(["score", "--signals", "loops,grounded", "--lake", str(lake.path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["signals"]
    assert [row["signal"] for row in found] == ["loops", "grounded"]
    loops = found[0]
    assert (loops["trajectories"], loops["faulted"], loops["faulted_steps"], loops["mean_value"]) == (1, 1, 2, 2)


def test_an_unknown_signal_is_named_with_its_neighbour(fill: Fill, capsys: pytest.CaptureFixture[str]) -> None:
    lake = fill([episode("q")])
    assert run(["score", "--signals", "loop", "--lake", str(lake.path)]) == 2
    assert "there is no signal 'loop'; did you mean 'loops'?" in capsys.readouterr().err


@pytest.fixture(scope="module")
def rollouts(tmp_path_factory: pytest.TempPathFactory) -> list[TrajectoryRecord]:
    """Agent rollouts of the oracle with slips, as the lake holds them."""
    lake = open_lake(tmp_path_factory.mktemp("rollouts") / "lake", create=True)
    retriever = LexicalRetriever.over(Passage(article.title, article.text) for article in WORLD.articles("train"))
    options = GenerateOptions(ModelOptions("oracle", slips=0.4), kind="agent", in_flight=16)
    asyncio.run(generate(lake, list(WORLD.tasks("train", limit=60)), options, retriever, run_kind="generate"))
    agents = "SELECT trajectory_id FROM trajectories WHERE kind = 'agent'"
    return list(read_records(lake.snapshot().connect(), agents))


def accused(signal: str, record: TrajectoryRecord) -> set[int]:
    verdicts = SIGNALS[signal].verdicts(Episode(record))
    return {found.step_index for found in verdicts if found.step_index is not None and found.passed is False}


def test_slips_of_the_oracle_are_seen_as_errors_that_it_recovers_from(rollouts: list[TrajectoryRecord]) -> None:
    failed = {(r.trajectory.trajectory_id, s.step_index) for r in rollouts for s in r.steps if s.error_kind != "none"}
    said = {
        (record.trajectory.trajectory_id, found.step_index): found.passed
        for record in rollouts
        for found in SIGNALS["unrecovered_errors"].verdicts(Episode(record))
        if found.step_index is not None
    }
    assert len(failed) > 10
    assert set(said) == failed
    for record in rollouts:
        last = record.steps[-1]
        if last.error_kind != "none":
            assert said[record.trajectory.trajectory_id, last.step_index] is False
        elif record.trajectory.stop_reason == "final_answer":
            assert all(said.get((record.trajectory.trajectory_id, s.step_index), True) for s in record.steps)


def test_the_oracle_neither_idles_nor_invents_its_answers(rollouts: list[TrajectoryRecord]) -> None:
    for record in rollouts:
        assert accused("idle_code", record) == set()
        assert accused("hard_coded", record) == set()
        assert accused("grounded", record) == set()


def test_an_invented_literal_is_seen_in_every_rollout(rollouts: list[TrajectoryRecord]) -> None:
    answered = [record for record in rollouts if record.trajectory.stop_reason == "final_answer"]
    assert len(answered) > 30
    for record in answered:
        final = record.steps[-1].model_copy(update={"code": "final_answer('Quelmar 918273')"})
        invented = record.trajectory.model_copy(update={"final_answer": "Quelmar 918273"})
        planted = TrajectoryRecord(
            invented, record.task, [*record.steps[:-1], final], record.tool_calls, None, record.tools
        )
        assert accused("hard_coded", planted) == {final.step_index}
        assert accused("grounded", planted) == {final.step_index}


def test_a_planted_idle_step_is_seen_in_every_rollout(rollouts: list[TrajectoryRecord]) -> None:
    for record in rollouts:
        first, *rest = record.steps
        idle = first.model_copy(update={"code": "note = 'I should search.'\nprint(note)", "error_kind": "none"})
        if first.is_final:
            continue
        planted = TrajectoryRecord(record.trajectory, record.task, [idle, *rest], record.tool_calls, None, record.tools)
        assert accused("idle_code", planted) == {0}


def test_a_planted_repetition_is_seen_in_every_rollout(rollouts: list[TrajectoryRecord]) -> None:
    for record in rollouts:
        if not record.tool_calls or record.tool_calls[0].error is not None:
            continue
        again = record.tool_calls[0].model_copy(update={"step_index": record.steps[-1].step_index, "ordinal": 99})
        planted = TrajectoryRecord(
            record.trajectory, record.task, record.steps, [*record.tool_calls, again], None, record.tools
        )
        assert record.steps[-1].step_index in accused("repeated_calls", planted)


def test_a_planted_loop_is_seen_in_every_rollout(rollouts: list[TrajectoryRecord]) -> None:
    for record in rollouts:
        first = record.steps[0]
        if first.is_final:
            continue
        steps = [first, *(s.model_copy(update={"step_index": s.step_index + 1}) for s in record.steps)]
        assert 1 in accused("loops", TrajectoryRecord(record.trajectory, record.task, steps))


def test_every_count_is_of_steps_or_calls(rollouts: list[TrajectoryRecord]) -> None:
    for record in rollouts:
        for signal in COUNTED:
            *by_step, whole = SIGNALS[signal].verdicts(Episode(record))
            assert whole.step_index is None
            assert (whole.value or 0) >= len([found for found in by_step if found.passed is False])
