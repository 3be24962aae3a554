"""A retry takes the place of what it retries, in every table; nothing written is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from lake_rows import an_id, rollout, score

from toolkit.lake.compaction import compact
from toolkit.lake.lake import Lake, open_lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", create=True)


def asker(lake: Lake) -> Callable[[str], object]:
    """Answers queries of one value on the lake as it is now."""
    connection = lake.snapshot().connect()
    return lambda query: connection.sql(query).fetchall()[0][0]


@pytest.mark.parametrize("compacted", [False, True])
def test_views_show_the_newest_attempt_and_raw_shows_all(lake: Lake, compacted: bool) -> None:
    for attempt, n_steps in [(0, 3), (1, 2), (2, 1)]:
        with lake.write(f"attempt {attempt}") as batch:
            batch.add(rollout("a", attempt=attempt, n_steps=n_steps, mark=f"answer {attempt}"))
            batch.add([score("a", attempt == 2, attempt=attempt)])
    with lake.write("another") as batch:
        batch.add(rollout("b", n_steps=1))
    if compacted:
        compact(lake)
    one = asker(lake)
    rows = lake.sql("SELECT trajectory_id, attempt, final_answer FROM trajectories ORDER BY attempt").fetchall()
    assert rows == [(an_id("trajectory", "b"), 0, ""), (an_id("trajectory", "a"), 2, "answer 2")]
    for table in ("steps", "tool_calls", "candidates"):
        assert one(f"SELECT list(DISTINCT attempt ORDER BY attempt) FROM {table}") == [0, 2]
        assert one(f"SELECT count(*) FROM {table}") == 2
    assert one("SELECT list(passed) FROM scores") == [True]
    assert one("SELECT count(*) FROM raw.trajectories") == 4
    assert one("SELECT count(*) FROM raw.steps") == 7
    assert lake.scan("steps").collect().sort("attempt")["attempt"].to_list() == [0, 2]


def test_a_late_score_of_an_old_attempt_is_not_current(lake: Lake) -> None:
    for attempt in (0, 1):
        with lake.write("rollout") as batch:
            batch.add(rollout("a", attempt=attempt))
    with lake.write("late") as batch:
        batch.add([score("a", True, attempt=0, at_s=100)])
    one = asker(lake)
    assert one("SELECT count(*) FROM scores") == 0
    assert one("SELECT correct FROM trajectories_scored") is None


@pytest.mark.parametrize("compacted", [False, True])
def test_a_row_without_its_trajectory_is_in_raw_and_never_current(lake: Lake, compacted: bool) -> None:
    with lake.write("orphan") as batch:
        batch.add([score("nobody", True)])
    with lake.write("others") as batch:
        batch.add(rollout("a"))
    if compacted:
        compact(lake)
    one = asker(lake)
    assert one("SELECT count(*) FROM scores") == 0
    assert lake.scan("scores").collect().is_empty()
    assert one("SELECT count(*) FROM raw.scores") == 1


@pytest.mark.parametrize("compacted", [False, True])
def test_a_fact_written_by_two_writers_counts_once(lake: Lake, compacted: bool) -> None:
    for writer in ("one", "two"):
        with lake.write(writer) as batch:
            batch.add(rollout("a"))
    if compacted:
        compact(lake)
    one = asker(lake)
    for table, rows in [("trajectories", 1), ("tasks", 1), ("steps", 2), ("tool_calls", 2), ("candidates", 1)]:
        assert one(f"SELECT count(*) FROM {table}") == rows
        assert lake.scan(table).collect().height == rows


@pytest.mark.parametrize("compacted", [False, True])
def test_where_two_writers_disagree_the_one_who_wrote_last_counts(lake: Lake, compacted: bool) -> None:
    for mark in ("first", "second", "third"):
        with lake.write(mark) as batch:
            batch.add(rollout("a", mark=mark))
    if compacted:
        compact(lake)
    one = asker(lake)
    for _ in range(3):
        assert one("SELECT final_answer FROM trajectories") == "third"
        assert one("SELECT list(completion ORDER BY step_index) FROM steps") == ["third 0", "third 1"]
    assert lake.scan("trajectories").collect()["final_answer"].to_list() == ["third"]


def test_correct_is_the_newest_word_of_an_answer_scorer_or_else_the_reward(lake: Lake) -> None:
    cases: dict[str, tuple[list[tuple[str, bool | None, int]], bool | None]] = {
        "nobody": ([], None),
        "one": ([("fact@1", True, 0)], True),
        "newer version": ([("fact@1", True, 0), ("fact@2", False, 1)], False),
        "newer version, written first": ([("fact@2", False, 1), ("fact@1", True, 0)], False),
        "same version again": ([("fact@1", True, 0), ("fact@1", False, 1)], False),
        "reward": ([("reward@source", True, 0)], True),
        "late reward": ([("reward@source", True, 9), ("math@1", False, 0)], False),
        "undecided": ([("reward@source", True, 0), ("math@1", None, 1)], True),
        "another scorer": ([("length@1", True, 0)], None),
    }
    with lake.write("rollouts") as batch:
        for name, (scores, _) in cases.items():
            batch.add(rollout(name))
            batch.add([score(name, passed, scorer=scorer, at_s=at_s) for scorer, passed, at_s in scores])
    found = dict(lake.sql("SELECT question, correct FROM trajectories_scored").fetchall())
    assert found == {f"{name}?": correct for name, (_, correct) in cases.items()}


def test_every_view_has_the_columns_of_its_table_in_their_order(lake: Lake) -> None:
    for attempt in (0, 1):
        with lake.write("rollout") as batch:
            batch.add(rollout("a", attempt=attempt))
            batch.add([score("a", True, attempt=attempt)])
    connection = lake.snapshot().connect()
    for table in ("trajectories", "steps", "tool_calls", "candidates", "scores", "tasks"):
        raw = connection.sql(f"SELECT * FROM raw.{table}").columns
        assert connection.sql(f"SELECT * FROM {table}").columns == raw
        assert lake.scan(table).collect_schema().names() == raw
