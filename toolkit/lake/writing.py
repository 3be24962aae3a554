"""Segments that become visible in one commit, or are removed again.

Invariant: a file that some commit names is never removed here, whatever interrupts the
writer and wherever: before anything is deleted, the log is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import pyarrow as pa

from schemas import TABLES, Table
from schemas.tables import LINKS
from toolkit.errors import LakeError
from toolkit.lake.commits import CommitLog, Segment
from toolkit.lake.layout import Layout
from toolkit.lake.segments import SegmentWriter


class NewSegments:
    """A block in which segments are written and, at its end, committed together.

    with NewSegments(layout, log) as new:
        new.open().write(table, data, attached=True)
        number = new.commit("import my.jsonl")
    """

    def __init__(self, layout: Layout, log: CommitLog) -> None:
        self._layout, self._log = layout, log
        self._before = 0
        self._writers: list[SegmentWriter] = []
        self.added: dict[str, Segment] = {}
        """What was committed, empty segments left out."""

    def open(self) -> SegmentWriter:
        """A new segment, empty."""
        writer = SegmentWriter(self._layout)
        self._writers.append(writer)
        return writer

    def commit(self, by: str, *, removed: Sequence[str] = ()) -> int | None:
        """Close the segments and commit them; the commit's number, or None if there is nothing to say.

        Raises:
            CommitConflictError: another writer superseded one of `removed`.
            LakeError: the disk refused.
        """
        self.added = {writer.segment_id: tables for writer in self._writers if (tables := writer.close())}
        return self._log.append(by=by, added=self.added, removed=removed) if self.added or removed else None

    def __enter__(self) -> Self:
        self._before = self._log.newest()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        kept = {writer.segment_id for writer in self._writers} if kind is None else self._committed()
        for writer in self._writers:
            if writer.segment_id in kept:
                writer.release()
            else:
                writer.abandon()

    def _committed(self) -> set[str]:
        """Segments that a commit names: an interrupt may strike after the commit and before we hear of it."""
        try:
            return self._log.added_after(self._before)
        except LakeError:
            # Better a leftover for vacuum than a hole in the lake.
            return {writer.segment_id for writer in self._writers}


def all_attached(table: Table, tables: Mapping[str, pa.Table]) -> bool:
    """Whether every row of `table` stands beside the row that it follows, among `tables` of one segment."""
    if table.follows is None:
        return True
    if table.follows not in tables:
        return False
    columns = list(LINKS[table.follows])
    rows, followed = tables[table.name].select(columns), tables[table.follows].select(columns)
    return bool(rows.join(followed, keys=columns, join_type="left anti").num_rows == 0)


def write_tables(writer: SegmentWriter, tables: Mapping[str, pa.Table]) -> None:
    """Write `tables` (sorted, of the tables' schemas) into one segment."""
    for name, data in tables.items():
        writer.write(TABLES[name], data, attached=all_attached(TABLES[name], tables))
