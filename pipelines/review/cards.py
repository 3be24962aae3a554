"""A trajectory as people see it: the data of one task.

Invariant: a task names the rows it shows (lake, trajectory, attempt), so that what was pushed can be found again and
an answer goes to the rows that were seen.
"""

from __future__ import annotations

from typing import Any

from schemas import Step
from toolkit.lake.records import TrajectoryRecord

ABSENT = "–"
"""Stands where there is nothing; Label Studio shows an empty text as an error."""
SHOWN_CHARS = 20_000
"""Of one text; a page with megabytes in it does not open."""

Key = tuple[str, int]
"""trajectory_id and attempt."""


def card(record: TrajectoryRecord, lake_id: str, verdict: str | None) -> dict[str, Any]:
    """The data of the task that shows `record`; `verdict` is what graders say, in words."""
    trajectory, task = record.trajectory, record.task
    facts = [trajectory.dataset, trajectory.kind, f"stopped by {trajectory.stop_reason}"]
    return {
        "lake": lake_id,
        "trajectory_id": trajectory.trajectory_id,
        "attempt": trajectory.attempt,
        "question": _shown(task.question if task else None),
        "gold": _shown(", ".join(task.answers) if task else None),
        "final_answer": _shown(trajectory.final_answer),
        "facts": " · ".join(facts + ([verdict] if verdict else [])),
        "steps": [_step(step) for step in record.steps],
    }


def key_of(data: object, lake_id: str) -> Key | None:
    """The rows that a task's data shows; None: it is not a task of this lake."""
    if not isinstance(data, dict) or data.get("lake") != lake_id:
        return None
    trajectory_id, attempt = data.get("trajectory_id"), data.get("attempt")
    if isinstance(trajectory_id, str) and isinstance(attempt, int):
        return trajectory_id, attempt
    return None


def _step(step: Step) -> dict[str, str]:
    title = f"Step {step.step_index}"
    if step.error_kind != "none":
        title += f" · failed: {step.error_kind}"
    elif step.is_final:
        title += " · final answer"
    # A turn that could not be taken apart is shown as the model wrote it.
    thought = step.thought if step.thought is not None or step.code is not None else step.completion
    return {
        "title": title,
        "thought": _shown(thought),
        "code": _shown(step.code),
        "observation": _shown(step.observation),
    }


def _shown(text: str | None) -> str:
    if text is None or not text.strip():
        return ABSENT
    text = text.strip("\n")
    if len(text) <= SHOWN_CHARS:
        return text
    return f"{text[:SHOWN_CHARS]}\n[{len(text) - SHOWN_CHARS:,} characters left out here]"
