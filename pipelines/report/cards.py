"""A trajectory as its card on the page shows it: question, steps, and what was said about them.

Invariant: texts are copied as they are, in full; what could harm a browser is made visible where it is shown.
Not covered: results of tools (the observation says what the agent saw) and the candidates of sag one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import duckdb

from pipelines.report.queries import EMBEDDED
from schemas import Step, ToolCall
from toolkit.lake.counts import Rows, rows
from toolkit.lake.records import TrajectoryRecord, read_records

_EMBEDDED_ONLY = f"SEMI JOIN ({EMBEDDED}) USING (trajectory_id)"

_SCORES = f"""
SELECT trajectory_id, step_index, scorer, value, passed FROM scores {_EMBEDDED_ONLY}
ORDER BY trajectory_id, scorer, step_index
"""
_REVIEWS = f"""
SELECT trajectory_id, step_index, reviewer, verdict, rating, comment FROM reviews {_EMBEDDED_ONLY}
ORDER BY trajectory_id, step_index, reviewer
"""
_VOTES = f"""
SELECT trajectory_id, step_index, count(*) AS candidates, count(*) FILTER (outcome_key IS NOT NULL) AS voting,
       max(votes) FILTER (chosen) AS votes
FROM candidates {_EMBEDDED_ONLY} GROUP BY ALL ORDER BY ALL
"""
_EVIDENCE = "SELECT trajectory_id, evidence FROM report_rows WHERE embedded AND evidence IS NOT NULL"
_WEIGHTS = """
SELECT trajectory_id, step_index, weight, rule FROM step_weights
WHERE selection_id = '{selection_id}' ORDER BY trajectory_id, step_index
"""

Remarks = dict[str, dict[str, Rows]]
"""What graders, people and recipes said: rows by the trajectory that they are about, by kind of remark."""


def read_cards(connection: duckdb.DuckDBPyConnection, selection_id: str | None) -> Iterator[dict[str, Any]]:
    """The cards of the embedded trajectories in order of id; `prompt` is the text of the system prompt."""
    remarks = _remarks(connection, selection_id)
    for record in read_records(connection, EMBEDDED):
        yield _card(record, remarks)


def _remarks(connection: duckdb.DuckDBPyConnection, selection_id: str | None) -> Remarks:
    queries = {"scores": _SCORES, "reviews": _REVIEWS, "votes": _VOTES, "evidence": _EVIDENCE}
    if selection_id is not None:
        queries["weights"] = _WEIGHTS.format(selection_id=selection_id)
    remarks: Remarks = {"weights": {}}
    for name, query in queries.items():
        said = remarks[name] = defaultdict(list)
        for row in rows(connection, query):
            said[row.pop("trajectory_id")].append(row)
    return remarks


def _card(record: TrajectoryRecord, remarks: Remarks) -> dict[str, Any]:
    trajectory, task = record.trajectory, record.task
    key = trajectory.trajectory_id
    weights = {row["step_index"]: row for row in remarks["weights"].get(key, ())}
    votes = {row["step_index"]: row for row in remarks["votes"].get(key, ())}
    evidence = remarks["evidence"].get(key)
    return _filled(
        {
            "id": key,
            "question": task.question if task else None,
            "gold": task.answers if task else None,
            "answer": trajectory.final_answer,
            "error": trajectory.error,
            "source": trajectory.source,
            "dialect": trajectory.dialect,
            "forced": trajectory.first_thought,
            "prompt": record.system_prompt,
            "evidence": evidence[0]["evidence"] if evidence else None,
            "scores": remarks["scores"].get(key),
            "reviews": remarks["reviews"].get(key),
            "steps": [_step(step, record.calls_of(step.step_index), weights, votes) for step in record.steps],
        }
    )


def _step(step: Step, calls: list[ToolCall], weights: dict[int, Any], votes: dict[int, Any]) -> dict[str, Any]:
    # A completion that could be split into thought and action would say everything twice.
    unsplit = step.code is None and step.completion.strip() != (step.thought or "").strip()
    said = _filled(
        {
            "completion": step.completion if unsplit else None,
            "thought": step.thought,
            "code": step.code,
            "calls": [_filled({"name": c.name, "arguments": c.arguments, "error": c.error}) for c in calls],
            "observation": step.observation,
            "cut": step.observation_cut_chars,
            "kind": None if step.error_kind == "none" else step.error_kind,
            "error": step.error,
            "final": step.is_final,
            "tokens": step.completion_tokens,
            "ms": None if step.latency_ms is None else round(step.latency_ms),
            "weight": weights.get(step.step_index),
            "vote": votes.get(step.step_index),
        }
    )
    return {"index": step.step_index, **said}


def _filled(values: dict[str, Any]) -> dict[str, Any]:
    """`values` without those that say nothing: null, empty, false, zero."""
    return {name: value for name, value in values.items() if value}
