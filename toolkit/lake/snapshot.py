"""One moment of a lake: which Parquet files hold each table after a given commit.

Invariant: a snapshot never changes, whatever writers do later, and no file of it is read
before it was found whole: present, and of the size that its commit says.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from schemas import TABLES
from toolkit.errors import LakeDamagedError
from toolkit.lake.commits import CommitLog, Segment, SegmentTable
from toolkit.lake.layout import Layout
from toolkit.lake.proofs import Proven, prove
from toolkit.lake.views import create_views, current_rows

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Snapshot:
    """The lake as it was after commit `number`."""

    layout: Layout
    number: int
    segments: dict[str, Segment]

    def files(self, table: str) -> list[Path]:
        """Parquet files that hold `table`, oldest first."""
        return [self.layout.table(name, table) for name in sorted(self.segments) if table in self.segments[name]]

    def rows(self, table: str) -> int:
        """Rows ever written to `table`, superseded attempts included."""
        return sum(entry.rows for entry in self.entries(table))

    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(entry.size_bytes for segment in self.segments.values() for entry in segment.values())

    @cached_property
    def proven(self) -> Proven:
        """What is known of the keys; found out once, since a snapshot never changes."""
        return prove({name: self.entries(name) for name in TABLES}, self.files("trajectories"))

    def entries(self, table: str) -> list[SegmentTable]:
        """What the commits say about the files of `table`."""
        return [segment[table] for segment in self.segments.values() if table in segment]

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
                except OSError as error:
                    raise LakeDamagedError(f"{path} cannot be read: {error.strerror or error}") from error
                if size != entry.size_bytes:
                    raise LakeDamagedError(f"{path} is torn: {entry.size_bytes} bytes were committed, {size} are there")

    def _needed_by(self, segment: str) -> str:
        for commit in CommitLog(self.layout).history():
            if segment in commit.vacuumed:
                return (
                    f"`vacuum --history` removed it at commit {commit.number}, so commit {self.number} is out of reach"
                )
        return f"commit {self.number} needs it"

    def connect(self, raw: Collection[str] = ()) -> duckdb.DuckDBPyConnection:
        """A DuckDB connection that sees the views of this snapshot and no other file.

        With `raw` it sees only `raw.<table>` of the tables named there, and opens sooner: nothing has to be found out
        about which rows are current.

        External access is off, the configuration is locked, and only the snapshot's own files
        are allowed. That alone does not stop `COPY … TO` onto one of them: SQL of strangers goes
        through `query`, which takes one SELECT statement only.

        Raises:
            LakeDamagedError: a file is missing or torn.
        """
        self.verify()
        connection = duckdb.connect()
        try:
            # Sorts larger than memory go there; DuckDB's own choice is a directory in the current one.
            spill = Path(tempfile.gettempdir()) / f"toolkit-{os.getpid()}-{secrets.token_hex(6)}"
            connection.execute("SET temp_directory = ?", [str(spill)])
            files = {name: self.files(name) for name in raw or TABLES}
            create_views(connection, files, None if raw else self.proven)
            allowed = [str(path) for paths in files.values() for path in paths]
            connection.execute("SET allowed_paths = ?", [allowed])
            connection.execute("SET autoinstall_known_extensions = false")
            connection.execute("SET autoload_known_extensions = false")
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
        return current_rows({name: self._frame(name) for name in TABLES}, table, self.proven)

    def _frame(self, table: str) -> pl.LazyFrame:
        # Only here: whoever only asks SQL, as every run does before its first request, starts sooner.
        import polars as pl

        files = self.files(table)
        if files:
            return pl.scan_parquet(files, hive_partitioning=False, glob=False)
        import pyarrow as pa

        from schemas.arrow import arrow_schema

        empty = pl.from_arrow(pa.Table.from_batches([], schema=arrow_schema(table)))
        assert isinstance(empty, pl.DataFrame)
        return empty.lazy()
