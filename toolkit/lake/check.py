"""Look at every file of a lake and name what is missing, torn, foreign or left over.

Reading a lake already refuses missing and torn files; this goes further: content against
the recorded digest, rows and schema, every commit, the files that only `--at` needs (their
size), and everything that no commit names. Nothing is changed; others may write meanwhile.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.arrow import arrow_schema
from toolkit.errors import LakeDamagedError
from toolkit.lake.commits import Commit, Segment, SegmentTable
from toolkit.lake.lake import Lake
from toolkit.lake.layout import SEGMENT_NAME, TEMPORARY_NAME, TOP_NAMES
from toolkit.lake.segments import WRITING, is_being_written

LOST = "is no directory any more, although every lake has one of that name"
_STALE_S = 60.0
_CUT_OFF = "was never committed: its writer was cut off"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be."""

    severity: Literal["damage", "foreign", "leftover"]
    """`damage`: data of the lake is affected; `foreign`: not ours; `leftover`: what `vacuum` removes."""
    path: Path
    message: str


def check(lake: Lake, *, progress: Callable[[int, int], None] = lambda done, total: None) -> list[Finding]:
    """All findings, damage first; `progress` gets the number of segments checked and to check."""
    if lost := lost_directories(lake):
        return [Finding("damage", path, LOST) for path in lost]
    findings = [Finding("foreign", path, "is not part of a lake") for path in _strangers(lake)]
    history, torn = _history(lake)
    findings += torn
    try:
        live = lake.snapshot().segments
    except LakeDamagedError:
        return sorted(findings, key=_order)
    for done, (name, segment) in enumerate(live.items()):
        progress(done, len(live))
        findings += _segment_findings(lake, name, segment)
    findings += _past_findings(lake, history, live)
    if not torn:
        left = [*abandoned_segments(lake), *temporary_files(lake, older_than_s=_STALE_S)]
        findings += [Finding("leftover", path, f"{_CUT_OFF}; `toolkit vacuum` removes it") for path in left]
    return sorted(findings, key=_order)


def _order(finding: Finding) -> int:
    return ("damage", "foreign", "leftover").index(finding.severity)


def _history(lake: Lake) -> tuple[list[Commit], list[Finding]]:
    """The commits that can be read, oldest first, and what is wrong with the others."""
    try:
        numbers = lake.log.numbers()
    except LakeDamagedError as error:
        return [], [Finding("damage", lake.layout.commits, str(error))]
    commits, torn = [], []
    for number in numbers:
        try:
            commits.append(lake.log.read(number))
        except LakeDamagedError as error:
            torn.append(Finding("damage", lake.layout.commit(number), str(error)))
    return commits, torn


def _strangers(lake: Lake) -> Iterator[Path]:
    names = {path.name: path for path in sorted(lake.path.iterdir())}
    yield from (path for name, path in names.items() if name not in TOP_NAMES and not TEMPORARY_NAME.match(name))
    yield from (lake.layout.commits / name for name in lake.log.foreign())
    yield from (path for path in sorted(lake.layout.segments.iterdir()) if not SEGMENT_NAME.match(path.name))


def _segment_findings(lake: Lake, name: str, segment: Segment) -> Iterator[Finding]:
    for table, entry in segment.items():
        path = lake.layout.table(name, table)
        if message := _size_damage(path, entry) or _content_damage(path, table, entry):
            yield Finding("damage", path, message)
    expected = {f"{table}.parquet" for table in segment} | {WRITING}
    directory = lake.layout.segment(name)
    if directory.is_dir():
        for path in sorted(directory.iterdir()):
            if path.name not in expected:
                yield Finding("foreign", path, "no commit names it")


def _past_findings(lake: Lake, history: list[Commit], live: dict[str, Segment]) -> Iterator[Finding]:
    """Files of superseded segments that are gone or torn although vacuum did not remove them."""
    vacuumed = {name for commit in history for name in commit.vacuumed}
    for commit in history:
        for name, segment in commit.added.items():
            if name not in live and name not in vacuumed:
                for table, entry in segment.items():
                    path = lake.layout.table(name, table)
                    if message := _size_damage(path, entry):
                        yield Finding("damage", path, f"{message}; `--at {commit.number}` needs it")


def _size_damage(path: Path, entry: SegmentTable) -> str | None:
    if not path.is_file():
        return "is missing"
    size = path.stat().st_size
    return None if size == entry.size_bytes else f"is torn: {entry.size_bytes} bytes were committed, {size} are there"


def _content_damage(path: Path, table: str, entry: SegmentTable) -> str | None:
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != entry.sha256:
            return "was changed after it was committed: its SHA-256 differs"
    try:
        parquet = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        return f"is no Parquet file: {error}"
    if parquet.metadata.num_rows != entry.rows:
        return f"holds {parquet.metadata.num_rows} rows; {entry.rows} were committed"
    if not parquet.schema_arrow.equals(arrow_schema(table)):
        return f"has another schema than table {table} of this format"
    return None


def lost_directories(lake: Lake) -> list[Path]:
    """Directories that are made with a lake and are gone; without them nothing else can be said of it."""
    return [path for path in (lake.layout.commits, lake.layout.segments) if not path.is_dir()]


def abandoned_segments(lake: Lake) -> list[Path]:
    """Segment directories that no commit ever named and no living writer holds.

    Raises:
        LakeDamagedError: the log is torn, so that nobody knows.
    """
    present = [path for path in sorted(lake.layout.segments.iterdir()) if SEGMENT_NAME.match(path.name)]
    # In this order: a writer that commits and lets go of its lock meanwhile is found in the log.
    unheld = [path for path in present if not is_being_written(path)]
    named = {name for commit in lake.log.history() for name in commit.added} if unheld else set()
    return [path for path in unheld if path.name not in named]


def temporary_files(lake: Lake, *, older_than_s: float) -> list[Path]:
    """Files that a writer was going to give a name when it was cut off."""
    places = [path for directory in (lake.path, lake.layout.commits) for path in sorted(directory.iterdir())]
    return [path for path in places if TEMPORARY_NAME.match(path.name) and age_s(path) >= older_than_s]


def age_s(path: Path) -> float:
    """Seconds since `path` was last written; 0 if it is gone by now."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
