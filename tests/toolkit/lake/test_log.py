"""The log: numbers without gaps, complete states now and then, and words for whatever is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lake_rows import rollout, score

from schemas import FORMAT_VERSION
from toolkit.errors import LakeDamagedError, LakeFormatError
from toolkit.lake.commits import STATE_EVERY, CommitLog
from toolkit.lake.compaction import compact
from toolkit.lake.lake import Lake, open_lake


def write_commits(lake: Lake, count: int) -> None:
    for index in range(count):
        with lake.write(f"score {index}") as batch:
            batch.add([score(index, True)])


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", create=True)


def test_every_commit_is_reachable_across_complete_states(lake: Lake) -> None:
    write_commits(lake, 2 * STATE_EVERY + 3)
    fresh = CommitLog(lake.layout)
    for number in (0, 1, STATE_EVERY - 1, STATE_EVERY, STATE_EVERY + 1, 2 * STATE_EVERY, 2 * STATE_EVERY + 3):
        found, segments = fresh.live(number)
        assert (found, len(segments)) == (number, number)
    states = [commit.number for commit in fresh.history() if commit.state is not None]
    assert states == [2 * STATE_EVERY, STATE_EVERY]
    compact(lake)
    write_commits(lake, 1)
    assert [len(CommitLog(lake.layout).live(at)[1]) for at in (None, 2 * STATE_EVERY + 3)] == [2, 2 * STATE_EVERY + 3]


def test_an_open_lake_sees_what_others_commit(lake: Lake) -> None:
    write_commits(lake, 3)
    other = open_lake(lake.path)
    assert other.snapshot().number == 3
    write_commits(lake, STATE_EVERY)
    assert other.snapshot().number == STATE_EVERY + 3
    assert other.snapshot().segments == open_lake(lake.path).snapshot().segments


def test_a_gap_names_the_missing_commit(lake: Lake) -> None:
    write_commits(lake, 3)
    lake.layout.commit(2).unlink()
    with pytest.raises(LakeDamagedError, match=r"00000002\.json is missing, but commit 3 exists"):
        lake.snapshot()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\x00" * 64, b'{"format": 1, "number": 2}'])
def test_a_torn_or_foreign_commit_is_named(lake: Lake, content: bytes) -> None:
    write_commits(lake, 2)
    lake.layout.commit(2).write_bytes(content)
    with pytest.raises(LakeDamagedError, match=r"00000002\.json is torn or not a commit"):
        open_lake(lake.path).snapshot()


def test_a_commit_that_is_cut_short_at_any_byte_is_never_believed(lake: Lake) -> None:
    write_commits(lake, 1)
    whole = lake.layout.commit(1).read_bytes()
    for length in range(0, len(whole), 37):
        lake.layout.commit(1).write_bytes(whole[:length])
        with pytest.raises(LakeDamagedError, match=r"00000001\.json"):
            open_lake(lake.path).snapshot()


def test_a_commit_under_another_number_is_named(lake: Lake) -> None:
    write_commits(lake, 2)
    lake.layout.commit(1).replace(lake.layout.commit(2))
    lake.layout.commit(1).write_bytes(lake.layout.commit(2).read_bytes())
    with pytest.raises(LakeDamagedError, match=r"00000002\.json says that it is commit 1"):
        open_lake(lake.path).snapshot()


def test_a_commit_of_a_newer_format_says_so_whatever_else_it_holds(lake: Lake) -> None:
    write_commits(lake, 1)
    newer = {**json.loads(lake.layout.commit(1).read_text()), "format": FORMAT_VERSION + 1, "number": 2, "new": True}
    lake.layout.commit(2).write_text(json.dumps(newer))
    with pytest.raises(LakeFormatError, match=rf"00000002\.json has format {FORMAT_VERSION + 1}"):
        open_lake(lake.path).snapshot()


@pytest.mark.parametrize("name", ["notes.txt", "00000000.json", "0000000002.json", "2.json", "00000002.json.bak"])
def test_a_foreign_file_in_the_log_is_no_commit(lake: Lake, name: str) -> None:
    write_commits(lake, 1)
    (lake.layout.commits / name).write_text("{}")
    assert open_lake(lake.path).snapshot().number == 1
    assert lake.log.foreign() == [name]


def test_a_lake_without_its_log_says_so(lake: Lake) -> None:
    lake.layout.commits.rmdir()
    with pytest.raises(LakeDamagedError, match="commits: No such file"):
        lake.snapshot()


def test_a_taken_number_is_never_written_again(lake: Lake) -> None:
    write_commits(lake, 1)
    before = lake.layout.commit(1).read_bytes()
    stale = CommitLog(lake.layout)
    with lake.write("rollout") as batch:
        batch.add(rollout("a"))
    assert stale.append(by="late", added={}) == 3
    assert lake.layout.commit(1).read_bytes() == before
    assert [commit.by for commit in stale.history()] == ["late", "rollout", "score 0"]
