"""Rows survive the way through Arrow and Parquet unchanged, whatever the model lets in."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from row_strategies import rows_of

from schemas import TABLES, Prompt, Score, Signature, Task
from schemas.arrow import arrow_schema, rows_from_arrow, rows_to_arrow

AN_ID = "0123456789abcdef01234567"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def through_parquet(data: pa.Table) -> pa.Table:
    buffer = io.BytesIO()
    pq.write_table(data, buffer)
    return pq.read_table(pa.BufferReader(buffer.getvalue()))


@pytest.mark.parametrize("name", TABLES)
@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_rows_come_back_from_parquet_as_they_went_in(name: str, data: st.DataObject) -> None:
    table = TABLES[name]
    rows = data.draw(st.lists(rows_of(table.model), max_size=4))
    stored = through_parquet(rows_to_arrow(table, rows))
    assert stored.schema.equals(arrow_schema(name), check_metadata=True)
    assert list(rows_from_arrow(table.model, stored)) == rows


@pytest.mark.parametrize("name", TABLES)
def test_a_column_is_nullable_exactly_where_the_model_takes_none(name: str) -> None:
    for column in arrow_schema(name):
        with pytest.raises(ValidationError) as refused:
            # The one wrong type makes sure that there is an error, whatever else is missing.
            TABLES[name].model.model_validate({column.name: None, "no column": None})
        takes_none = all(error["loc"] != (column.name,) for error in refused.value.errors())
        assert column.nullable == takes_none, column.name


def test_the_largest_values_of_every_width_come_back() -> None:
    signature = Signature(trajectory_id=AN_ID, role="code", scheme="s", attempt=2**63 - 1, values=[0, 2**64 - 1])
    stored = through_parquet(rows_to_arrow(TABLES["signatures"], [signature]))
    assert list(rows_from_arrow(Signature, stored)) == [signature]


def test_a_time_keeps_its_moment_and_is_stored_in_utc() -> None:
    score = Score.model_validate(
        {"trajectory_id": AN_ID, "scorer": "fact@1", "scored_at": "2026-01-01T05:30:00.000001+05:30"}
    )
    [found] = rows_from_arrow(Score, through_parquet(rows_to_arrow(TABLES["scores"], [score])))
    assert found.scored_at == datetime(2026, 1, 1, microsecond=1, tzinfo=UTC)
    assert found.scored_at.utcoffset() == NOW.utcoffset()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scored_at", datetime(2026, 1, 1)),  # noqa: DTZ001
        ("scored_at", "0001-01-01T00:00:00+05:00"),
        ("value", float("nan")),
        ("value", float("inf")),
        ("attempt", -1),
        ("attempt", 2**63),
        ("trajectory_id", "ABCDEF"),
        ("scorer", "without version"),
        ("details", "{not json"),
        ("details", "[NaN]"),
        ("details", "[" * 100_000),
        ("details", '"lone \ud800 surrogate"'),
        ("unknown_field", 1),
    ],
)
def test_what_a_table_cannot_hold_is_refused_when_the_row_is_made(field: str, value: Any) -> None:
    row = {"trajectory_id": AN_ID, "scorer": "fact@1", "scored_at": NOW, field: value}
    with pytest.raises(ValidationError, match=field):
        Score.model_validate(row)


@pytest.mark.parametrize("text", ["\ud800", "before \udfff after"])
def test_text_that_is_not_unicode_is_refused_also_without_other_limits(text: str) -> None:
    with pytest.raises(ValidationError, match="text"):
        Prompt(prompt_hash=AN_ID, text=text)
    with pytest.raises(ValidationError, match="answers"):
        Task(task_id=AN_ID, dataset="d", question="q", answers=[text], domain="fact")


def test_a_row_of_another_table_is_refused() -> None:
    prompt = Prompt(prompt_hash=AN_ID, text="x")
    with pytest.raises(TypeError, match="scores takes Score rows, not Prompt"):
        rows_to_arrow(TABLES["scores"], [prompt])
