"""Hypothesis strategies for rows of any table, derived from the row models themselves.

A new table or field needs nothing here: types, bounds, patterns and vocabularies are read
from the model. Values are as wild as the model allows: any Unicode, largest integers, any
time zone, JSON of any shape.
"""

from __future__ import annotations

import json
import types
from datetime import datetime
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le, Lt, MinLen
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from schemas import Row
from schemas.row import JsonText

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=st.timezones())  # noqa: DTZ001


def rows_of(model: type[Row], **fixed: SearchStrategy[Any]) -> SearchStrategy[Any]:
    """Rows of `model`; `fixed` replaces the strategy of single fields."""
    fields = {name: _values(info.annotation, list(info.metadata)) for name, info in model.model_fields.items()}
    return st.builds(model, **{**fields, **fixed})


def _values(annotation: Any, metadata: list[Any]) -> SearchStrategy[Any]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _values(arguments[0], [*_flat(arguments[1:]), *metadata])
    if origin in (Union, types.UnionType):
        inner = next(argument for argument in arguments if argument is not type(None))
        return st.none() | _values(inner, metadata)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is list:
        return st.lists(_values(arguments[0], []), max_size=4)
    return _scalars(annotation, _flat(metadata))


def _scalars(kind: Any, metadata: list[Any]) -> SearchStrategy[Any]:
    if kind is str:
        return _texts(metadata)
    if kind is bool:
        return st.booleans()
    if kind is int:
        lt = _bound(metadata, Lt, "lt")
        return st.integers(_bound(metadata, Ge, "ge"), None if lt is None else lt - 1)
    if kind is float:
        least, most = _bound(metadata, Ge, "ge"), _bound(metadata, Le, "le")
        return st.floats(least, most, allow_nan=False, allow_infinity=False)
    if kind is datetime:
        return _MOMENTS
    raise TypeError(f"no strategy for {kind!r}")


def _texts(metadata: list[Any]) -> SearchStrategy[str]:
    if any(isinstance(mark, JsonText) for mark in metadata):
        return _JSON.map(lambda value: json.dumps(value, ensure_ascii=False))
    for mark in metadata:
        if pattern := getattr(mark, "pattern", None):
            return st.from_regex(pattern, fullmatch=True)
    return st.text(min_size=_bound(metadata, MinLen, "min_length") or 0)


def _bound(metadata: list[Any], mark: type, name: str) -> Any:
    return next((getattr(found, name) for found in metadata if isinstance(found, mark)), None)


def _flat(metadata: Any) -> list[Any]:
    """Marks, with those that pydantic's `Field` bundles taken out of it."""
    return [inner for mark in metadata for inner in (mark.metadata if hasattr(mark, "metadata") else [mark])]
