"""Counts that several views of a lake show: trajectories by dataset, decisions by rule.

Invariant: every number is one SELECT over a snapshot, so that a table in the terminal and a page agree.
"""

from __future__ import annotations

from typing import Any

import duckdb

Rows = list[dict[str, Any]]

_BY_DATASET = """
SELECT dataset, kind, role, count(*) AS trajectories, count(DISTINCT task_id) AS tasks,
       count(*) FILTER (correct) AS correct, round(avg(n_steps), 2) AS steps,
       round(avg(n_tool_calls), 2) AS tool_calls, count(*) FILTER (stop_reason = 'final_answer') AS answered,
       sum(parse_errors)::BIGINT AS parse_errors, sum(execution_errors)::BIGINT AS execution_errors
FROM trajectories_scored {chosen} GROUP BY ALL ORDER BY ALL
"""

_BY_RULE = """
SELECT rule, count(*) AS trajectories, count(DISTINCT nearest_kept_id) AS in_favour_of
FROM decisions WHERE selection_id = '{selection_id}' GROUP BY rule, kept
ORDER BY kept DESC, try_cast(split_part(rule, ':', 1) AS INTEGER)
"""


def by_dataset(connection: duckdb.DuckDBPyConnection, chosen: str = "") -> Rows:
    """Trajectories by dataset, kind and role; `chosen` is a join that narrows `trajectories_scored`."""
    return rows(connection, _BY_DATASET.format(chosen=chosen))


def by_rule(connection: duckdb.DuckDBPyConnection, selection_id: str) -> Rows:
    """Decisions of a selection: what is kept first, then each rule that dropped something, in order."""
    return rows(connection, _BY_RULE.format(selection_id=selection_id))


def rows(connection: duckdb.DuckDBPyConnection, query: str) -> Rows:
    """The rows of a SELECT by column name."""
    found: Rows = connection.sql(query).to_arrow_table().to_pylist()
    return found
