"""Vacuum removes what nobody needs, and only that."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lake_rows import an_id, rollout
from processes import finish, running

from schemas import Selection
from toolkit.errors import LakeDamagedError
from toolkit.lake.check import check
from toolkit.lake.compaction import compact
from toolkit.lake.lake import Lake, open_lake
from toolkit.lake.vacuum import vacuum


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = open_lake(tmp_path / "lake", create=True)
    for index in range(3):
        with lake.write("rollout") as batch:
            batch.add(rollout(index))
    return lake


def segments(lake: Lake) -> set[Path]:
    return set(lake.layout.segments.iterdir())


def two_hours_old(path: Path) -> Path:
    moment = time.time() - 7200
    os.utime(path, (moment, moment))
    return path


HOLD_A_SEGMENT = """
from schemas import TABLES, Prompt
from schemas.arrow import rows_to_arrow
from toolkit.lake.writing import NewSegments
lake = open_lake(root)
with NewSegments(lake.layout, lake.log) as new:
    prompts = rows_to_arrow(TABLES["prompts"], [Prompt(prompt_hash=an_id("held"), text="held")])
    new.open().write(TABLES["prompts"], prompts, attached=True)
    print("holding", flush=True)
    sys.stdin.readline()
    print(new.commit("held"))
"""


def test_the_segment_of_a_living_writer_is_never_removed_however_old(lake: Lake) -> None:
    before = segments(lake)
    with running(HOLD_A_SEGMENT, lake.path) as writer:
        [held] = segments(lake) - before
        two_hours_old(held)
        assert check(lake) == []
        assert vacuum(lake).leftovers == []
        assert vacuum(lake, older_than_s=0).leftovers == []
        assert writer.stdin is not None
        writer.stdin.write("go on\n")
        writer.stdin.flush()
        assert finish(writer).strip() == "4"
    assert lake.sql("SELECT text FROM prompts").fetchall() == [("held",)]
    assert check(lake) == []


def test_the_segment_of_a_dead_writer_is_reported_and_removed_when_it_is_old(lake: Lake) -> None:
    before = segments(lake)
    with running(HOLD_A_SEGMENT, lake.path):
        [held] = segments(lake) - before
    assert [(finding.severity, finding.path) for finding in check(lake)] == [("leftover", held)]
    assert vacuum(lake).leftovers == [], "it is young: its writer may be on another machine"
    two_hours_old(held)
    planned = vacuum(lake, dry_run=True)
    assert planned.leftovers == [held]
    assert held.exists()
    done = vacuum(lake)
    assert done == planned
    assert segments(lake) == before
    assert check(lake) == []


def test_temporary_files_of_dead_writers_are_removed_when_they_are_old(lake: Lake) -> None:
    temporaries = [
        lake.layout.commits / ".00000004.json.0123456789ab.tmp",
        lake.path / ".lake.json.0123456789ab.tmp",
    ]
    for path in temporaries:
        path.write_text("half")
    assert vacuum(lake).leftovers == []
    for path in temporaries:
        two_hours_old(path)
    assert sorted(finding.path for finding in check(lake)) == sorted(temporaries)
    assert sorted(vacuum(lake).leftovers) == sorted(temporaries)
    assert not any(path.exists() for path in temporaries)


def test_superseded_segments_stay_until_history_is_asked_for(lake: Lake) -> None:
    compact(lake)
    vacuum(lake, older_than_s=0)
    assert lake.sql("SELECT count(*) FROM trajectories", at=2).fetchall() == [(2,)]
    done = vacuum(lake, older_than_s=0, history=True)
    assert len(done.superseded) == 3
    assert done.freed_bytes > 0
    assert lake.sql("SELECT count(*) FROM trajectories").fetchall() == [(3,)]
    with pytest.raises(
        LakeDamagedError, match="`vacuum --history` removed it at commit 5, so commit 2 is out of reach"
    ):
        lake.sql("SELECT 1", at=2)
    assert check(lake) == []


def test_history_spares_what_was_superseded_a_moment_ago_because_readers_may_be_at_it(lake: Lake) -> None:
    reader = lake.snapshot().connect()
    compact(lake)
    assert vacuum(lake, history=True).superseded == []
    assert reader.execute("SELECT count(*) FROM steps").fetchall() == [(6,)]
    assert lake.snapshot().number == 4, "nothing was removed, so nothing is said in the log"


def select(lake: Lake, *, input_commit: int, created_at: datetime) -> None:
    selection = Selection(
        name="v1",
        selection_id=an_id("selection"),
        recipe="{}",
        input_commit=input_commit,
        n_input=2,
        n_kept=2,
        content_hash=an_id("content"),
        created_at=created_at,
    )
    with lake.write("filter v1") as batch:
        batch.add([selection])


def test_the_commit_that_a_selection_was_made_from_stays_readable(lake: Lake) -> None:
    select(lake, input_commit=2, created_at=datetime.now(UTC))
    compact(lake)
    done = vacuum(lake, older_than_s=0, history=True)
    assert len(done.superseded) == 2
    assert lake.sql("SELECT count(*) FROM trajectories", at=2).fetchall() == [(2,)]
    with pytest.raises(LakeDamagedError, match="out of reach"):
        lake.sql("SELECT 1", at=3)


@pytest.mark.parametrize("commit", [2, 99])
def test_a_selection_older_than_the_lake_was_pulled_and_its_commit_is_one_of_another_lake(
    lake: Lake, commit: int
) -> None:
    select(lake, input_commit=commit, created_at=lake.identity.created_at - timedelta(days=1))
    compact(lake)
    assert len(vacuum(lake, older_than_s=0, history=True).superseded) == 4
    assert lake.sql("SELECT count(*) FROM trajectories").fetchall() == [(3,)]


def test_vacuum_after_vacuum_finds_nothing(lake: Lake) -> None:
    compact(lake)
    assert vacuum(lake, older_than_s=0, history=True).superseded
    number = lake.snapshot().number
    again = vacuum(lake, older_than_s=0, history=True)
    assert (again.leftovers, again.superseded, again.freed_bytes) == ([], [], 0)
    assert lake.snapshot().number == number


def test_a_vacuum_that_was_cut_off_after_its_commit_is_finished_by_the_next(lake: Lake) -> None:
    compact(lake)
    superseded = [path for path in segments(lake) if path.name not in lake.snapshot().segments]
    lake.log.append(by="vacuum --history", added={}, vacuumed=[path.name for path in superseded])
    assert check(lake) == []
    assert sorted(vacuum(lake, older_than_s=0, history=True).superseded) == sorted(superseded)
    assert not any(path.exists() for path in superseded)
