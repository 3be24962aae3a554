"""Which rows are current, said once for DuckDB and once for Polars, and the joined views.

`raw.<table>` holds every row ever written, `<table>` the current ones: of rows with the
same key the newest, and of tables that follow another only rows of what is current there.
Where the commit log proves that no key occurs twice (always so after `compact` of a lake
without retries) the view is the bare table scan, which is what makes it fast.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa

from schemas import TABLES, Table
from schemas.arrow import arrow_schema

FOLLOWED_KEYS = {"trajectories": ("trajectory_id", "attempt"), "selections": ("selection_id",)}
"""Columns by which a table follows another one's current rows."""

_DUCKDB_TYPES: dict[pa.DataType, str] = {
    pa.string(): "VARCHAR",
    pa.bool_(): "BOOLEAN",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.uint64(): "UBIGINT",
    pa.float64(): "DOUBLE",
    pa.timestamp("us", tz="UTC"): "TIMESTAMP WITH TIME ZONE",
}

TRAJECTORIES_SCORED = """
SELECT t.*, k.question, k.answers, k.split, k.domain,
       coalesce(s.answer_passed, s.reward_passed) AS correct,
       s.em, s.f1, s.reward, s.answer_scorer
FROM trajectories t
LEFT JOIN tasks k USING (task_id)
LEFT JOIN (
    SELECT trajectory_id,
           bool_or(passed) FILTER (scorer LIKE 'fact@%' OR scorer LIKE 'math@%') AS answer_passed,
           max(scorer) FILTER (scorer LIKE 'fact@%' OR scorer LIKE 'math@%') AS answer_scorer,
           CAST(bool_or(passed) FILTER (scorer LIKE 'fact@%') AS INTEGER) AS em,
           max(value) FILTER (scorer LIKE 'fact@%') AS f1,
           max(value) FILTER (scorer LIKE 'reward@%') AS reward,
           bool_or(passed) FILTER (scorer LIKE 'reward@%') AS reward_passed
    FROM scores WHERE step_index IS NULL GROUP BY trajectory_id
) s USING (trajectory_id)
"""
"""Trajectories with their question and verdict: `correct` is the answer scorer's word, or, for tasks
without gold answer, the environment's own reward; null where neither decided."""


def create_views(
    connection: duckdb.DuckDBPyConnection, files: Mapping[str, Sequence[Path]], unique: Collection[str]
) -> None:
    """Create `raw.<table>`, `<table>` and the joined views over the given Parquet files."""
    connection.execute("CREATE SCHEMA raw")
    for table in TABLES.values():
        connection.execute(f"CREATE VIEW raw.{table.name} AS {_scan_sql(table, files[table.name])}")
    for name in ("trajectories", "selections", *TABLES):
        connection.execute(f"CREATE OR REPLACE VIEW {name} AS {current_sql(TABLES[name], unique)}")
    connection.execute(f"CREATE VIEW trajectories_scored AS {TRAJECTORIES_SCORED}")


def current_sql(table: Table, unique: Collection[str]) -> str:
    """SELECT of the current rows of `table`; `unique` names the tables without repeated keys."""
    sql = f"SELECT * FROM raw.{table.name}"
    if table.follows and table.follows not in unique:
        columns = ", ".join(FOLLOWED_KEYS[table.follows])
        sql += f" SEMI JOIN {table.follows} USING ({columns})"
    if table.name not in unique:
        newest = ", ".join(f"{column} DESC NULLS LAST" for column in table.newest_by) or "1"
        sql += f" QUALIFY row_number() OVER (PARTITION BY {', '.join(table.key)} ORDER BY {newest}) = 1"
    return sql


def current_rows(frames: Mapping[str, pl.LazyFrame], name: str, unique: Collection[str]) -> pl.LazyFrame:
    """The same for Polars: the current rows of `name` among the raw `frames` by table."""
    table, frame = TABLES[name], frames[name]
    if table.follows and table.follows not in unique:
        columns = list(FOLLOWED_KEYS[table.follows])
        current = current_rows(frames, table.follows, unique).select(columns)
        frame = frame.join(current, on=columns, how="semi")
    if name not in unique:
        if table.newest_by:
            frame = frame.sort(table.newest_by, nulls_last=False, maintain_order=True)
        frame = frame.unique(subset=list(table.key), keep="last", maintain_order=True)
    return frame


def _scan_sql(table: Table, files: Sequence[Path]) -> str:
    if files:
        names = ", ".join("'" + str(path).replace("'", "''") + "'" for path in files)
        return f"SELECT * FROM read_parquet([{names}])"
    columns = ", ".join(
        f"CAST(NULL AS {_duckdb_type(field.type)}) AS {field.name}" for field in arrow_schema(table.name)
    )
    return f"SELECT {columns} WHERE false"


def _duckdb_type(arrow_type: pa.DataType) -> str:
    if pa.types.is_list(arrow_type):
        return f"{_duckdb_type(arrow_type.value_type)}[]"
    return _DUCKDB_TYPES[arrow_type]
