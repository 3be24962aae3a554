"""Which journal a process may use: one file for each identity and shard, locked by its only user.

    lake/journal/<identity hash>.sqlite              the whole of a run
    lake/journal/<identity hash>-2-of-4.sqlite       its second shard of four

Invariant: no rollout is run by two processes at once. Shards of one division never overlap; those of
different divisions may, so they do not run together, and what an earlier division left unfinished is
taken over by the shard that it now belongs to. The kernel gives a lock back when its process dies,
however it dies.

Not covered: file systems without `flock`; two runs of different identity that make the same chains of
thought at the same time.
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from schemas.identity import derive_id
from toolkit.errors import InputError, LakeError
from toolkit.lake.journal import Journal
from toolkit.lake.layout import Layout, sync_directory

PATIENCE_S = 2.0
"""A lock may be held for a moment by one who looks for unfinished rollouts."""
_NAME = re.compile(r"^([0-9a-f]+)(?:-(\d+)-of-(\d+))?$", re.ASCII)
_OPTION = re.compile(r"^(\d+)/(\d+)$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `number` (from 1) of `count`: the questions whose place leaves that remainder."""

    number: int = 1
    count: int = 1

    def holds(self, task_id: str) -> bool:
        """Whether a question is in this part; each question is in exactly one."""
        return self.takes(place(task_id))

    def takes(self, place: int) -> bool:
        """The same by the question's place."""
        return place % self.count == self.number - 1

    def name(self, identity_hash: str) -> str:
        """Name of its journal, without a suffix."""
        return identity_hash if self.count == 1 else f"{identity_hash}-{self.number}-of-{self.count}"


WHOLE = Shard()


def parse_shard(text: str) -> Shard:
    """The shard that `i/n` names.

    Raises:
        InputError: it names none.
    """
    match = _OPTION.match(text)
    number, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= count:
        raise InputError(f"expected --shard as i/n with i from 1 to n, such as 2/4, got {text!r}")
    return Shard(number, count)


def place(task_id: str) -> int:
    """Where a question stands among all, by the hash of its id: 32 bits."""
    return int(derive_id("place", task_id)[:8], 16)


@contextmanager
def open_journal(layout: Layout, identity_hash: str, shard: Shard = WHOLE) -> Iterator[Journal]:
    """The journal of a run, for this process alone, with all that earlier runs left of this shard.

    Raises:
        InputError: another process runs it; the message names it.
        LakeError: the directory cannot be written.
        RunError: the journal cannot.
    """
    path = journal_path(layout, identity_hash, shard)
    try:
        if not path.parent.exists():
            path.parent.mkdir(exist_ok=True)
            sync_directory(layout.root)
    except OSError as error:
        raise LakeError(f"cannot make {path.parent}: {error.strerror or error}") from error
    with _locked(path):
        with closing(Journal(path)) as journal:
            for other in _others(path, identity_hash, shard):
                _take_over(other, journal, shard.takes)
            yield journal


def unfinished(layout: Layout, identity_hash: str, shard: Shard = WHOLE) -> set[str]:
    """Trajectories of a shard that earlier runs left in the middle; nothing is changed.

    Raises:
        InputError: another process runs some of them.
    """
    own = journal_path(layout, identity_hash, shard)
    found: set[str] = set()
    for path in [own, *(_others(own, identity_hash, shard) if own.parent.is_dir() else [])]:
        if not path.exists():
            continue
        with _locked(path), closing(Journal(path)) as journal:
            found |= {entry.trajectory_id for entry in journal.entries() if shard.takes(entry.place)}
    return found


def journal_path(layout: Layout, identity_hash: str, shard: Shard = WHOLE) -> Path:
    """Where the journal of an identity and shard lies."""
    return layout.journals / f"{shard.name(identity_hash)}.sqlite"


def _others(path: Path, identity_hash: str, shard: Shard) -> list[Path]:
    """Journals and locks of other divisions of the same run, as journal paths."""
    found = {file.with_suffix(".sqlite") for file in path.parent.iterdir() if file.suffix in (".sqlite", ".lock")}
    matches = {other: _NAME.match(other.stem) for other in found - {path}}
    return sorted(
        other for other, match in matches.items() if match and match[1] == identity_hash and match[3] != _count(shard)
    )


def _count(shard: Shard) -> str | None:
    return None if shard.count == 1 else str(shard.count)


def _take_over(path: Path, journal: Journal, ours: Callable[[int], bool]) -> None:
    """Move what a process left behind that no longer runs."""
    with _locked(path):
        if not path.exists():
            return
        with closing(Journal(path)) as other:
            entries = [entry for entry in other.entries() if ours(entry.place)]
            journal.adopt(entries)
            # Only now: whoever dies in between leaves them twice, and the second copy is ignored.
            other.drop({entry.trajectory_id for entry in entries})


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock beside a journal.

    Raises:
        InputError: another process holds it, and not just for a moment.
    """
    lock = path.with_suffix(".lock")
    until = time.monotonic() + PATIENCE_S
    while True:
        file = lock.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with file:
                if time.monotonic() > until:
                    raise InputError(_busy(path, file)) from None
            time.sleep(0.02)
            continue
        # Its last holder may have removed the file that we opened.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), lock.stat()):
                break
        file.close()
    with file:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _busy(path: Path, lock: TextIO) -> str:
    lock.seek(0)
    return (
        f"{lock.read() or 'another process'} is at work on the same rollouts (it holds {path}); "
        "wait for it, or divide the questions by --shard 1/2 and --shard 2/2 in all processes"
    )
