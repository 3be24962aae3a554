"""Rewrite many small segments as few large ones, sorted by id over the whole lake.

Invariant: before and after, every query answers the same; the old segments are superseded
in the same commit that adds the new ones, and writers and readers go on meanwhile. Rows
that state one fact twice (the same key and version) are written once. Sorting is DuckDB's,
out of core. Not covered: deleting the old files (`vacuum`), compacting a part of a lake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from schemas import TABLES, Table
from schemas.identity import ID_DIGITS
from toolkit.errors import LakeError
from toolkit.lake.commits import Segment
from toolkit.lake.lake import Lake
from toolkit.lake.segments import SegmentWriter
from toolkit.lake.snapshot import Snapshot

TARGET_BYTES = 128 * 1024 * 1024
BATCH_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class Compaction:
    """What a compaction did."""

    commit: int | None
    """Its commit. None: there was nothing to gain."""
    segments_before: int
    segments_after: int
    bytes_before: int
    bytes_after: int


def compact(
    lake: Lake, *, target_bytes: int = TARGET_BYTES, progress: Callable[[str], None] = lambda table: None
) -> Compaction:
    """Compact the whole lake; `progress` is called with each table's name as it starts.

    Raises:
        CommitConflictError: another compaction was faster; nothing was changed.
        LakeError: the disk refused, or a file is damaged; nothing was changed.
    """
    before = lake.snapshot()
    size = before.size_bytes()
    if len(before.segments) < 2:
        return Compaction(None, len(before.segments), len(before.segments), size, size)
    count = max(1, -(-size // target_bytes))
    writers = [SegmentWriter(lake.layout) for _ in range(count)]
    try:
        _rewrite(before, writers, progress)
        added: dict[str, Segment] = {}
        for writer in writers:
            if segment := writer.close():
                added[writer.segment_id] = segment
        number = lake.log.append(by="compact", added=added, removed=list(before.segments))
    except BaseException:
        for writer in writers:
            writer.abandon()
        raise
    for writer in writers:
        writer.release()
    after = lake.snapshot(number)
    written = sum(entry.size_bytes for segment in added.values() for entry in segment.values())
    return Compaction(number, len(before.segments), len(after.segments), size, written)


def _rewrite(before: Snapshot, writers: list[SegmentWriter], progress: Callable[[str], None]) -> None:
    connection = before.connect()
    try:
        for table in TABLES.values():
            if before.rows(table.name):
                progress(table.name)
                for part, data in _split(table, _sorted_batches(connection, before, table), len(writers)):
                    writers[part].write(table, data)
    except duckdb.Error as error:
        raise LakeError(f"compaction stopped, the lake is as before: {error}") from error
    finally:
        connection.close()


def _sorted_batches(connection: duckdb.DuckDBPyConnection, before: Snapshot, table: Table) -> Iterator[pa.Table]:
    facts = ", ".join((*table.key, *table.newest_by))
    once = "" if table.name in before.unique_tables else f"QUALIFY row_number() OVER (PARTITION BY {facts}) = 1"
    order = ", ".join(f"{column} NULLS FIRST" for column in (*table.key, *table.newest_by))
    relation = connection.sql(f"SELECT * FROM raw.{table.name} {once} ORDER BY {order}")
    for batch in relation.to_arrow_reader(BATCH_ROWS):
        yield pa.Table.from_batches([batch])


def _split(table: Table, batches: Iterator[pa.Table], parts: int) -> Iterator[tuple[int, pa.Table]]:
    """Send each row to the segment of its id range, so that a trajectory's rows lie together.

    Ids are hashes, hence even ranges of ids are even shares of rows. Tables with another key
    than an id are small and stay whole in the first segment.
    """
    if parts == 1 or table.key[0] not in ("trajectory_id", "task_id"):
        for data in batches:
            yield 0, data
        return
    bounds = [f"{(16**ID_DIGITS * part) // parts:0{ID_DIGITS}x}" for part in range(1, parts)]
    for data in batches:
        ids = data.column(table.key[0])
        start = 0
        for part, bound in enumerate([*bounds, "g"]):
            stop = start + pc.sum(pc.less(ids.slice(start), bound)).as_py() if start < len(ids) else start
            if stop > start:
                yield part, data.slice(start, stop - start)
            start = stop
