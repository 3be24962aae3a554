"""The part of a lake that a selection needs: its rows of every table, one Parquet file each.

Invariant: the files are a lake of their own. They hold the kept trajectories and all that is
said about them, every decision of the selection, and no row of a trajectory that was dropped
(its decision names it). Rows are in the order of the table's key, so that equal selections
give equal files.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from schemas import TABLES, Selection, Table
from schemas.arrow import arrow_schema
from toolkit.errors import InputError
from toolkit.lake.literal import literal
from toolkit.lake.selections import require_as_made
from toolkit.lake.snapshot import Snapshot

LAKE = "lake"
BATCH_ROWS = 5_000

_KEPT = "SELECT trajectory_id FROM decisions WHERE kept AND selection_id = '{selection_id}'"
_MODELS = """SELECT model_id FROM trajectories SEMI JOIN ({kept}) USING (trajectory_id)
             UNION SELECT model_id FROM steps SEMI JOIN ({kept}) USING (trajectory_id)"""
_QUERIES = {
    "tasks": "SELECT * FROM tasks SEMI JOIN (SELECT task_id FROM trajectories SEMI JOIN ({kept}) USING (trajectory_id))"
    " USING (task_id)",
    "runs": "SELECT * FROM runs WHERE run_id IN (SELECT run_id FROM trajectories SEMI JOIN ({kept}) USING"
    " (trajectory_id) UNION SELECT training_run_id FROM models WHERE model_id IN ({models}))",
    "models": "SELECT * FROM models WHERE model_id IN ({models})",
    "prompts": "SELECT * FROM prompts WHERE prompt_hash IN (SELECT unnest([system_prompt_hash, tools_hash])"
    " FROM trajectories SEMI JOIN ({kept}) USING (trajectory_id))",
    "selections": "SELECT * FROM selections WHERE selection_id = '{selection_id}'",
    "decisions": "SELECT * FROM decisions WHERE selection_id = '{selection_id}'",
    "step_weights": "SELECT * FROM step_weights WHERE selection_id = '{selection_id}'",
}
_OF_TRAJECTORIES = "SELECT * FROM {table} SEMI JOIN ({kept}) USING (trajectory_id)"


def table_path(directory: Path, table: str) -> Path:
    """Where `table` lies in a publication."""
    return directory / LAKE / f"{table}.parquet"


def write_tables(snapshot: Snapshot, selection: Selection, directory: Path) -> None:
    """Write the part of `snapshot` that `selection` needs below `directory`.

    Raises:
        InputError: nothing was kept, or what was kept has changed since the selection was made.
    """
    connection = snapshot.connect()
    try:
        _check(connection, selection)
        (directory / LAKE).mkdir(parents=True, exist_ok=True)
        for table in TABLES.values():
            _write(connection, table, selection.selection_id, table_path(directory, table.name))
    finally:
        connection.close()


def _check(connection: duckdb.DuckDBPyConnection, selection: Selection) -> None:
    if not selection.n_kept:
        raise InputError(f"selection {selection.name!r} keeps nothing; there is nothing to publish")
    require_as_made(connection, selection)


def _write(connection: duckdb.DuckDBPyConnection, table: Table, selection_id: str, path: Path) -> None:
    kept = _KEPT.format(selection_id=selection_id)
    query = _QUERIES.get(table.name, _OF_TRAJECTORIES).format(
        kept=kept, models=_MODELS.format(kept=kept), selection_id=selection_id, table=table.name
    )
    order = ", ".join(f"{column} NULLS FIRST" for column in table.key)
    reader = connection.sql(f"{query} ORDER BY {order}").to_arrow_reader(BATCH_ROWS)
    write_batches(table, (pa.Table.from_batches([batch]) for batch in reader), path)


def write_batches(table: Table, batches: Iterator[pa.Table], path: Path) -> None:
    """Write `batches` of rows of `table` to `path`; a file without rows has the columns all the same."""
    schema = arrow_schema(table.name)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_table(batch.cast(schema))


def read_batches(directory: Path, table: str) -> Iterator[pa.Table]:
    """The rows of `table` in a publication, a batch at a time."""
    with pq.ParquetFile(table_path(directory, table)) as file:
        for batch in file.iter_batches(BATCH_ROWS):
            yield pa.Table.from_batches([batch])


def connect_tables(directory: Path) -> duckdb.DuckDBPyConnection:
    """A connection with one view for each published table, and for nothing else."""
    connection = duckdb.connect()
    # One thread: sums of doubles would otherwise depend on who comes first.
    connection.execute("SET threads = 1; SET TimeZone = 'UTC'")
    for name in TABLES:
        path = literal(str(table_path(directory, name)))
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet({path}, hive_partitioning = false)")
    return connection
