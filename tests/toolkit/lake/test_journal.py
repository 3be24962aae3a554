import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from schemas.identity import derive_id
from toolkit.errors import LakeDamagedError, LakeFormatError, RunError
from toolkit.lake.journal import Entry, Journal

ENDLESS = """
import asyncio, sys
from pathlib import Path
from toolkit.lake.journal import Entry, Journal

async def worker(journal, number):
    for step in range(10**9):
        entry = Entry(f"{number:024x}", number, step, "reply", b"d" * 16, 0, b"x" * 300)
        await journal.put(entry)
        sys.stdout.write(f"{number} {step}\\n")
        sys.stdout.flush()

async def main():
    journal = Journal(Path(sys.argv[1]))
    await asyncio.gather(*(worker(journal, number) for number in range(8)))

asyncio.run(main())
"""


def entry(name: str, step: int = 0, ordinal: int = 0, value: bytes | None = b"v", digest: bytes = b"d") -> Entry:
    return Entry(derive_id("t", name), 7, step, "reply", digest, ordinal, value, 5, 3)


def put(path: Path, *entries: Entry, forget: tuple[str, ...] = ()) -> None:
    async def run() -> None:
        with closing(Journal(path)) as journal:
            await asyncio.gather(*map(journal.put, entries))
            await journal.forget([derive_id("t", name) for name in forget])

    asyncio.run(run())


def read(path: Path) -> list[Entry]:
    with closing(Journal(path)) as journal:
        return journal.entries()


def test_what_was_put_comes_back_in_order_and_what_was_forgotten_does_not(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    put(path, entry("a", 1), entry("b"), entry("a", 0, 1, b"second"), entry("a", 0, 0, b"first"), forget=("b",))
    assert read(path) == [entry("a", 0, 0, b"first"), entry("a", 0, 1, b"second"), entry("a", 1)]


def test_an_announced_call_is_given_its_answer(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    put(path, entry("a", value=None))
    assert read(path)[0].value is None
    put(path, entry("a", value=b"answer"))
    assert read(path) == [entry("a", value=b"answer")]


def test_an_empty_journal_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    put(path, entry("a"))
    assert path.exists()
    put(path, forget=("a",))
    assert list(tmp_path.iterdir()) == []


def test_thousands_that_wait_at_once_are_all_written(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    entries = [entry(str(number), step=number % 5) for number in range(5_000)]
    put(path, *entries)
    assert sorted(read(path)) == sorted(entries)


@pytest.mark.parametrize("seed", range(3))
def test_what_put_returned_for_survives_kill_9(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "j.sqlite"
    process = subprocess.Popen([sys.executable, "-c", ENDLESS, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(200 + 137 * seed)]
    os.kill(process.pid, signal.SIGKILL)
    said += process.communicate()[0].splitlines()
    durable = {tuple(map(int, line.split())) for line in said if len(line.split()) == 2}
    found = {(found.place, found.step) for found in read(path)}
    assert len(durable) >= 200
    assert durable <= found
    # At most one more of each worker: whatever it was waiting for.
    assert len(found - durable) <= 8


def test_a_torn_write_ahead_log_loses_no_more_than_what_was_torn(tmp_path: Path) -> None:
    path, log = tmp_path / "j.sqlite", tmp_path / "j.sqlite-wal"
    process = subprocess.Popen([sys.executable, "-c", ENDLESS, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(50):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    whole = log.read_bytes()
    before = read_copy(path, whole, tmp_path / "whole")
    torn = read_copy(path, whole[: len(whole) * 7 // 10] + b"\xff" * 50, tmp_path / "torn")
    assert len(before) >= 50
    assert 0 < len(torn) < len(before)
    assert set(torn) < set(before)
    # Each worker's entries are there up to a point: none is missing before one that is there.
    assert all(entry.step == 0 or entry._replace(step=entry.step - 1) in torn for entry in torn)


def read_copy(path: Path, log: bytes, directory: Path) -> list[Entry]:
    directory.mkdir()
    (directory / path.name).write_bytes(path.read_bytes())
    (directory / f"{path.name}-wal").write_bytes(log)
    return read(directory / path.name)


def test_a_foreign_file_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    path.write_bytes(b"not a database, but long enough to be read as one" * 100)
    with pytest.raises(LakeDamagedError, match=r"j\.sqlite is no journal.*move it away"):
        Journal(path)
    assert path.read_bytes().startswith(b"not a database")


def test_a_journal_of_a_newer_toolkit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(LakeFormatError, match="has version 2; this toolkit reads 1"):
        Journal(path)


def test_a_refused_write_reaches_whoever_waits_and_nobody_else(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(Journal(tmp_path / "j.sqlite")) as journal:
            await journal.put(entry("a"))
            # Nothing that SQLite takes: refused by it like on a full disk, without one.
            with pytest.raises(RunError, match="cannot write the journal .*goes on from here"):
                await journal.put(entry("b", value=object()))  # type: ignore[arg-type]
            await journal.put(entry("c"))

    asyncio.run(run())
    assert [found.trajectory_id for found in read(tmp_path / "j.sqlite")] == sorted(
        derive_id("t", name) for name in "ac"
    )


def test_a_number_that_no_column_holds_does_not_end_the_writer(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(Journal(tmp_path / "j.sqlite")) as journal:
            with pytest.raises(RunError, match="too large"):
                await asyncio.wait_for(journal.put(entry("a")._replace(prompt_tokens=1 << 64)), 10)
            await asyncio.wait_for(journal.put(entry("b")), 10)

    asyncio.run(run())
    assert [found.trajectory_id for found in read(tmp_path / "j.sqlite")] == [derive_id("t", "b")]


def test_what_a_cancelled_rollout_brought_is_written_all_the_same(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(Journal(tmp_path / "j.sqlite")) as journal:
            waiting = asyncio.ensure_future(journal.put(entry("a")))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(run())
    assert read(tmp_path / "j.sqlite") == [entry("a")]


def test_what_is_forgotten_and_put_again_stays(tmp_path: Path) -> None:
    path = tmp_path / "journal"

    async def run() -> None:
        with closing(Journal(path)) as journal:
            await asyncio.gather(
                journal.put(entry("other")), journal.forget([derive_id("t", "a")]), journal.put(entry("a"))
            )

    asyncio.run(run())
    assert sorted(read(path)) == sorted([entry("a"), entry("other")])
