"""What rollouts in progress have been answered, by models and tools: a keyed cache in SQLite (WAL).

    answer = await llm.complete(request)
    await journal.put(Entry(trajectory_id, place, step, "reply", digest, ordinal, value))
    # only now is the answer used

Invariant: when `put` returns, the entry survives `kill -9` and a power cut; an entry is there whole
or not at all. One thread writes: whatever waits is one statement and one sync, so that the event
loop spends the same on an entry however many there are. The file is locked by its only user
(`journals`), so SQLite needs no shared memory and works on network file systems, too.

An entry belongs to a trajectory, not to one attempt: a retry goes on from what the failed attempt
was answered. Not covered: what is still on its way from a server when the process dies.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from queue import SimpleQueue
from typing import Literal, NamedTuple

from toolkit.errors import LakeDamagedError, LakeFormatError, RunError

VERSION = 1
MOST_ENTRIES = 1_000
"""Entries of one statement; SQLite takes 32,766 values."""
GROUP_S = 0.002
"""How long the first entry of a statement waits for those of other rollouts, where there are any: little against what a
model takes, and with 64 in flight it saves four syncs of ten and a tenth of the client's processor time."""
_TABLE = """
CREATE TABLE entries (
    trajectory_id TEXT NOT NULL, place INTEGER NOT NULL, step INTEGER NOT NULL, kind TEXT NOT NULL,
    digest BLOB NOT NULL, ordinal INTEGER NOT NULL, value BLOB, prompt_tokens INTEGER, completion_tokens INTEGER,
    PRIMARY KEY (trajectory_id, step, kind, digest, ordinal)
)"""


class Entry(NamedTuple):
    """One answer."""

    trajectory_id: str
    place: int
    """Where the question stands among all: shards divide by it."""
    step: int
    kind: Literal["reply", "tool"]
    digest: bytes
    """Of all that was asked: a request and its model, or a tool and its arguments."""
    ordinal: int
    """Number among equal questions of one step, from 0."""
    value: bytes | None
    """The answer, JSON. None: a tool that writes was called, and whether it answered is not known."""
    prompt_tokens: int | None = None
    """Tokens that the model read. None: not counted, or a tool."""
    completion_tokens: int | None = None
    """Tokens that the model wrote. None: not counted, or a tool."""


class _Job(NamedTuple):
    statement: Literal["put", "forget"]
    values: Sequence[object]
    done: asyncio.Future[None]


class Journal:
    """One open journal file. The caller holds its lock (`journals.open_journal`).

    Raises:
        LakeDamagedError: the file is no journal.
        LakeFormatError: a newer toolkit wrote it.
        RunError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        """None: there will be no more."""
        self._connection = self._open()
        self._writer = threading.Thread(target=self._write, name="journal", daemon=True)
        self._writer.start()

    def _open(self) -> sqlite3.Connection:
        connection = None
        try:
            connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                connection.execute("BEGIN")
                connection.execute(_TABLE)
                connection.execute(f"PRAGMA user_version = {VERSION}")
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection is not None:
                connection.close()
            if isinstance(error, sqlite3.OperationalError):
                raise self._refused(error) from error
            raise LakeDamagedError(
                f"{self.path} is no journal ({error}); move it away, and what it recorded will be asked again"
            ) from error
        if version > VERSION:
            connection.close()
            raise LakeFormatError(f"{self.path} has version {version}; this toolkit reads {VERSION}: install a newer")
        return connection

    def _refused(self, error: Exception) -> RunError:
        return RunError(
            f"cannot write the journal {self.path}: {error}; nothing that was recorded is lost: "
            "make room, and the same command goes on from here"
        )

    def entries(self) -> list[Entry]:
        """All of it, in the order of the key. To be called before the first `put`."""
        rows = self._connection.execute("SELECT * FROM entries ORDER BY trajectory_id, step, kind, digest, ordinal")
        return [Entry(*row) for row in rows]

    async def put(self, entry: Entry) -> None:
        """Record an entry, or give one without a value its value; returns when it is durable.

        Raises:
            RunError: the disk refused.
        """
        await self._do("put", entry)

    async def forget(self, trajectory_ids: Collection[str]) -> None:
        """Drop what belongs to these trajectories, which the lake holds by now.

        Raises:
            RunError: the disk refused.
        """
        if trajectory_ids:
            await self._do("forget", list(trajectory_ids))

    async def _do(self, statement: Literal["put", "forget"], values: Sequence[object]) -> None:
        job = _Job(statement, values, asyncio.get_running_loop().create_future())
        self._jobs.put(job)
        await job.done

    def adopt(self, entries: Iterable[Entry]) -> None:
        """Take over entries of another journal. To be called before the first `put`.

        Raises:
            RunError: the disk refused.
        """
        try:
            self._connection.execute("BEGIN")
            self._connection.executemany("INSERT OR IGNORE INTO entries VALUES (?,?,?,?,?,?,?,?,?)", entries)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._connection.rollback()
            raise self._refused(error) from error

    def drop(self, trajectory_ids: Collection[str]) -> None:
        """As `forget`, outside of an event loop. To be called before the first `put`.

        Raises:
            RunError: the disk refused.
        """
        try:
            self._delete(list(trajectory_ids))
        except sqlite3.Error as error:
            raise self._refused(error) from error

    def close(self) -> None:
        """Write what waits; remove the file if nothing is left in it."""
        self._jobs.put(None)
        self._writer.join()
        empty = False
        with suppress(sqlite3.Error):
            empty = self._connection.execute("SELECT count(*) FROM entries").fetchone() == (0,)
        with suppress(sqlite3.Error):
            self._connection.close()
        if empty:
            for path in (self.path, Path(f"{self.path}-wal")):
                path.unlink(missing_ok=True)

    def _write(self) -> None:
        """The writer's life: take what comes in a moment, write it at once, tell those who wait."""
        last: object = None
        while (job := self._jobs.get()) is not None:
            if job.values[0] != last:  # more than one rollout is at it
                time.sleep(GROUP_S)
            jobs = [job]
            while len(jobs) < MOST_ENTRIES and not self._jobs.empty():
                if (job := self._jobs.get()) is None:
                    # Comes last, so that the next look ends the loop.
                    self._jobs.put(None)
                    break
                jobs.append(job)
            last = jobs[-1].values[0]
            for statement, alike in groupby(jobs, key=attrgetter("statement")):
                self._finish(list(alike), self._insert if statement == "put" else self._delete)

    def _finish(self, jobs: list[_Job], execute: Callable[[list[object]], None]) -> None:
        refused: RunError | None = None
        try:
            execute([value for job in jobs for value in job.values])
        # Whatever it is: a writer that ended would leave all who wait, now and later, waiting for ever.
        except Exception as error:
            refused = self._refused(error)
            refused.__cause__ = error
        # A loop that is closed has nobody left who waits.
        with suppress(RuntimeError):
            jobs[0].done.get_loop().call_soon_threadsafe(_tell, jobs, refused)

    def _insert(self, values: list[object]) -> None:
        """One statement, which commits and syncs by itself: the interpreter's lock is given away once."""
        rows = ",".join(["(?,?,?,?,?,?,?,?,?)"] * (len(values) // len(Entry._fields)))
        self._connection.execute(f"INSERT OR REPLACE INTO entries VALUES {rows}", values)

    def _delete(self, trajectory_ids: list[object]) -> None:
        for start in range(0, len(trajectory_ids), MOST_ENTRIES):
            some = trajectory_ids[start : start + MOST_ENTRIES]
            self._connection.execute(f"DELETE FROM entries WHERE trajectory_id IN ({','.join('?' * len(some))})", some)


def _tell(jobs: list[_Job], refused: RunError | None) -> None:
    for job in jobs:
        if job.done.done():
            # Whoever waited was cancelled; what he brought is written all the same.
            continue
        if refused is None:
            job.done.set_result(None)
        else:
            job.done.set_exception(refused)
