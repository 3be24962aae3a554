"""The free texts of the published tables, and how to change them.

Invariant: JSON stays JSON. A text inside a JSON column is looked at as the program that
wrote it meant it, without escapes, and is written back the same way; what stands beside it stays
as it was. Read by Python's decoder, as the row models read it: every integer is exact, and whatever
depth a lake holds is looked at. Ids, hashes and words of closed vocabularies are no free texts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa

from schemas import TABLES
from schemas.arrow import arrow_schema
from schemas.identity import canonical_json


@dataclass(frozen=True, slots=True)
class TextColumn:
    """A column with free text."""

    name: str
    json: bool
    list: bool


@cache
def text_columns(table: str) -> tuple[TextColumn, ...]:
    """Columns of `table` that hold free text."""
    found = []
    schema = arrow_schema(table)
    for name, info in TABLES[table].model.model_fields.items():
        kind = schema.field(name).type
        is_list = pa.types.is_list(kind) and pa.types.is_string(kind.value_type)
        described = repr(info)
        if (pa.types.is_string(kind) or is_list) and "[0-9a-f]{24}" not in described and "Literal[" not in described:
            found.append(TextColumn(name, "JsonText" in described, is_list))
    return tuple(found)


def texts(column: TextColumn, value: Any) -> Iterator[tuple[str, str]]:
    """The texts in one value of `column`, each with its place inside (empty, list index or JSON pointer)."""
    if value is None:
        return
    if column.list:
        yield from ((f"/{index}", text) for index, text in enumerate(value))
    elif column.json:
        yield from _leaves(json.loads(value), "")
    else:
        yield "", value


def _leaves(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield f"{place}/{name}#key", name
            yield from _leaves(item, f"{place}/{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{place}/{index}")
    elif isinstance(value, int) and not isinstance(value, bool):
        # A number of sixteen digits can be a payment card.
        yield place, str(value)


def replaced(column: TextColumn, value: Any, change: Callable[[str], str]) -> Any:
    """`value` with every text in it changed; the very same value where nothing was."""
    if value is None:
        return None
    if column.list:
        return [change(text) for text in value]
    if not column.json:
        return change(value)
    before = json.loads(value)
    after = _replaced(before, change)
    return value if after == before else canonical_json(after)


def _replaced(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(name): _replaced(item, change) for name, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, change) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        text = str(value)
        return value if (after := change(text)) == text else after
    return value
