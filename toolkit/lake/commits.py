"""The log of a lake: numbered commits, each created exclusively, read by folding.

Invariant: the live segments after commit N are those added and not removed by commits
1…N. A commit is one file that appears whole; whoever loses the race for a number reads
what the winner wrote and takes the next. Every 64th commit also carries the complete
list of live segments, so that readers need not start at 1.

Not covered: the content of segments (`segments`), deleting anything (`vacuum`).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from schemas import FORMAT_VERSION
from toolkit.errors import CommitConflictError, InputError, LakeDamagedError, LakeError, LakeFormatError
from toolkit.lake.layout import TEMPORARY_NAME, Layout, commit_number, create_exclusively

STATE_EVERY = 64


class SegmentTable(BaseModel):
    """One Parquet file, as the commit that added it describes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int
    size_bytes: int
    sha256: str
    first: str
    """Smallest value of the first key column."""
    last: str
    """Greatest value of the first key column."""
    unique: bool
    """Whether no key of the table occurs twice in this file."""
    attached: bool
    """Whether every row has the row that it follows in the same segment; true if its table follows none."""


Segment = dict[str, SegmentTable]
"""The files of a segment by table name."""


class Commit(BaseModel):
    """One entry of the log."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int
    number: int
    at: datetime
    by: str
    """What wrote it, in words: the command and its subject."""
    host: str
    pid: int
    added: dict[str, Segment]
    removed: list[str]
    """Segments that are superseded; their files stay until vacuum."""
    vacuumed: list[str]
    """Superseded segments whose files vacuum deleted from now on."""
    state: dict[str, Segment] | None
    """All live segments after this commit. None: fold from an earlier commit."""


class _Version(BaseModel):
    """The one field of a commit that every format has."""

    format: int


class CommitLog:
    """The commits of one lake."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        # One value, replaced as a whole: threads may share a log.
        self._known: tuple[int, dict[str, Segment]] = (0, {})

    def numbers(self) -> range:
        """All commit numbers, from 1, ascending.

        Raises:
            LakeDamagedError: a number is missing in the middle.
        """
        try:
            names = os.listdir(self._layout.commits)
        except OSError as error:
            reason = error.strerror or str(error)
            raise LakeDamagedError(f"{self._layout.commits}: {reason}; a lake keeps its log there") from error
        found = {number for name in names if (number := commit_number(name))}
        newest = max(found, default=0)
        for number in range(1, newest):
            # A listing made while others write may show a new entry and miss an older one.
            if number not in found and not self._layout.commit(number).exists():
                raise LakeDamagedError(f"{self._layout.commit(number)} is missing, but commit {newest} exists")
        return range(1, newest + 1)

    def newest(self) -> int:
        """Number of the newest commit; 0 in an empty lake."""
        return len(self.numbers())

    def foreign(self) -> list[str]:
        """Names in the log's directory that no writer of ours made."""
        names = sorted(os.listdir(self._layout.commits))
        return [name for name in names if not commit_number(name) and not TEMPORARY_NAME.match(name)]

    def read(self, number: int) -> Commit:
        """Commit `number`.

        Raises:
            LakeDamagedError: the file is torn or foreign.
            LakeFormatError: a newer toolkit wrote it.
        """
        path = self._layout.commit(number)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise LakeDamagedError(f"{path} cannot be read: {error.strerror or error}") from error
        try:
            written_by = _Version.model_validate_json(content).format
            if written_by > FORMAT_VERSION:
                raise LakeFormatError(f"{path} has format {written_by}; this toolkit reads up to {FORMAT_VERSION}")
            commit = Commit.model_validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "the file"
            raise LakeDamagedError(f"{path} is torn or not a commit: {place}: {first['msg']}") from error
        if commit.number != number:
            raise LakeDamagedError(f"{path} says that it is commit {commit.number}")
        return commit

    def history(self) -> Iterator[Commit]:
        """All commits, newest first."""
        for number in reversed(self.numbers()):
            yield self.read(number)

    def added_after(self, number: int) -> set[str]:
        """Segments that commits after `number` added."""
        return {name for later in self.numbers()[number:] for name in self.read(later).added}

    def live(self, at: int | None = None) -> tuple[int, dict[str, Segment]]:
        """Number of the newest commit (or `at`) and the segments that are live after it.

        Raises:
            InputError: there is no commit `at`.
        """
        newest = self.newest()
        if at is not None and not 0 <= at <= newest:
            raise InputError(f"there is no commit {at}: the newest is {newest}")
        target = newest if at is None else at
        base, segments = self._known if at is None else (0, {})
        if base > target:
            base, segments = 0, {}
        segments = self._fold(base, dict(segments), target)
        if at is None:
            self._known = target, dict(segments)
        return target, segments

    def _fold(self, base: int, segments: dict[str, Segment], target: int) -> dict[str, Segment]:
        pending: list[Commit] = []
        for number in range(target, base, -1):
            commit = self.read(number)
            pending.append(commit)
            if commit.state is not None:
                segments = {}
                break
        for commit in reversed(pending):
            segments = _after(segments, commit.added, commit.removed) if commit.state is None else dict(commit.state)
        return segments

    def append(
        self,
        *,
        by: str,
        added: Mapping[str, Segment],
        removed: Sequence[str] = (),
        vacuumed: Sequence[str] = (),
    ) -> int:
        """Commit, whatever other writers do meanwhile; the number of the new commit.

        Raises:
            CommitConflictError: another writer already superseded one of `removed`.
            LakeError: the log cannot be written.
        """
        while True:
            newest, segments = self.live()
            gone = [segment for segment in removed if segment not in segments]
            if gone:
                raise CommitConflictError(f"segment {gone[0]} was superseded by another writer; run the command again")
            number = newest + 1
            state = _after(segments, added, removed) if number % STATE_EVERY == 0 else None
            commit = Commit(
                format=FORMAT_VERSION,
                number=number,
                at=datetime.now(UTC),
                by=by,
                host=socket.gethostname(),
                pid=os.getpid(),
                added=dict(added),
                removed=list(removed),
                vacuumed=list(vacuumed),
                state=state,
            )
            try:
                if create_exclusively(self._layout.commit(number), commit.model_dump_json().encode()):
                    return number
            except OSError as error:
                raise LakeError(f"cannot commit to {self._layout.commits}: {error.strerror or error}") from error


def _after(segments: Mapping[str, Segment], added: Mapping[str, Segment], removed: Sequence[str]) -> dict[str, Segment]:
    gone = set(removed)
    return {name: segment for name, segment in segments.items() if name not in gone} | dict(added)
