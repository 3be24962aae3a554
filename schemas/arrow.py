"""Arrow schemas made from the row models, and rows in and out of Arrow tables.

Invariant: a table built here has exactly the columns, types and nullability of its model;
`rows_from_arrow(rows_to_arrow(rows)) == rows`.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import pyarrow as pa

from schemas.row import Physical, Row
from schemas.tables import FORMAT_VERSION, TABLES, Table

RowT = TypeVar("RowT", bound=Row)

_SCALARS: dict[type, pa.DataType] = {
    str: pa.string(),
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    datetime: pa.timestamp("us", tz="UTC"),
}


def _arrow_type(annotation: Any, metadata: Sequence[Any] = ()) -> tuple[pa.DataType, bool]:
    """Arrow type of a Python annotation, and whether it may be null."""
    for mark in metadata:
        if isinstance(mark, Physical):
            return getattr(pa, mark.arrow_type)(), False
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _arrow_type(arguments[0], arguments[1:])
    if origin in (Union, types.UnionType):
        members = [argument for argument in arguments if argument is not type(None)]
        if len(members) == 1 and len(members) < len(arguments):
            return _arrow_type(members[0], metadata)[0], True
    if origin is Literal:
        return pa.string(), False
    if origin is list:
        item, nullable = _arrow_type(arguments[0])
        return pa.list_(pa.field("element", item, nullable=nullable)), False
    if annotation in _SCALARS:
        return _SCALARS[annotation], False
    raise TypeError(f"no Arrow type for {annotation!r}: add it to schemas.arrow")


@cache
def arrow_schema(table: str) -> pa.Schema:
    """Schema of `table` as stored, with table name and format version as metadata.

    Raises:
        KeyError: there is no such table.
    """
    fields = []
    for name, info in TABLES[table].model.model_fields.items():
        arrow_type, nullable = _arrow_type(info.annotation, info.metadata)
        fields.append(pa.field(name, arrow_type, nullable=nullable))
    return pa.schema(fields, metadata={"toolkit.table": table, "toolkit.format": str(FORMAT_VERSION)})


def rows_to_arrow(table: Table, rows: Sequence[Row]) -> pa.Table:
    """One Arrow table from validated rows of `table`.

    Raises:
        TypeError: a row belongs to another table.
    """
    for row in rows:
        if type(row) is not table.model:
            raise TypeError(f"{table.name} takes {table.model.__name__} rows, not {type(row).__name__}")
    schema = arrow_schema(table.name)
    values = [vars(row) for row in rows]
    columns = [pa.array([row[field.name] for row in values], type=field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def rows_from_arrow(model: type[RowT], data: pa.Table | pa.RecordBatch) -> Iterator[RowT]:
    """Validated rows from Arrow data with the columns of `model`."""
    for values in data.to_pylist():
        yield model.model_validate(values)
