"""Compaction changes files and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from lake_rows import an_id, rollout, score

from schemas import TABLES
from toolkit.errors import LakeDamagedError
from toolkit.lake.check import check
from toolkit.lake.compaction import compact
from toolkit.lake.lake import Lake, open_lake
from toolkit.lake.proofs import ranges_apart

ID_TABLES = ("tasks", "trajectories", "steps", "tool_calls", "candidates", "scores")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty trajectories in six commits, one of them tried twice, with scores in commits of their own."""
    lake = open_lake(tmp_path_factory.mktemp("original") / "lake", create=True)
    for part in range(6):
        with lake.write("rollouts") as batch:
            for index in range(part, 30, 6):
                batch.add(rollout(index, n_steps=3, mark=str(index)))
    with lake.write("scores") as batch:
        batch.add([score(index, index % 2 == 0) for index in range(30)])
    with lake.write("retry") as batch:
        batch.add(rollout(0, attempt=1, n_steps=1, mark="again"))
    return lake.path


@pytest.fixture
def lake(original: Path, tmp_path: Path) -> Lake:
    return open_lake(shutil.copytree(original, tmp_path / "lake"))


def contents(lake: Lake, at: int | None = None) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables, raw and current, without the times that need no look here."""
    connection = lake.snapshot(at).connect()
    try:
        names = [f"{schema}.{name}" for schema in ("raw", "main") for name in TABLES if name != "runs"]
        return {
            name: connection.sql(f"SELECT * EXCLUDE (scored_at) FROM {name} ORDER BY ALL").fetchall()
            if name.endswith(".scores")
            else connection.sql(f"SELECT * FROM {name} ORDER BY ALL").fetchall()
            for name in names
        }
    finally:
        connection.close()


@pytest.mark.parametrize(("target_bytes", "segments"), [(10**9, range(1, 2)), (20_000, range(4, 20))])
def test_every_table_holds_the_same_rows_before_and_after(lake: Lake, target_bytes: int, segments: range) -> None:
    before = contents(lake)
    before["raw.tasks"] = before["main.tasks"]  # the task of the retry stands twice before, and once after
    done = compact(lake, target_bytes=target_bytes)
    assert (done.commit, done.segments_before) == (9, 8)
    assert done.segments_after in segments
    assert contents(lake) == before
    assert check(lake) == []


def test_the_past_stays_readable(lake: Lake) -> None:
    before = contents(lake, at=6)
    compact(lake)
    assert contents(lake, at=6) == before
    assert lake.sql("SELECT count(*) FROM trajectories", at=3).fetchall() == [(15,)]


def test_small_targets_give_segments_of_disjoint_id_ranges_that_keep_a_trajectory_together(lake: Lake) -> None:
    done = compact(lake, target_bytes=20_000)
    snapshot = lake.snapshot()
    assert done.segments_after == len(snapshot.segments) > 3
    for table in ID_TABLES:
        entries = snapshot.entries(table)
        assert ranges_apart(entries), table
        assert all(entry.attached for entry in entries), table
    assert sum(entry.rows for entry in snapshot.entries("trajectories")) == 31
    assert {"steps", "tool_calls", "scores"} <= snapshot.proven.attached


def test_a_compacted_lake_without_retries_needs_no_look_at_other_rows(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake", create=True)
    for part in range(3):
        with lake.write("rollouts") as batch:
            for index in range(part, 12, 3):
                batch.add(rollout(index))
                batch.add([score(index, True)])
    assert not lake.snapshot().proven.unique >= set(TABLES)
    compact(lake)
    proven = lake.snapshot().proven
    assert proven.unique == proven.attached == frozenset(TABLES)


def test_rollouts_written_in_many_commits_are_bare_scans_also_before_compaction(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake", create=True)
    for part in range(3):
        with lake.write("rollouts") as batch:
            for index in range(part, 30, 3):
                batch.add(rollout(index))
    proven = lake.snapshot().proven
    assert {"trajectories", "steps", "tool_calls", "candidates"} <= proven.unique
    assert all(proven.follows_freely(TABLES[name]) for name in ("steps", "tool_calls", "candidates"))
    assert "tasks" not in proven.unique


def test_compacting_again_finds_nothing_to_do(lake: Lake) -> None:
    assert compact(lake).commit == 9
    again = compact(lake)
    assert (again.commit, again.segments_before, again.segments_after) == (None, 1, 1)
    assert lake.snapshot().number == 9


def test_an_empty_lake_and_a_single_segment_are_left_alone(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake", create=True)
    assert compact(lake).commit is None
    with lake.write("one") as batch:
        batch.add(rollout("a"))
    assert compact(lake).commit is None
    assert lake.snapshot().number == 1


def test_rows_lie_sorted_by_key_in_a_compacted_lake(lake: Lake) -> None:
    compact(lake)
    [path] = lake.snapshot().files("steps")
    rows = lake.snapshot().connect().sql("SELECT trajectory_id, attempt, step_index FROM raw.steps").fetchall()
    assert rows == sorted(rows)
    assert path.stat().st_mode & 0o222 == 0, "a committed file must not be writable"
    assert lake.snapshot().entries("steps")[0].first == min(an_id("trajectory", index) for index in range(30))


def test_a_damaged_segment_stops_the_compaction_and_leaves_everything_as_it_was(lake: Lake) -> None:
    victim = lake.snapshot().files("steps")[2]
    content = victim.read_bytes()
    victim.chmod(0o644)
    victim.write_bytes(content[:-100])
    with pytest.raises(LakeDamagedError, match=f"{victim} is torn"):
        compact(lake)
    assert lake.snapshot().number == 8
    victim.write_bytes(content)
    assert compact(lake).commit == 9
    assert check(lake) == []
