"""`toolkit agreement` on a lake in which it is known who says what."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from episodes import Fill, episode

from schemas import Review, ReviewVerdict, Score
from toolkit.api import Lake
from toolkit.cli.main import run
from toolkit.grading.agreement import Pair, alpha

NOW = datetime(2026, 1, 1, tzinfo=UTC)
Report = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Report:
    def call(*more: str, json_out: bool = True) -> tuple[int, dict[str, Any], str]:
        code = run(["agreement", "--lake", str(tmp_path / "lake"), *more, *(["--json"] if json_out else [])])
        out, err = capsys.readouterr()
        return code, json.loads(out) if out.startswith("{") else {"text": out}, " ".join(err.split())

    return call


def ids(lake: Lake) -> list[str]:
    return [row[0] for row in lake.sql("SELECT trajectory_id FROM trajectories ORDER BY source_position").fetchall()]


def say(lake: Lake, scorer: str, words: list[bool | None], step: int | None = None, later: int = 0) -> None:
    """Let a scorer speak on the first trajectories, in the order of their import."""
    with lake.write("test") as batch:
        batch.add(
            Score(
                trajectory_id=trajectory_id,
                step_index=step,
                scorer=scorer,
                passed=passed,
                details=json.dumps({"reason": f"{scorer} thinks so"}),
                scored_at=NOW + timedelta(seconds=later),
            )
            for trajectory_id, passed in zip(ids(lake), words, strict=False)
        )


def review(lake: Lake, reviewer: str, words: list[ReviewVerdict], step: int | None = None) -> None:
    with lake.write("test") as batch:
        batch.add(
            Review(
                trajectory_id=trajectory_id,
                step_index=step,
                reviewer=reviewer,
                project="p",
                verdict=verdict,
                comment=f"{reviewer} says",
                reviewed_at=NOW,
            )
            for trajectory_id, verdict in zip(ids(lake), words, strict=False)
        )


def pair(found: dict[str, Any], first: str, second: str, of: str = "wholes") -> dict[str, Any]:
    (row,) = [row for row in found["pairs"] if (row["of"], row["first"], row["second"]) == (of, first, second)]
    return row


def test_two_voices_are_compared_where_both_are_sure(fill: Fill, report: Report) -> None:
    lake = fill([episode(f"q{index}") for index in range(8)])
    grader, judge = [True, True, True, False, False, True], [True, True, False, False, True, None, True]
    say(lake, "fact@1", grader)
    say(lake, "judge.factual.big@1-abc", judge)
    code, found, _ = report()
    row = pair(found, "grader", "judge.factual.big")
    assert code == 0
    assert {name: row[name] for name in ("units", "both_pass", "only_first", "only_second", "both_fail")} == {
        "units": 5,
        "both_pass": 2,
        "only_first": 1,
        "only_second": 1,
        "both_fail": 1,
    }
    assert row["agree"] == pytest.approx(0.6)
    # Each passes three of five, so chance agrees on 0.6² + 0.4²; (0.6 - 0.52) / (1 - 0.52).
    assert row["kappa"] == pytest.approx(1 / 6)
    assert found["said"] == [
        {"of": "wholes", "voice": "grader", "passed": 4, "failed": 2, "unsure": 0},
        {"of": "wholes", "voice": "judge.factual.big", "passed": 4, "failed": 2, "unsure": 1},
    ]


def test_the_divided_rows_come_with_answers_and_reasons_and_people_first(fill: Fill, report: Report) -> None:
    lake = fill([episode(f"q{index}", "it is yes") for index in range(4)])
    say(lake, "fact@1", [False, False, True, True])
    say(lake, "judge.factual.big@1-abc", [True, False, True, False])
    review(lake, "ann", ["rejected", "rejected", "accepted", "accepted"])
    review(lake, "bob", ["rejected", "unsure", "accepted", "rejected"])
    _, found, _ = report()
    # Of q3 people are divided among themselves, which is no word.
    assert [row["question"] for row in found["divided"]] == ["q3", "q0"]
    row = found["divided"][1]
    assert (row["passed_by"], row["failed_by"]) == (["judge.factual.big"], ["grader", "people"])
    assert (row["final_answer"], row["answers"]) == ("it is yes", ["yes"])
    assert row["reasons"]["judge.factual.big"] == "judge.factual.big@1-abc thinks so"
    assert row["reasons"]["people"] == "ann says | bob says"
    assert pair(found, "grader", "people")["agree"] == 1.0
    assert report("--rows", "1")[1]["divided"] == found["divided"][:1]


def test_steps_are_compared_with_steps_and_wholes_with_wholes(fill: Fill, report: Report) -> None:
    lake = fill([episode(f"q{index}") for index in range(3)])
    say(lake, "fact@1", [True, True, True])
    say(lake, "judge.step.big@1-abc", [True, False, True], step=0)
    review(lake, "ann", ["wrong", "wrong", "correct"], step=0)
    _, found, _ = report()
    assert [(row["of"], row["first"], row["second"]) for row in found["pairs"]] == [
        ("steps", "judge.step.big", "people")
    ]
    assert pair(found, "judge.step.big", "people", "steps")["only_first"] == 1
    assert [(row["question"], row["step_index"]) for row in found["divided"]] == [("q0", 0)]


def test_of_two_versions_of_a_judge_the_newer_counts_and_two_models_are_two_voices(fill: Fill, report: Report) -> None:
    lake = fill([episode("q0")])
    say(lake, "judge.rollout.big@2-def", [False], later=1)
    say(lake, "judge.rollout.big@1-abc", [True])
    say(lake, "judge.rollout.small@1-abc", [True])
    _, found, _ = report()
    row = pair(found, "judge.rollout.big", "judge.rollout.small")
    assert (row["units"], row["only_second"]) == (1, 1)
    assert lake.sql("SELECT judge_rollout FROM trajectories_scored").fetchall() == [(False,)]


def test_alpha_counts_every_voice_and_is_that_of_the_books_example(fill: Fill, report: Report) -> None:
    # Krippendorff 2011, "Computing Krippendorff's alpha-reliability", B: two observers, binary data, 10 units: 0.095.
    first = [False, True, False, False, False, False, False, False, True, False]
    second = [True, True, True, False, False, True, False, False, False, False]
    lake = fill([episode(f"q{index}") for index in range(10)])
    say(lake, "fact@1", list(first))
    say(lake, "judge.factual.big@1-abc", list(second))
    assert report()[1]["alpha"] == {"wholes": pytest.approx(0.095, abs=5e-4)}


@pytest.mark.parametrize(
    ("units", "expected"),
    [({(2, 0): 3, (0, 2): 5}, 1.0), ({(2, 0): 4}, None), ({(1, 0): 2, (0, 1): 2}, None), ({}, None)],
)
def test_alpha_is_one_for_agreement_and_undefined_without_anything_to_compare(
    units: dict[tuple[int, ...], int], expected: float | None
) -> None:
    assert alpha(units) == expected


def test_kappa_is_undefined_where_chance_alone_would_agree() -> None:
    assert Pair(5, 0, 0, 0).kappa is None
    assert Pair(3, 0, 0, 2).kappa == 1.0


def test_where_selection_and_voice_narrow_what_is_compared(fill: Fill, report: Report) -> None:
    lake = fill([episode(f"q{index}", searches=index) for index in range(4)])
    for name in ("fact@1", "judge.factual.big@1-a", "judge.rollout.big@1-a"):
        say(lake, name, [True, False, True, False])
    _, found, _ = report("--where", "n_steps > 2", "--voice", "grader", "--voice", "judge.fac")
    assert [row["voice"] for row in found["said"]] == ["grader", "judge.factual.big"]
    assert pair(found, "grader", "judge.factual.big")["units"] == 2
    code, _, said = report("--voice", "peple")
    assert code == 2
    assert "nobody called peple" in said
    assert "judge.rollout.big" in said


def test_a_predicate_that_meets_a_value_it_cannot_take_is_quoted(fill: Fill, report: Report) -> None:
    say(fill([episode("q", "seven")]), "fact@1", [True])
    code, _, said = report("--where", "cast(final_answer as int) = 5")
    assert code == 2
    assert "the predicate 'cast(final_answer as int) = 5' does not run: " in said
    assert "'seven'" in said


def test_for_people_the_tables_say_it_and_an_empty_lake_says_what_to_do(fill: Fill, report: Report) -> None:
    lake = fill([episode("Who wrote it?")])
    code, _, said = report(json_out=False)
    assert code == 0
    assert "no two of these have a word on the same thing" in said
    say(lake, "fact@1", [False])
    say(lake, "judge.factual.big@1-abc", [True])
    code, told, said = report(json_out=False)
    assert code == 0
    assert "most divided" in told["text"]
    assert ids(lake)[0][:10] in told["text"]
    assert "Krippendorff's alpha over all voices, wholes: 0.000" in said
