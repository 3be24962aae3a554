"""`toolkit diff` between selections of a lake: what moved, by which rule, and what that does to the figures."""

import json
from typing import Any

import pytest
from episodes import Fill, episode

from pipelines.filter import filter_lake
from pipelines.recipe import parse_recipe
from toolkit.api import Lake
from toolkit.cli.main import run
from toolkit.lake.compaction import compact


def select(lake: Lake, name: str, *steps: str) -> int:
    """Filter, and the number of the commit that was made."""
    lines = "\n".join(f"  - {step}" for step in steps)
    filter_lake(lake, parse_recipe(f"name: {name}\nsteps:\n{lines}\n", "r"))
    return lake.snapshot().number


def diff(capsys: pytest.CaptureFixture[str], lake: Lake, left: str, right: str) -> dict[str, Any]:
    assert run(["diff", left, right, "--lake", str(lake.path), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def figures(found: dict[str, Any]) -> dict[str, tuple[object, object]]:
    return {row["statistic"]: (row["left"], row["right"]) for row in found["statistics"]}


def test_a_rule_in_front_changes_no_reason_of_the_rules_behind(fill: Fill, capsys: pytest.CaptureFixture[str]) -> None:
    lake = fill([episode(f"q{index}", searches=index) for index in range(4)])
    select(lake, "old", 'where: "n_steps < 3"')
    select(lake, "new", 'where: "true"', 'where: "n_steps < 3"')
    select(lake, "other", 'where: "n_steps < 3 and true"')
    assert diff(capsys, lake, "old", "new")["reason_changed"] == []
    changed = diff(capsys, lake, "old", "other")["reason_changed"]
    assert [(row["left"], row["right"]) for row in changed] == [("dropped by 1: where",) * 2] * 2


def test_other_weights_of_the_same_rows_are_a_change(fill: Fill, capsys: pytest.CaptureFixture[str]) -> None:
    lake = fill([episode("stumbled", failing=1), episode("clean")])
    select(lake, "plain", 'where: "true"')
    select(lake, "masked", "mask_steps: \"error_kind <> 'none'\"")
    found = diff(capsys, lake, "plain", "masked")
    [changed] = found["weights_changed"]
    assert (changed["left"], changed["right"]) == ("kept, weights all 1", "kept, weights 0:0.0")
    assert figures(found)["masked steps"] == (0, 1)


def test_the_figures_of_what_is_kept_are_those_of_each_side(fill: Fill, capsys: pytest.CaptureFixture[str]) -> None:
    fill([episode(f"a{index}", searches=1, gold=[], reward=1.0) for index in range(3)], dataset="a")
    lake = fill([episode(f"b{index}", searches=3, gold=[], reward=0.0) for index in range(3)], dataset="b")
    select(lake, "short", 'where: "n_steps < 3"')
    select(lake, "all", 'where: "true"')
    found = figures(diff(capsys, lake, "short", "all"))
    assert found["trajectories"] == (3, 6)
    assert found["correct, share of graded"] == (1, 0.5)
    assert found["steps, mean"] == (2, 3)
    assert found["tokens written, mean"] == (None, None)
    assert (found["dataset a, share"], found["dataset b, share"]) == ((1, 0.5), (0, 0.5))
    assert not any(name.startswith("kind") for name in found)


def test_a_superseded_version_and_later_imports_are_told_apart(fill: Fill, capsys: pytest.CaptureFixture[str]) -> None:
    lake = fill([episode(f"q{index}", searches=index) for index in range(3)])
    before = select(lake, "v1", 'where: "n_steps > 1"')
    lake = fill([episode("late")], start=9)
    select(lake, "v1", 'where: "n_steps < 3"')
    compact(lake)
    found = diff(capsys, lake, f"v1@{before}", "v1")
    assert {kind: len(value) for kind, value in found.items() if isinstance(value, list)} == {
        **{"in": 1, "out": 1, "reason_changed": 0, "weights_changed": 0, "only_left": 0, "only_right": 1},
        "statistics": len(found["statistics"]),
    }
    assert found["only_right"][0]["left"] == "not decided on"


def test_in_words_each_move_is_counted_and_figures_say_their_change(
    fill: Fill, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = fill([episode(f"q{index}", searches=index) for index in range(4)])
    select(lake, "low", 'where: "n_steps < 3"')
    select(lake, "high", 'where: "n_steps > 1"')
    assert run(["diff", "low", "high", "--rows", "1", "--lake", str(lake.path)]) == 0
    printed = capsys.readouterr()
    lines = [" ".join(line.split()) for line in printed.out.splitlines()]
    assert "in dropped by 1: where kept 2" in lines
    assert "out kept dropped by 1: where 1" in lines
    assert "trajectories 2 3 +1" in lines
    assert "… and 2 more" in printed.err
    assert run(["diff", "low", "low", "--lake", str(lake.path)]) == 0
    assert "both decide the same on every trajectory" in capsys.readouterr().err
