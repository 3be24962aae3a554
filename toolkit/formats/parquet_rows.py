"""The rows of a Parquet file as JSON values.

Invariant: a row holds only what JSON can say. Times become ISO 8601 text, decimals text,
NaN becomes null (pandas writes missing values so). Fields that Arrow filled up with null
stay null: formats read null as absent. Not covered: binary columns, an error of the row.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import IO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from toolkit.errors import InputError, RecordError
from toolkit.formats.json_values import decode

BATCH_ROWS = 256


@dataclass(frozen=True, slots=True)
class Row:
    """One row, or why it cannot be read."""

    number: int
    """From 1."""
    value: object
    fault: str | None
    end_byte: int
    """Share of the file that the rows up to here take, in bytes."""


def iter_rows(file: IO[bytes]) -> Iterator[Row]:
    """Yield the rows of an open Parquet file.

    Raises:
        InputError: it is damaged.
    """
    size = os.fstat(file.fileno()).st_size
    number = 0
    try:
        table = pq.ParquetFile(file)
        for batch in table.iter_batches(BATCH_ROWS):
            for row in range(batch.num_rows):
                number += 1
                value, fault = _row(batch, row)
                yield Row(number, value, fault, size * number // table.metadata.num_rows)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{file.name}: damaged Parquet file after row {number}: {error}") from error


def _row(batch: pa.RecordBatch, row: int) -> tuple[object, str | None]:
    try:
        values = batch.slice(row, 1).to_pylist()[0]
        return decode(orjson.dumps(values, default=_as_text)), None
    except RecordError as error:
        return None, error.reason
    except (TypeError, ValueError) as error:
        return None, f"expected values that JSON can express: {error}"


def _as_text(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"came {type(value).__name__}")
