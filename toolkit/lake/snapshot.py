"""One moment of a lake: which Parquet files hold each table after a given commit.

Invariant: a snapshot never changes, whatever writers do later, and no file of it is read
before it was found whole: present, and of the size that its commit says.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa

from schemas import TABLES
from schemas.arrow import arrow_schema
from toolkit.errors import LakeDamagedError
from toolkit.lake.commits import CommitLog, Segment, SegmentTable
from toolkit.lake.layout import Layout
from toolkit.lake.views import create_views, current_rows


@dataclass(frozen=True)
class Snapshot:
    """The lake as it was after commit `number`."""

    layout: Layout
    number: int
    segments: dict[str, Segment]

    def files(self, table: str) -> list[Path]:
        """Parquet files that hold `table`, in the order of their commits."""
        return [self.layout.table(name, table) for name, segment in self.segments.items() if table in segment]

    def rows(self, table: str) -> int:
        """Rows ever written to `table`, superseded attempts included."""
        return sum(entry.rows for entry in self._entries(table))

    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(entry.size_bytes for segment in self.segments.values() for entry in segment.values())

    @cached_property
    def unique_tables(self) -> frozenset[str]:
        """Tables in which provably no key occurs twice: their views need no look at other rows."""
        return frozenset(name for name in TABLES if self._provably_unique(name))

    def _entries(self, table: str) -> list[SegmentTable]:
        return [segment[table] for segment in self.segments.values() if table in segment]

    def _provably_unique(self, table: str) -> bool:
        entries = sorted(self._entries(table), key=lambda entry: entry.first)
        apart = all(left.last < right.first for left, right in zip(entries, entries[1:], strict=False))
        return apart and all(entry.unique for entry in entries)

    def verify(self) -> None:
        """See that every file is there and of the recorded size.

        Raises:
            LakeDamagedError: a file is missing or torn; the message names it.
        """
        for name, segment in self.segments.items():
            for table, entry in segment.items():
                path = self.layout.table(name, table)
                try:
                    size = path.stat().st_size
                except FileNotFoundError:
                    raise LakeDamagedError(f"{path} is missing; {self._needed_by(name)}") from None
                if size != entry.size_bytes:
                    raise LakeDamagedError(f"{path} is torn: {entry.size_bytes} bytes were committed, {size} are there")

    def _needed_by(self, segment: str) -> str:
        for commit in CommitLog(self.layout).history():
            if segment in commit.vacuumed:
                return (
                    f"`vacuum --history` removed it at commit {commit.number}, so commit {self.number} is out of reach"
                )
        return f"commit {self.number} needs it"

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A DuckDB connection that sees the views of this snapshot and no other file.

        External access is off, the configuration is locked, and only the snapshot's own files
        are allowed. That alone does not stop `COPY … TO` onto one of them: SQL of strangers goes
        through `query`, which takes one SELECT statement only.

        Raises:
            LakeDamagedError: a file is missing or torn.
        """
        self.verify()
        connection = duckdb.connect()
        try:
            create_views(connection, {name: self.files(name) for name in TABLES}, self.unique_tables)
            allowed = [str(path) for name in TABLES for path in self.files(name)]
            connection.execute("SET allowed_paths = ?", [allowed])
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET python_enable_replacements = false")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
        except duckdb.Error as error:
            connection.close()
            raise LakeDamagedError(f"{self.layout.root} cannot be read: {error}") from error
        return connection

    def scan(self, table: str) -> pl.LazyFrame:
        """The current rows of `table` as a Polars frame that reads only what is asked of it."""
        self.verify()
        return current_rows({name: self._frame(name) for name in TABLES}, table, self.unique_tables)

    def _frame(self, table: str) -> pl.LazyFrame:
        files = self.files(table)
        if files:
            return pl.scan_parquet(files)
        empty = pl.from_arrow(pa.Table.from_batches([], schema=arrow_schema(table)))
        assert isinstance(empty, pl.DataFrame)
        return empty.lazy()
