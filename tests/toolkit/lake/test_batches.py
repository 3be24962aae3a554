"""What one block writes appears at once or not at all, and every commit stays readable."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from lake_rows import an_id, rollout, score

from schemas import TABLES
from schemas.arrow import arrow_schema, rows_from_arrow, rows_to_arrow
from toolkit.errors import InputError, LakeError
from toolkit.lake.check import check
from toolkit.lake.lake import Lake, open_lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", create=True)


def counts(lake: Lake, at: int | None = None) -> dict[str, int]:
    snapshot = lake.snapshot(at)
    return {name: rows for name in TABLES if (rows := snapshot.rows(name))}


def test_an_empty_lake_answers_every_query_with_no_rows_and_the_right_columns(lake: Lake) -> None:
    connection = lake.snapshot().connect()
    for name in TABLES:
        relation = connection.sql(f"SELECT * FROM {name}")
        assert relation.columns == arrow_schema(name).names
        assert relation.fetchall() == []
        assert lake.scan(name).collect().shape == (0, len(arrow_schema(name)))
    assert lake.snapshot().number == 0


def test_all_tables_of_a_block_appear_in_one_commit(lake: Lake) -> None:
    with lake.write("first") as batch:
        batch.add(rollout("a"))
        batch.add([score("a", True)])
        assert counts(lake) == {}
    assert batch.commit == 1
    assert counts(lake) == {
        "tasks": 1,
        "trajectories": 1,
        "steps": 2,
        "tool_calls": 2,
        "candidates": 1,
        "scores": 1,
    }


def write_half(lake: Lake) -> None:
    with lake.write("broken") as batch:
        batch.add(rollout("a"))
        raise RuntimeError("half-way")


def test_a_block_that_raises_leaves_nothing_behind(lake: Lake) -> None:
    with pytest.raises(RuntimeError, match="half-way"):
        write_half(lake)
    assert counts(lake) == {}
    assert list(lake.layout.segments.iterdir()) == []
    assert check(lake) == []


def test_a_block_without_rows_makes_no_commit(lake: Lake) -> None:
    with lake.write("nothing") as batch:
        batch.add([])
    with lake.write("empty arrow") as second:
        second.add_arrow("steps", arrow_schema("steps").empty_table())
    assert (batch.commit, second.commit) == (None, None)
    assert lake.snapshot().number == 0
    assert list(lake.layout.segments.iterdir()) == []


def test_rows_come_back_equal_through_duckdb_and_polars(lake: Lake) -> None:
    rows = rollout("a", mark='line\nbreak, NUL \x00, "quotes", 日本語, 🙂')
    with lake.write("unicode") as batch:
        batch.add(rows)
    connection = lake.snapshot().connect()
    for name, table in TABLES.items():
        expected = [row for row in rows if type(row) is table.model]
        found = connection.sql(f"SELECT * FROM {name}").to_arrow_table()
        assert list(rows_from_arrow(table.model, found)) == expected
        assert [table.model.model_validate(row) for row in lake.scan(name).collect().to_dicts()] == expected


def test_a_required_value_that_is_null_in_arrow_data_is_refused_and_nothing_is_left(lake: Lake) -> None:
    data = rows_to_arrow(TABLES["scores"], [score("a", True)]).to_pylist()
    data[0]["scorer"] = None
    nullable = pa.schema([field.with_nullable(True) for field in arrow_schema("scores")])
    with pytest.raises((LakeError, InputError), match="scorer"), lake.write("nulls") as batch:
        batch.add_arrow("scores", pa.Table.from_pylist(data, schema=nullable))
    assert list(lake.layout.segments.iterdir()) == []
    assert counts(lake) == {}


@pytest.mark.parametrize(
    ("table", "data", "message"),
    [
        ("nonsense", pa.table({"x": [1]}), "there is no table 'nonsense'"),
        ("prompts", pa.table({"text": ["x"]}), "need the column 'prompt_hash'"),
        ("prompts", pa.table({"prompt_hash": [1.5], "text": [[1]]}), "none of prompts"),
    ],
)
def test_arrow_data_that_fits_no_table_is_named(lake: Lake, table: str, data: pa.Table, message: str) -> None:
    with pytest.raises(InputError, match=message), lake.write("bad") as batch:
        batch.add_arrow(table, data)
    assert counts(lake) == {}


def test_every_commit_can_be_read_as_it_was(lake: Lake) -> None:
    for number in range(1, 4):
        with lake.write(f"commit {number}") as batch:
            batch.add(rollout(number))
        assert batch.commit == number
    for number in range(4):
        assert counts(lake, at=number).get("trajectories", 0) == number
        assert len(lake.sql("SELECT * FROM trajectories", at=number).fetchall()) == number
        assert lake.scan("trajectories", at=number).select(pl.len()).collect().item() == number


@pytest.mark.parametrize("at", [-1, 2, 10**9])
def test_a_commit_that_does_not_exist_is_named(lake: Lake, at: int) -> None:
    with lake.write("one") as batch:
        batch.add(rollout("a"))
    with pytest.raises(InputError, match=f"there is no commit {at}: the newest is 1"):
        lake.snapshot(at)


def test_a_snapshot_does_not_see_later_commits(lake: Lake) -> None:
    before = lake.snapshot()
    with lake.write("later") as batch:
        batch.add(rollout("a"))
    assert before.connect().execute("SELECT count(*) FROM trajectories").fetchall() == [(0,)]
    assert lake.snapshot().connect().execute("SELECT count(*) FROM trajectories").fetchall() == [(1,)]


def test_a_table_that_does_not_exist_is_named_by_scan(lake: Lake) -> None:
    with pytest.raises(InputError, match="there is no table 'step'; the tables are tasks, runs"):
        lake.scan("step")


def test_a_commit_says_what_wrote_it(lake: Lake) -> None:
    with lake.write("import some.jsonl") as batch:
        batch.add(rollout("a"))
    commit = lake.log.read(1)
    assert (commit.by, commit.number, len(commit.added)) == ("import some.jsonl", 1, 1)
    [segment] = commit.added.values()
    assert segment["trajectories"].first == an_id("trajectory", "a") == segment["trajectories"].last
