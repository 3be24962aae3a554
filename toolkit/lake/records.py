"""Whole trajectories, read as a stream: the row, its question, its steps and their tool calls.

Invariant: memory holds a batch, not the lake. Each table is read once, sorted by id, and
the streams are merged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Generic, TypeVar

import duckdb

from schemas import Row, Step, Task, ToolCall, Trajectory
from toolkit.errors import QueryError

BATCH_ROWS = 2_000
RowT = TypeVar("RowT", bound=Row)


@dataclass(slots=True)
class TrajectoryRecord:
    """One trajectory with all that belongs to it."""

    trajectory: Trajectory
    task: Task | None
    """None: the lake does not hold the question."""
    steps: list[Step] = field(default_factory=list)
    tool_calls: list[ToolCall] = field(default_factory=list)
    system_prompt: str | None = None
    """None: there was none, or it is not known."""
    tools: str | None = None
    """Tool definitions as a JSON array. None: none, or not known."""

    def calls_of(self, step_index: int) -> list[ToolCall]:
        """Tool calls of one step, in order."""
        return [call for call in self.tool_calls if call.step_index == step_index]


def count_rows(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """How many rows `query` gives."""
    return int(connection.execute(f"SELECT count(*) FROM ({query})").fetchall()[0][0])


def read_records(connection: duckdb.DuckDBPyConnection, ids: str) -> Iterator[TrajectoryRecord]:
    """Current trajectories whose id the SELECT `ids` returns, in order of trajectory_id.

    Raises:
        QueryError: `ids` does not run.
    """
    chosen = f"SEMI JOIN ({ids}) chosen USING (trajectory_id)"
    task_columns = "t.trajectory_id, k.*"
    try:
        texts = dict(connection.cursor().execute(_PROMPTS).fetchall())
        tasks = _Groups(
            connection, Task, f"SELECT {task_columns} FROM trajectories t {chosen} JOIN tasks k USING (task_id)"
        )
        steps = _Groups(connection, Step, f"SELECT * FROM steps {chosen}", "step_index")
        calls = _Groups(connection, ToolCall, f"SELECT * FROM tool_calls {chosen}", "step_index, ordinal")
        for key, trajectory in _rows(connection, Trajectory, f"SELECT * FROM trajectories {chosen}"):
            found = tasks.take(key)
            yield TrajectoryRecord(
                trajectory,
                found[0] if found else None,
                steps.take(key),
                calls.take(key),
                texts.get(trajectory.system_prompt_hash),
                texts.get(trajectory.tools_hash),
            )
    except duckdb.Error as error:
        raise QueryError(str(error)) from error


_PROMPTS = """
SELECT prompt_hash, text FROM prompts
SEMI JOIN (SELECT system_prompt_hash AS prompt_hash FROM trajectories UNION SELECT tools_hash FROM trajectories)
USING (prompt_hash)
"""


def _rows(
    connection: duckdb.DuckDBPyConnection, model: type[RowT], query: str, within: str = "1"
) -> Iterator[tuple[str, RowT]]:
    """Validated rows of `query` with their trajectory_id, sorted by it and then by `within`."""
    relation = connection.cursor().sql(f"{query} ORDER BY trajectory_id, {within}")
    keyed = "trajectory_id" in model.model_fields
    for batch in relation.to_arrow_reader(BATCH_ROWS):
        for values in batch.to_pylist():
            key = values["trajectory_id"] if keyed else values.pop("trajectory_id")
            yield key, model.model_validate(values)


class _Groups(Generic[RowT]):
    """Rows sorted by trajectory_id, handed out one trajectory at a time."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, model: type[RowT], query: str, within: str = "1") -> None:
        self._groups = groupby(_rows(connection, model, query, within), key=itemgetter(0))
        self._next = next(self._groups, None)

    def take(self, key: str) -> list[RowT]:
        """The rows of `key`; keys must be asked for in ascending order."""
        while self._next is not None and self._next[0] < key:
            self._next = next(self._groups, None)
        if self._next is None or self._next[0] != key:
            return []
        rows = [row for _, row in self._next[1]]
        self._next = next(self._groups, None)
        return rows
