"""The base of every row model, and the field types that need more than a Python type says.

A field's docstring is its documentation: unit, alignment, and, where it may be null, a
sentence that begins with `Null:`. The data dictionary and the Arrow schema are both made
from these classes, so there is no second place to keep true.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Row(BaseModel):
    """One row of one table; unknown fields, NaN, infinities and lone surrogates are refused."""

    model_config = ConfigDict(
        extra="forbid",
        # No program validates rows of every table, and building all validators would take longer than most starts.
        defer_build=True,
        allow_inf_nan=False,
        # The longest string Arrow holds; any limit makes pydantic refuse text that is not Unicode.
        str_max_length=2**31 - 1,
    )


@dataclass(frozen=True, slots=True)
class Physical:
    """Marks a field whose Arrow type is narrower or wider than its Python type implies."""

    arrow_type: str
    """Name of a pyarrow type factory, for example `int32`."""


@dataclass(frozen=True, slots=True)
class JsonText:
    """Marks a string field that holds one JSON value."""


def _check_json(text: str) -> str:
    try:
        _DECODER.decode(text)
    except RecursionError as error:
        raise ValueError("JSON nested too deeply") from error
    return text


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON; write null or a string")


# Made once: `json.loads` makes one at every call that says what to do with constants.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a time without time zone is ambiguous")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("a time outside the years 1 to 9999 of UTC") from error


Json = Annotated[str, AfterValidator(_check_json), JsonText()]
"""JSON text. Kept as a string: Arrow would null-fill structs whose keys differ from row to row."""

Id = Annotated[str, Field(pattern=r"^[0-9a-f]{24}$")]
"""24 hexadecimal digits, derived from content by `schemas.identity.derive_id`."""

Count = Annotated[int, Field(ge=0, lt=2**63)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
TokenId = Annotated[int, Field(ge=0, lt=2**31), Physical("int32")]
LogProb = Annotated[float, Physical("float64")]
Hash64 = Annotated[int, Field(ge=0, lt=2**64), Physical("uint64")]
Instant = Annotated[datetime, AfterValidator(_in_utc)]
"""A moment; must come with a time zone, is kept in UTC with microseconds."""
