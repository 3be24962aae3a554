"""The tables of a lake: which model describes a row, and when two rows tell the same fact.

This registry is the one source of truth: Arrow schemas, DuckDB views, the data dictionary
and the checks of the lake are all made from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from schemas.curation import Decision, Review, Score, Selection, Signature, StepWeight
from schemas.rollouts import Candidate, Model, Prompt, Run, Step, Task, ToolCall, Trajectory
from schemas.row import Row

FORMAT_VERSION = 1
"""Raised with every change of a table; older lakes are migrated explicitly, never reinterpreted."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the lake."""

    name: str
    model: type[Row]
    key: tuple[str, ...]
    """Columns that identify a fact; rows are sorted by them inside a segment, nulls first."""
    newest_by: tuple[str, ...] = ()
    """Among rows with the same key the greatest of these counts, nulls lowest.
    Empty: such rows say the same; should they differ, the one written last counts."""
    follows: str | None = None
    """The table whose newest rows say which of these rows are current; the columns are in `LINKS`.
    A row whose trajectory or selection is not in the lake is never current. None: the key alone decides."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names in storage order."""
        return tuple(self.model.model_fields)


LINKS = {"trajectories": ("trajectory_id", "attempt"), "selections": ("selection_id",)}
"""Columns by which other tables follow a table."""

_STEP = ("trajectory_id", "attempt", "step_index")

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table("tasks", Task, ("task_id",)),
        Table("runs", Run, ("run_id",), newest_by=("finished_at",)),
        # A run that only uses a student knows nothing of its training.
        Table("models", Model, ("model_id",), newest_by=("training_run_id",)),
        Table("prompts", Prompt, ("prompt_hash",)),
        Table("trajectories", Trajectory, ("trajectory_id",), newest_by=("attempt",)),
        Table("steps", Step, _STEP, follows="trajectories"),
        Table("tool_calls", ToolCall, (*_STEP, "ordinal"), follows="trajectories"),
        Table("candidates", Candidate, (*_STEP, "candidate_index"), follows="trajectories"),
        Table("scores", Score, (*_STEP, "scorer"), newest_by=("scored_at",), follows="trajectories"),
        Table("signatures", Signature, ("trajectory_id", "attempt", "role", "scheme"), follows="trajectories"),
        Table("reviews", Review, (*_STEP, "reviewer", "project"), newest_by=("reviewed_at",), follows="trajectories"),
        Table("decisions", Decision, ("selection_id", "trajectory_id"), follows="selections"),
        Table("step_weights", StepWeight, ("selection_id", "trajectory_id", "step_index"), follows="selections"),
        Table("selections", Selection, ("name",), newest_by=("created_at",)),
    )
}
"""Every table by name, in the order in which people meet them."""
