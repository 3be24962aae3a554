"""The lake as programs use it: open, read a snapshot, write a batch.

    lake = open_lake("lake")
    lake.sql("SELECT dataset, count(*) FROM trajectories GROUP BY 1")
    lake.scan("steps").filter(pl.col("error_kind") != "none").collect()
    with lake.write("import my.jsonl") as batch:
        batch.add(rows)

Invariant: what one `write` block adds becomes visible at once, at its end, or not at all.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from schemas import FORMAT_VERSION, TABLES, Row
from toolkit.errors import InputError, LakeDamagedError, LakeError, LakeFormatError
from toolkit.lake.commits import CommitLog
from toolkit.lake.layout import TEMPORARY_NAME, TOP_NAMES, Layout, commit_number, create_exclusively
from toolkit.lake.query import select
from toolkit.lake.snapshot import Snapshot

if TYPE_CHECKING:
    import duckdb
    import polars as pl
    import pyarrow as pa


class LakeIdentity(BaseModel):
    """Content of `lake.json`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    format: int
    id: str
    created_at: datetime


class Lake:
    """A lake on disk; `open_lake` makes one of these."""

    def __init__(self, path: Path, identity: LakeIdentity) -> None:
        self.path = path
        self.identity = identity
        self.layout = Layout(path)
        self.log = CommitLog(self.layout)
        self._last: Snapshot | None = None

    def snapshot(self, at: int | None = None) -> Snapshot:
        """The lake now, or as it was after commit `at`.

        Raises:
            InputError: there is no such commit.
            LakeDamagedError: the log is torn or has a gap.
        """
        number, segments = self.log.live(at)
        last = self._last
        if last is None or last.number != number:
            # Kept, because what a snapshot has found out about its keys stays true.
            self._last = last = Snapshot(self.layout, number, segments)
        return last

    def sql(self, query: str, *, at: int | None = None) -> duckdb.DuckDBPyRelation:
        """Rows of one SELECT over the tables and views, as a DuckDB relation (`.pl()`, `.df()`, `.fetchall()`).

        Raises:
            QueryError: not a single SELECT statement, or it does not run.
        """
        return select(self.snapshot(at).connect(), query)

    def scan(self, table: str, *, at: int | None = None) -> pl.LazyFrame:
        """The current rows of `table` as a lazy Polars frame.

        Raises:
            InputError: there is no such table.
        """
        if table not in TABLES:
            raise InputError(f"there is no table {table!r}; the tables are {', '.join(TABLES)}")
        return self.snapshot(at).scan(table)

    def write(self, by: str) -> Batch:
        """A block whose rows are committed together when it ends without an exception."""
        return Batch(self, by)


class Batch:
    """Rows of any tables on their way into one commit."""

    def __init__(self, lake: Lake, by: str) -> None:
        self._lake, self._by = lake, by
        self._rows: dict[str, list[Row]] = {}
        self._tables: dict[str, list[pa.Table]] = {}
        self.commit: int | None = None
        """Number of the commit. None: not committed yet, or nothing was written."""

    def add(self, rows: Iterable[Row]) -> None:
        """Add validated rows of any tables."""
        for row in rows:
            self._rows.setdefault(_TABLE_OF[type(row)], []).append(row)

    def add_arrow(self, table: str, data: pa.Table) -> None:
        """Add rows of `table` as Arrow data; columns are cast to the table's types.

        Raises:
            InputError: there is no such table, or the columns do not fit it.
        """
        if table not in TABLES:
            raise InputError(f"there is no table {table!r}; the tables are {', '.join(TABLES)}")
        self._tables.setdefault(table, []).append(_fitted(table, data))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and (self._rows or self._tables):
            self.commit = commit_segments(self._lake, self._by, [self._gathered()])

    def _gathered(self) -> dict[str, pa.Table]:
        import pyarrow as pa

        from schemas.arrow import rows_to_arrow
        from toolkit.lake.segments import sort_rows

        for name, rows in self._rows.items():
            self._tables.setdefault(name, []).append(rows_to_arrow(TABLES[name], rows))
        return {name: sort_rows(TABLES[name], pa.concat_tables(parts)) for name, parts in self._tables.items()}


def commit_segments(lake: Lake, by: str, contents: Iterable[Mapping[str, pa.Table]]) -> int | None:
    """Write one segment for each of `contents` and commit them together; None if all were empty.

    Each content maps table names to rows sorted by `sort_rows`.

    Raises:
        LakeError: the disk refused; what was written of it is removed again.
    """
    # Only here: Parquet's writer is slow to load, and readers need none.
    from toolkit.lake.writing import NewSegments, write_tables

    with NewSegments(lake.layout, lake.log) as new:
        for tables in contents:
            write_tables(new.open(), {name: _fitted(name, data) for name, data in tables.items()})
        return new.commit(by)


def _fitted(table: str, data: pa.Table) -> pa.Table:
    """`data` with the columns and types of `table`."""
    import pyarrow as pa

    from schemas.arrow import arrow_schema

    schema = arrow_schema(table)
    missing = [name for name in schema.names if name not in data.column_names]
    if missing:
        raise InputError(f"rows of {table} need the column {missing[0]!r}; there are {', '.join(data.column_names)}")
    try:
        return data.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise InputError(f"these rows are none of {table}: {error}") from error


_TABLE_OF: dict[type[Row], str] = {table.model: name for name, table in TABLES.items()}


def open_lake(path: str | Path, *, create: bool = False) -> Lake:
    """Open the lake in directory `path`; with `create`, make one where there is none.

    Raises:
        InputError: there is no lake, the directory holds something else, or its name is a pattern.
        LakeFormatError: a newer toolkit wrote it.
        LakeDamagedError: `lake.json` is torn.
    """
    root = Path(path).resolve()
    if found := set("*?[") & set(str(root)):
        # DuckDB would read another directory that fits the pattern, or none, and cannot be told otherwise.
        raise InputError(f"{root} cannot be a lake: DuckDB takes {min(found)} in a path as a pattern")
    layout = Layout(root)
    if not layout.identity.exists():
        _refuse_strangers(layout, path)
        if not create:
            raise InputError(f"there is no lake at {path}; `toolkit import FILE --lake {path}` makes one")
        _create(layout)
    try:
        identity = LakeIdentity.model_validate_json(layout.identity.read_bytes())
    except OSError as error:
        raise LakeError(f"{layout.identity} cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        raise LakeDamagedError(f"{layout.identity} is torn or foreign: {error.errors()[0]['msg']}") from error
    if identity.format != FORMAT_VERSION:
        newer = identity.format > FORMAT_VERSION
        advice = "install a newer trajectory-toolkit" if newer else "no migration from it exists"
        raise LakeFormatError(
            f"{layout.identity} says format {identity.format}; this toolkit reads format {FORMAT_VERSION}: {advice}"
        )
    return Lake(root, identity)


def _refuse_strangers(layout: Layout, path: str | Path) -> None:
    """See that a directory without lake.json is empty, or a lake that another process is making right now."""
    if layout.root.exists() and not layout.root.is_dir():
        raise InputError(f"{path} is not a lake: it is a file")
    names = {entry.name for entry in layout.root.iterdir()} if layout.root.exists() else set()
    if any(name not in TOP_NAMES and not TEMPORARY_NAME.match(name) for name in names):
        raise InputError(f"{path} is not a lake: it holds files, but no lake.json")
    committed = layout.commits.is_dir() and any(commit_number(entry.name) for entry in layout.commits.iterdir())
    if committed and not layout.identity.exists():
        raise LakeDamagedError(f"{layout.identity} is missing, but {layout.commits} holds commits")


def _create(layout: Layout) -> None:
    identity = {"format": FORMAT_VERSION, "id": secrets.token_hex(12), "created_at": datetime.now(UTC).isoformat()}
    try:
        layout.commits.mkdir(parents=True, exist_ok=True)
        layout.segments.mkdir(exist_ok=True)
        # Several processes may create the same lake: the first lake.json counts, the others read it.
        create_exclusively(layout.identity, orjson.dumps(identity, option=orjson.OPT_INDENT_2))
    except OSError as error:
        raise LakeError(f"cannot create a lake in {layout.root}: {error.strerror or error}") from error
