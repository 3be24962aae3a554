"""Look at every file of a lake and name what is missing, torn, foreign or left over.

Reading a lake already refuses missing and torn files; this goes further: content against
the recorded digest, rows and schema, and everything that no commit names. Nothing is changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.arrow import arrow_schema
from toolkit.errors import LakeDamagedError
from toolkit.lake.commits import SegmentTable
from toolkit.lake.lake import Lake
from toolkit.lake.layout import SEGMENT_NAME
from toolkit.lake.segments import WRITING, is_being_written

_TOP = {"lake.json", "commits", "segments", "journal"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be."""

    severity: Literal["damage", "foreign", "leftover"]
    """`damage`: data of the lake is affected; `foreign`: not ours; `leftover`: what `vacuum` removes."""
    path: Path
    message: str


def check(lake: Lake, *, progress: Callable[[int, int], None] = lambda done, total: None) -> list[Finding]:
    """All findings, damage first; `progress` gets the number of segments checked and to check."""
    findings: list[Finding] = []
    findings += [Finding("foreign", path, "is not part of a lake") for path in _strangers(lake)]
    try:
        snapshot = lake.snapshot()
    except LakeDamagedError as error:
        return [Finding("damage", lake.layout.commits, str(error)), *findings]
    for done, (name, segment) in enumerate(snapshot.segments.items()):
        progress(done, len(snapshot.segments))
        findings += _segment_findings(lake, name, segment)
    findings += _unreferenced(lake)
    order = {"damage": 0, "foreign": 1, "leftover": 2}
    return sorted(findings, key=lambda finding: order[finding.severity])


def _strangers(lake: Lake) -> Iterator[Path]:
    yield from (path for path in sorted(lake.path.iterdir()) if path.name not in _TOP)
    yield from (lake.layout.commits / name for name in lake.log.foreign())
    yield from (path for path in sorted(lake.layout.segments.iterdir()) if not SEGMENT_NAME.match(path.name))


def _segment_findings(lake: Lake, name: str, segment: dict[str, SegmentTable]) -> Iterator[Finding]:
    for table, entry in segment.items():
        path = lake.layout.table(name, table)
        if message := _damage(path, table, entry):
            yield Finding("damage", path, message)
    expected = {f"{table}.parquet" for table in segment} | {WRITING}
    directory = lake.layout.segment(name)
    if directory.is_dir():
        for path in sorted(directory.iterdir()):
            if path.name not in expected:
                yield Finding("foreign", path, "no commit names it")


def _damage(path: Path, table: str, entry: SegmentTable) -> str | None:
    if not path.exists():
        return "is missing"
    size = path.stat().st_size
    if size != entry.size_bytes:
        return f"is torn: {entry.size_bytes} bytes were committed, {size} are there"
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


def unreferenced_segments(lake: Lake) -> list[Path]:
    """Segment directories that no commit ever named, those of writers at work included."""
    named = {name for commit in lake.log.history() for name in commit.added}
    present = [path for path in sorted(lake.layout.segments.iterdir()) if SEGMENT_NAME.match(path.name)]
    return [path for path in present if path.name not in named]


def _unreferenced(lake: Lake) -> Iterator[Finding]:
    for path in unreferenced_segments(lake):
        if not is_being_written(path):
            yield Finding("leftover", path, "was never committed: its writer was cut off; `toolkit vacuum` removes it")
