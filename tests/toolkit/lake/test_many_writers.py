"""Several processes at one lake: nothing is lost, nothing is doubled, numbers have no gaps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
from lake_rows import an_id, rollout
from processes import finish, running, start

from schemas import TABLES, Prompt
from schemas.arrow import rows_to_arrow
from toolkit.errors import CommitConflictError
from toolkit.lake.check import check
from toolkit.lake.compaction import compact
from toolkit.lake.lake import Lake, open_lake
from toolkit.lake.writing import NewSegments

ONE_PROMPT = (TABLES["prompts"], rows_to_arrow(TABLES["prompts"], [Prompt(prompt_hash=an_id("p"), text="x")]))

WRITE_MANY = """
lake = open_lake(root, create=True)
print("ready", flush=True)
writer, number = arguments[0], int(arguments[1])
for index in range(number):
    with lake.write(f"writer {writer}") as batch:
        batch.add(rollout(f"{writer} {index}", n_steps=1))
    print(batch.commit, flush=True)
"""


def test_four_processes_create_one_lake_and_take_every_number_once(tmp_path: Path) -> None:
    writers = [start(WRITE_MANY, tmp_path / "lake", writer, 25) for writer in range(4)]
    said = [finish(process).split() for process in writers]
    lake = open_lake(tmp_path / "lake")
    numbers = [int(number) for lines in said for number in lines[1:]]
    assert sorted(numbers) == list(range(1, 101)) == list(lake.log.numbers())
    assert all(own == sorted(own) for own in ([int(number) for number in lines[1:]] for lines in said))
    expected = {an_id("trajectory", f"{writer} {index}") for writer in range(4) for index in range(25)}
    connection = lake.snapshot().connect()
    found = connection.sql("SELECT trajectory_id FROM raw.trajectories").fetchall()
    assert len(found) == 100
    assert {row[0] for row in found} == expected
    assert {commit.by for commit in lake.log.history()} == {f"writer {writer}" for writer in range(4)}
    assert check(lake) == []


def test_threads_share_a_lake_object(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake", create=True)

    def write(writer: int) -> list[int]:
        seen = []
        for index in range(20):
            with lake.write(f"thread {writer}") as batch:
                batch.add(rollout(f"{writer} {index}", n_steps=1))
            snapshot = lake.snapshot()
            assert snapshot.rows("trajectories") == snapshot.number
            seen.append(snapshot.number)
        return seen

    with ThreadPoolExecutor(4) as threads:
        assert all(seen == sorted(seen) for seen in threads.map(write, range(4)))
    for number in (63, 64, 65, 80):
        assert open_lake(lake.path).snapshot(number).rows("trajectories") == number


COMPACT_OFTEN = """
lake = open_lake(root)
print("ready", flush=True)
while True:
    compact(lake)
"""


def test_a_writer_and_a_compaction_do_not_disturb_each_other(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake", create=True)
    written, compactions = 0, 0
    with running(COMPACT_OFTEN, tmp_path / "lake"):
        while written < 15 or (compactions < 2 and written < 500):
            with lake.write("writer") as batch:
                batch.add(rollout(written, n_steps=1))
            written += 1
            snapshot = lake.snapshot()
            compactions = snapshot.number - written
            assert snapshot.rows("trajectories") == written
    assert compactions >= 2, "the other process never got to compact"
    found = lake.sql("SELECT trajectory_id FROM trajectories").fetchall()
    assert {row[0] for row in found} == {an_id("trajectory", index) for index in range(written)}
    assert [finding for finding in check(lake) if finding.severity != "leftover"] == []


def test_the_slower_of_two_compactions_gives_up_and_changes_nothing(tmp_path: Path) -> None:
    lake, other = open_lake(tmp_path / "lake", create=True), open_lake(tmp_path / "lake")
    for index in range(3):
        with lake.write("writer") as batch:
            batch.add(rollout(index))
    overtaken = False

    def overtake(table: str) -> None:
        nonlocal overtaken
        if not overtaken:
            overtaken = True
            assert compact(other).commit == 4

    with pytest.raises(CommitConflictError, match="superseded by another writer"):
        compact(lake, progress=overtake)
    assert lake.snapshot().number == 4
    assert lake.snapshot().rows("trajectories") == 3
    assert len(list(lake.layout.segments.iterdir())) == 4
    assert check(lake) == []


def test_a_commit_made_during_a_compaction_stays(tmp_path: Path) -> None:
    lake, other = open_lake(tmp_path / "lake", create=True), open_lake(tmp_path / "lake")
    for index in range(3):
        with lake.write("writer") as batch:
            batch.add(rollout(index))

    attempts = count(1)

    def retry_meanwhile(table: str) -> None:
        with other.write(f"during {table}") as batch:
            batch.add(rollout(0, attempt=next(attempts), mark="during"))

    n_tables = 5
    assert compact(lake, progress=retry_meanwhile).commit == 3 + n_tables + 1
    rows = lake.sql("SELECT final_answer, attempt, count(*) FROM trajectories GROUP BY ALL ORDER BY ALL").fetchall()
    assert rows == [("", 0, 2), ("during", n_tables, 1)]


def write_and_be_interrupted(lake: Lake, *, after_commit: bool) -> None:
    with NewSegments(lake.layout, lake.log) as new:
        new.open().write(*ONE_PROMPT, attached=True)
        if after_commit:
            new.commit("interrupted")
        raise KeyboardInterrupt


def test_an_interrupt_between_commit_and_return_does_not_remove_what_was_committed(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake", create=True)
    with pytest.raises(KeyboardInterrupt):
        write_and_be_interrupted(lake, after_commit=True)
    assert lake.snapshot().rows("prompts") == 1
    assert check(lake) == []


def test_an_interrupt_before_the_commit_removes_what_was_written(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake", create=True)
    with pytest.raises(KeyboardInterrupt):
        write_and_be_interrupted(lake, after_commit=False)
    assert lake.snapshot().number == 0
    assert list(lake.layout.segments.iterdir()) == []
