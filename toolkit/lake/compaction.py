"""Rewrite many small segments as few large ones, sorted by id over the whole lake.

Invariant: before and after, every query answers the same; the old segments are superseded
in the same commit that adds the new ones, and writers and readers go on meanwhile. Rows
that state one fact twice (the same key and version) are written once, as the one that counts. Sorting is DuckDB's,
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
from schemas.tables import LINKS
from toolkit.errors import LakeError
from toolkit.lake.lake import Lake
from toolkit.lake.proofs import ranges_apart
from toolkit.lake.segments import SegmentWriter
from toolkit.lake.snapshot import Snapshot
from toolkit.lake.views import one_of_each, scan_sql
from toolkit.lake.writing import NewSegments

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
    count = max(1, -(-size // target_bytes))
    sorted_apart = all(ranges_apart(before.entries(name)) for name in TABLES)
    if len(before.segments) < 2 or (len(before.segments) <= count and sorted_apart):
        return Compaction(None, len(before.segments), len(before.segments), size, size)
    with NewSegments(lake.layout, lake.log) as new:
        writers = [new.open() for _ in range(count)]
        _rewrite(before, writers, progress)
        number = new.commit("compact", removed=list(before.segments))
    written = sum(entry.size_bytes for segment in new.added.values() for entry in segment.values())
    return Compaction(number, len(before.segments), len(new.added), size, written)


def _rewrite(before: Snapshot, writers: list[SegmentWriter], progress: Callable[[str], None]) -> None:
    connection = before.connect()
    try:
        for table in TABLES.values():
            if before.rows(table.name):
                progress(table.name)
                attached = _attached(connection, before, table)
                for part, data in _split(table, _sorted_batches(connection, before, table), len(writers)):
                    writers[part].write(table, data, attached=attached)
    except duckdb.Error as error:
        raise LakeError(f"compaction stopped, the lake is as before: {error}") from error
    finally:
        connection.close()


def _attached(connection: duckdb.DuckDBPyConnection, before: Snapshot, table: Table) -> bool:
    """Whether every row of `table` has the row that it follows: compacted, they lie in one segment."""
    if table.follows is None or table.name in before.proven.attached:
        return True
    links = ", ".join(LINKS[table.follows])
    orphans = f"SELECT 1 FROM raw.{table.name} ANTI JOIN raw.{table.follows} USING ({links}) LIMIT 1"
    return not connection.sql(orphans).fetchall()


def _sorted_batches(connection: duckdb.DuckDBPyConnection, before: Snapshot, table: Table) -> Iterator[pa.Table]:
    facts = (*table.key, *table.newest_by)
    once = "" if table.name in before.proven.distinct else one_of_each(facts)
    order = ", ".join(f"{column} NULLS FIRST" for column in facts)
    scan = scan_sql(table, before.files(table.name))
    for batch in connection.sql(f"SELECT * FROM {scan} {once} ORDER BY {order}").to_arrow_reader(BATCH_ROWS):
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
