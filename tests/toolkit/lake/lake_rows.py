"""Rows for tests of the lake: small, valid, and distinguishable."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from schemas import Candidate, Row, Score, Step, Task, ToolCall, Trajectory
from schemas.identity import derive_id
from schemas.rollups import roll_ups

START = datetime(2026, 1, 1, tzinfo=UTC)


def an_id(*parts: object) -> str:
    """The id that these tests give to `parts`."""
    return derive_id("test", *parts)


def rollout(name: object, *, attempt: int = 0, n_steps: int = 2, mark: str = "") -> list[Row]:
    """All rows of one attempt: trajectory, task, steps, tool calls, candidates; `mark` is its final answer."""
    trajectory_id, task_id = an_id("trajectory", name), an_id("task", name)
    links = {"trajectory_id": trajectory_id, "attempt": attempt}
    steps = [
        Step(**links, step_index=index, completion=f"{mark} {index}", code=f"search({index})", completion_tokens=7)
        for index in range(n_steps)
    ]
    calls = [ToolCall(**links, step_index=index, ordinal=0, name="search", arguments="{}") for index in range(n_steps)]
    sampled = [Candidate(**links, step_index=0, candidate_index=0, completion=mark, status="ok", votes=1, chosen=True)][
        :n_steps
    ]
    trajectory = Trajectory(
        **links,
        run_id=an_id("run"),
        task_id=task_id,
        dataset="d",
        kind="agent",
        role="teacher",
        source="generated",
        dialect="codeact",
        stop_reason="final_answer",
        final_answer=mark,
        content_hash=an_id("content", name, attempt, mark),
        **roll_ups(steps, n_tool_calls=len(calls)),
    )
    task = Task(task_id=task_id, dataset="d", question=f"{name}?", answers=["yes"], domain="fact")
    return [trajectory, task, *steps, *calls, *sampled]


def score(name: object, passed: bool | None, *, attempt: int = 0, scorer: str = "fact@1", at_s: int = 0) -> Score:
    """A whole-trajectory score, given `at_s` seconds after the start."""
    value = None if passed is None else float(passed)
    scored_at = START + timedelta(seconds=at_s)
    return Score(
        trajectory_id=an_id("trajectory", name),
        attempt=attempt,
        scorer=scorer,
        value=value,
        passed=passed,
        scored_at=scored_at,
    )
