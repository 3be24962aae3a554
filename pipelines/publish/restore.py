"""A lake made of a publication's tables: what `pull` gives, and what the configurations are read from.

Invariant: the lake holds exactly the rows that were published, every one validated, in one
commit; its selection has the content hash that the manifest names.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from pydantic import ValidationError

from pipelines.publish.tables import read_batches, table_path
from schemas import TABLES, Table
from schemas.arrow import arrow_schema, rows_from_arrow
from toolkit.errors import InputError
from toolkit.hub.manifest import PublishedSelection
from toolkit.lake.lake import Lake, open_lake
from toolkit.lake.selections import find_selection, selection_hash
from toolkit.lake.writing import NewSegments


def restore(directory: Path, lake: Lake, by: str, *, validated: bool) -> int:
    """Commit the tables below `directory` to `lake`; the commit's number.

    With `validated`, every row is checked against its model first: files from elsewhere may hold anything.

    Raises:
        InputError: a table is missing, or holds what no lake may; nothing was committed.
    """
    with NewSegments(lake.layout, lake.log) as new:
        writer = new.open()
        for table in TABLES.values():
            path = table_path(directory, table.name)
            if not path.is_file():
                raise InputError(f"{path} is missing")
            try:
                for batch in read_batches(directory, table.name):
                    writer.write(table, _fitted(table, batch, path, validated), attached=True)
            except pa.ArrowInvalid as error:
                raise InputError(f"{path} is no Parquet file: {error}") from error
        number = new.commit(by)
    assert number is not None
    return number


def _fitted(table: Table, batch: pa.Table, path: Path, validated: bool) -> pa.Table:
    schema = arrow_schema(table.name)
    if batch.column_names != schema.names:
        raise InputError(f"{path}: expected the columns {', '.join(schema.names)}, got {', '.join(batch.column_names)}")
    try:
        fitted = batch.cast(schema)
        if validated:
            for _ in rows_from_arrow(table.model, fitted):
                pass
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise InputError(f"{path}: {error}") from error
    return fitted


def check_selection(lake: Lake, expected: PublishedSelection) -> None:
    """See that the restored selection is the one that was published.

    Raises:
        InputError: it is not.
    """
    snapshot = lake.snapshot()
    selection = find_selection(snapshot, expected.name)
    connection = snapshot.connect()
    try:
        found = selection_hash(connection, selection.selection_id)
    finally:
        connection.close()
    stated = {selection.content_hash, expected.content_hash}
    if stated != {found}:
        raise InputError(
            f"selection {expected.name!r} does not hold what its manifest says: expected content hash"
            f" {expected.content_hash}, got {found}"
        )


def temporary_lake(directory: Path, path: Path) -> Lake:
    """A lake at `path` of the tables below `directory`, to read what depends on them."""
    lake = open_lake(path, create=True)
    restore(directory, lake, "publish", validated=False)
    return lake
