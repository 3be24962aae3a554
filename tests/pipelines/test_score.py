import io
import json
import sys
from pathlib import Path

import pytest
from episodes import Fill, episode

from pipelines.score import score_lake
from toolkit.api import Lake
from toolkit.cli.main import run
from toolkit.formats.parsed import ParsedTrajectory


def math(question: str, answer: str, gold: str) -> ParsedTrajectory:
    parsed = episode(question, answer, gold=[gold])
    parsed.domain = "math"
    return parsed


def verdicts(lake: Lake) -> dict[str, tuple[object, ...]]:
    rows = lake.sql("SELECT question, correct, answer_scorer, em, f1 FROM trajectories_scored").fetchall()
    return {row[0]: tuple(row[1:]) for row in rows}


def test_each_domain_is_graded_by_its_own_scorer(fill: Fill) -> None:
    lake = fill(
        [
            episode("fact right", "The Blue House!", gold=["Casa Azul", "blue house"]),
            episode("fact half", "blue", gold=["blue house"]),
            math("math right", "0.75", r"\frac{3}{4}"),
            math("math wrong", "0.7", r"\frac{3}{4}"),
        ]
    )
    assert score_lake(lake, workers=1) == {"correct": 2, "wrong": 2}
    found = verdicts(lake)
    assert found["fact right"] == (True, "fact@1", 1, 1.0)
    assert found["fact half"] == (False, "fact@1", 0, pytest.approx(2 / 3))
    assert found["math right"][:2] == (True, "math@1")
    assert found["math wrong"][:2] == (False, "math@1")


def test_scoring_again_grades_only_what_is_new(fill: Fill) -> None:
    lake = fill([episode("one")])
    assert score_lake(lake).total() == 1
    fill([episode("two")], start=2)
    assert score_lake(lake).total() == 1
    assert lake.sql("SELECT count(*) FROM raw.scores").fetchall() == [(2,)]


def test_without_gold_the_reward_decides_and_nothing_is_graded(fill: Fill) -> None:
    lake = fill([episode("accepted", gold=[], reward=1.0), episode("refused", gold=[], reward=0.0)])
    assert score_lake(lake).total() == 0
    assert {question: row[0] for question, row in verdicts(lake).items()} == {"accepted": True, "refused": False}


def test_gold_outweighs_the_reward(fill: Fill) -> None:
    lake = fill([episode("q", "no", gold=["yes"], reward=1.0)])
    assert score_lake(lake) == {"wrong": 1}
    assert verdicts(lake)["q"][0] is False


def test_a_missing_final_answer_is_wrong(fill: Fill) -> None:
    lake = fill([episode("q", None)])
    assert score_lake(lake) == {"wrong": 1}


def grade(monkeypatch: pytest.MonkeyPatch, text: str, *options: str) -> int:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    return run(["grade", *options])


def test_grade_answers_each_line_in_order(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = [
        {"prediction": "the Nile", "answers": ["Nile"]},
        {"prediction": None, "answers": ["Nile"]},
        {"prediction": 7, "answers": [7, 8]},
    ]
    assert grade(monkeypatch, "\n\n".join(map(json.dumps, pairs))) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["correct"] for row in rows] == [True, False, True]
    assert rows[0] == {"correct": True, "em": 1.0, "f1": 1.0}


@pytest.mark.parametrize("domain", ["fact", "math"])
def test_grade_takes_numbers_exactly_and_as_a_person_writes_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], domain: str
) -> None:
    long = 10**20
    pairs = [
        {"prediction": long + 1, "answers": [str(long + 1)]},
        {"prediction": long + 1, "answers": [long + 2]},
        {"prediction": 3.0, "answers": ["3"]},
        {"prediction": "561161.7", "answers": [561161.7000000001]},
    ]
    assert grade(monkeypatch, "\n".join(map(json.dumps, pairs)), "--domain", domain, "--workers", "1") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["correct"] for row in rows] == [True, False, True, True]


def test_grade_compares_mathematics(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = [
        {"prediction": r"\boxed{(-\infty, 2]}", "answers": [r"(-\infty,2]"]},
        {"prediction": "1/2", "answers": ["0.5"]},
        {"prediction": "x", "answers": ["y"]},
    ]
    assert grade(monkeypatch, "\n".join(map(json.dumps, pairs)), "--domain", "math", "--workers", "1") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["correct"] for row in rows] == [True, True, False]


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        ("{", "expected JSON, column 2"),
        ('{"prediction": NaN, "answers": [1]}', "NaN is not JSON"),
        ("[]", '"prediction"'),
        ('{"answers": ["a"]}', '"prediction"'),
        ('{"prediction": "a"}', "at least one gold answer"),
        ('{"prediction": "a", "answers": []}', "at least one gold answer"),
        ('{"prediction": "a", "answers": [["b"]]}', "at least one gold answer"),
    ],
)
def test_grade_names_the_line_it_cannot_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str, finding: str
) -> None:
    good = '{"prediction": "a", "answers": ["a"]}\n'
    assert grade(monkeypatch, good + line) == 2
    printed = capsys.readouterr().err
    assert "line 2 of standard input" in printed
    assert finding in printed


def test_the_command_prints_a_line_a_dataset(fill: Fill, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill([episode("one"), episode("two", "no")])
    assert run(["score", "--lake", str(tmp_path / "lake"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["graded"], report["correct"], report["wrong"]) == (2, 1, 1)
    assert report["datasets"][0]["dataset"] == "d"
