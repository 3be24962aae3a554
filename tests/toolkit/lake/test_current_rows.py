"""Whatever was written in whatever order: DuckDB, Polars and the plain model agree on what is current."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from current_model import commits, current
from hypothesis import HealthCheck, given, settings

from schemas import TABLES, Row
from schemas.arrow import rows_from_arrow
from toolkit.lake.compaction import compact
from toolkit.lake.lake import Lake, open_lake
from toolkit.lake.snapshot import Snapshot

_QUICK = settings(deadline=None, max_examples=6, suppress_health_check=list(HealthCheck))
_GROUPS = [
    ["trajectories", "steps", "scores"],
    ["trajectories", "tool_calls", "candidates", "signatures", "reviews"],
    ["selections", "decisions", "step_weights", "runs", "tasks", "models", "prompts"],
]


def as_set(rows: list[Row]) -> set[str]:
    return {row.model_dump_json() for row in rows}


def in_duckdb(snapshot: Snapshot, names: list[str]) -> dict[str, list[Row]]:
    connection = snapshot.connect()
    try:
        tables = {name: connection.sql(f"SELECT * FROM {name}").to_arrow_table() for name in names}
    finally:
        connection.close()
    return {name: list(rows_from_arrow(TABLES[name].model, data)) for name, data in tables.items()}


def in_polars(snapshot: Snapshot, names: list[str]) -> dict[str, list[Row]]:
    tables = {name: snapshot.scan(name).collect().to_dicts() for name in names}
    return {name: [TABLES[name].model.model_validate(row) for row in rows] for name, rows in tables.items()}


def assert_agreement(lake: Lake, rows: list[Row], names: list[str]) -> None:
    snapshot = lake.snapshot()
    found, scanned = in_duckdb(snapshot, names), in_polars(snapshot, names)
    for name in names:
        expected = current(rows, name)
        assert len(found[name]) == len(scanned[name]) == len(expected), name
        assert as_set(found[name]) == as_set(scanned[name]) == as_set(expected), name


@pytest.mark.parametrize("names", _GROUPS, ids=lambda names: f"{names[0]} and what goes with them")
def test_duckdb_polars_and_the_model_agree_before_and_after_compaction(names: list[str]) -> None:
    @_QUICK
    @given(history=commits(names))
    def check(history: list[list[Row]]) -> None:
        with tempfile.TemporaryDirectory() as directory:
            lake = open_lake(Path(directory) / "lake", create=True)
            for rows in history:
                with lake.write("some rows") as batch:
                    batch.add(rows)
            written = [row for rows in history for row in rows]
            assert_agreement(lake, written, names)
            compact(lake, target_bytes=4_000)
            assert_agreement(lake, written, names)

    check()
