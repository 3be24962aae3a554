import json
import random
import shutil
from pathlib import Path

import pytest
from episodes import Fill, episode

from pipelines.filter import filter_lake
from pipelines.recipe import parse_recipe
from toolkit.api import Lake
from toolkit.cli.main import run
from toolkit.cli.output import PIPED_WIDTH


def select(lake: Lake, step: str, name: str = "v1") -> None:
    filter_lake(lake, parse_recipe(f"name: {name}\nsteps:\n  - {step}\n", "r"))


def ids(lake: Lake) -> list[str]:
    return [row[0] for row in lake.sql("SELECT trajectory_id FROM trajectories ORDER BY source_position").fetchall()]


def said(capsys: pytest.CaptureFixture[str], lake: Lake, *arguments: str) -> dict[str, object]:
    assert run([*arguments, "--lake", str(lake.path), "--json"]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_why_names_rule_evidence_and_the_twin(fill: Fill, capsys: pytest.CaptureFixture[str]) -> None:
    lake = fill([episode("twin"), episode("twin"), episode("single")])
    select(lake, "dedup: {by: trajectory}")
    first, second, single = ids(lake)
    answer = said(capsys, lake, "why", second[:12], "--selection", "v1")
    assert answer["kept"] is False
    assert (answer["rule"], answer["nearest_kept_id"]) == ("1: dedup", first)
    assert answer["evidence"] == {"by": "trajectory", "keep": "first", "equal": 2}
    assert said(capsys, lake, "why", single, "--selection", "v1")["kept"] is True


def test_why_in_words_says_the_same(fill: Fill, capsys: pytest.CaptureFixture[str]) -> None:
    lake = fill([episode("q", failing=1)])
    select(lake, "mask_steps: \"error_kind <> 'none'\"")
    assert run(["why", ids(lake)[0], "--selection", "v1", "--lake", str(lake.path)]) == 0
    printed = capsys.readouterr().out
    assert "is kept in v1" in printed
    assert "step 0 has weight 0 by 1: mask_steps" in printed


@pytest.mark.parametrize(
    ("arguments", "finding"),
    [
        (["why", "ffff", "--selection", "v1"], "no trajectory 'ffff'"),
        (["why", "", "--selection", "v1"], "beginning of several"),
        (["why", "a", "--selection", "v2"], "there are v1"),
        (["diff", "v1", "v1@x"], "NAME@COMMIT"),
        (["diff", "v1", "v1@99"], "no commit 99"),
        (["diff", "v1@²", "v1"], "NAME@COMMIT"),
        (["diff", "v1", "v1", "--rows", "-5"], "--rows must be at least 1, got -5"),
        (["query", "SELECT 1", "--rows", "-5"], "--rows must be at least 1, got -5"),
        (["stats", "--selection", "nope"], "there are v1"),
        (["vacuum", "--older-than", "soon"], "--older-than"),
        (["compact", "--target-mb", "0"], "at least 1"),
    ],
)
def test_wrong_names_are_explained(
    fill: Fill, capsys: pytest.CaptureFixture[str], arguments: list[str], finding: str
) -> None:
    lake = fill([episode("one"), episode("two")])
    select(lake, 'where: "true"')
    assert run([*arguments, "--lake", str(lake.path)]) == 2
    assert finding in capsys.readouterr().err


def test_a_trajectory_imported_later_is_not_decided_on(fill: Fill, capsys: pytest.CaptureFixture[str]) -> None:
    select(fill([episode("one")]), 'where: "true"')
    lake = fill([episode("two")], start=2)
    assert run(["why", ids(lake)[1], "--selection", "v1", "--lake", str(lake.path)]) == 2
    assert "run the filter again" in capsys.readouterr().err


def test_stats_of_a_selection_add_up(fill: Fill, capsys: pytest.CaptureFixture[str]) -> None:
    lake = fill([episode(f"q{index}", searches=index % 3) for index in range(9)])
    select(lake, 'where: "n_steps > 1"')
    found = said(capsys, lake, "stats", "--selection", "v1")
    decided = found["decisions"]
    assert isinstance(decided, list)
    assert {row["rule"]: row["trajectories"] for row in decided} == {"all rules": 6, "1: where": 3}
    assert (found["input"], found["kept"]) == (9, 6)


def test_stats_of_a_lake_count_current_rows(fill: Fill, capsys: pytest.CaptureFixture[str]) -> None:
    fill([episode("one")])
    lake = fill([episode("one")])
    found = said(capsys, lake, "stats")
    tables = found["tables"]
    assert isinstance(tables, list)
    assert {row["table"]: (row["rows"], row["superseded"]) for row in tables}["trajectories"] == (1, 1)


def test_diff_tells_what_came_in_what_went_out_and_why(fill: Fill, capsys: pytest.CaptureFixture[str]) -> None:
    lake = fill([episode(f"q{index}", searches=index) for index in range(4)])
    select(lake, 'where: "n_steps < 3"', "low")
    select(lake, 'where: "n_steps > 1 and n_steps < 4"', "mid")
    found = said(capsys, lake, "diff", "low", "mid")
    names = ids(lake)
    changed = {kind: [row["trajectory_id"] for row in found[kind]] for kind in ("in", "out")}  # type: ignore[attr-defined]
    assert changed == {"in": [names[2]], "out": [names[0]]}
    assert found["same_content"] is False
    same = said(capsys, lake, "diff", "low", f"low@{lake.snapshot().number}")
    assert (same["same_content"], same["in"], same["out"]) == (True, [], [])


def test_show_prints_every_part_of_a_trajectory(fill: Fill, capsys: pytest.CaptureFixture[str]) -> None:
    lake = fill([episode("Who is it?", failing=1, reward=1.0)])
    assert run(["show", ids(lake)[0][:8], "--lake", str(lake.path)]) == 0
    printed = capsys.readouterr().out
    for part in (
        "Who is it?",
        "gold  yes",
        "parse error",
        "about search[Who is it? 0]",
        "seen",
        "finish[yes]",
        "reward@source",
    ):
        assert part in printed


def test_trajectory_text_cannot_drive_the_terminal(
    fill: Fill, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    hostile = episode("\x1b[2J[bold]Who?[/bold]\x07")
    hostile.steps[0].observation = "\x1b]0;owned\x07 [red]x[/red]"
    lake = fill([hostile])
    for arguments in (["show", ids(lake)[0]], ["query", "SELECT question FROM trajectories_scored"]):
        assert run([*arguments, "--lake", str(lake.path)]) == 0
        printed = capsys.readouterr().out
        assert "\x1b[2J" not in printed
        assert "\x07" not in printed
        assert "[bold]Who?[/bold]" in printed


def test_columns_keep_the_names_that_sql_knows_and_too_many_are_listed_row_by_row(
    fill: Fill, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = fill([episode("Who?")])
    assert run(["query", "SELECT trajectory_id, n_steps FROM trajectories", "--lake", str(lake.path)]) == 0
    assert capsys.readouterr().out.split()[:2] == ["trajectory_id", "n_steps"]
    assert run(["query", "SELECT * FROM trajectories_scored", "--lake", str(lake.path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("row 1 ")
    assert ["question", "Who?"] in [line.split() for line in lines]
    assert max(map(len, lines)) <= PIPED_WIDTH


def test_show_gives_all_rows_to_machines(fill: Fill, capsys: pytest.CaptureFixture[str]) -> None:
    lake = fill([episode("q", reward=1.0)])
    found = said(capsys, lake, "show", ids(lake)[0])
    assert len(found["steps"]) == 2  # type: ignore[arg-type]
    assert found["scores"][0]["scorer"] == "reward@source"  # type: ignore[index]


def test_doctor_finds_the_installation_whole_and_names_damage(fill: Fill, capsys: pytest.CaptureFixture[str]) -> None:
    lake = fill([episode("q")])
    report = said(capsys, lake, "doctor")
    assert report["lake"] == []
    assert report["extras"][0] == {"extra": "(core)", "installed": True, "missing": "", "install": ""}  # type: ignore[index]
    victim = lake.snapshot().files("steps")[0]
    victim.write_bytes(victim.read_bytes()[:-1])
    assert run(["doctor", "--lake", str(lake.path)]) == 1
    assert str(victim) in capsys.readouterr().err


def test_compact_says_truly_why_there_is_nothing_to_do(fill: Fill, capsys: pytest.CaptureFixture[str]) -> None:
    lake = fill([episode("one")])
    compacting = ["compact", "--lake", str(lake.path)]
    assert run(compacting) == 0
    assert "fewer than two segments" in capsys.readouterr().err
    for index in range(8):
        fill([episode(f"{index} {random.Random(index).randbytes(100_000).hex()}")], start=index + 2)
    assert run([*compacting, "--target-mb", "1"]) == 0
    assert "commit" in capsys.readouterr().out
    assert run([*compacting, "--target-mb", "1"]) == 0
    said = capsys.readouterr().err
    assert "fewer than two" not in said
    assert f"the {len(lake.snapshot().segments)} segments are as few as --target-mb 1 allows, and sorted" in said


@pytest.mark.parametrize("name", ["segments", "commits"])
def test_a_lake_without_one_of_its_directories_is_damaged_for_doctor_and_vacuum(
    fill: Fill, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    lake = fill([episode("q")])
    shutil.rmtree(lake.path / name)
    assert run(["doctor", "--lake", str(lake.path)]) == 1
    assert f"damage: {lake.path / name} is no directory any more" in capsys.readouterr().err
    assert run(["vacuum", "--lake", str(lake.path)]) == 1
    assert f"error: {lake.path / name} is no directory any more" in capsys.readouterr().err
