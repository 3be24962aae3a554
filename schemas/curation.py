"""What graders, people and recipes said about trajectories, and what became of each row.

Invariant: a selection decides on every row of its input, and every decision names a rule.
"""

from __future__ import annotations

from pydantic import Field

from schemas.row import Count, Fraction, Hash64, Id, Instant, Json, Row
from schemas.vocabulary import ReviewVerdict, SignatureRole


class Score(Row):
    """One scorer's word on a trajectory or a step."""

    trajectory_id: Id
    """The trajectory."""
    attempt: Count = 0
    """The trajectory's attempt."""
    step_index: Count | None = None
    """The step. Null: the score is about the whole trajectory."""
    scorer: str = Field(pattern=r"^[a-z0-9_.-]+@[A-Za-z0-9_.-]+$")
    """Name and version of the scorer, as `name@version`."""
    value: float | None = None
    """The score; its range is the scorer's. Null: undecided."""
    passed: bool | None = None
    """The scorer's verdict. Null: undecided, or the scorer gives none."""
    details: Json | None = None
    """What the score rests on, as one JSON object. Null: nothing to add."""
    scored_at: Instant
    """When the score was made."""


class Signature(Row):
    """A sketch of one role of a trajectory, for finding near-duplicates."""

    trajectory_id: Id
    """The trajectory."""
    attempt: Count = 0
    """The trajectory's attempt."""
    role: SignatureRole
    """The part that was sketched."""
    scheme: str = Field(min_length=1)
    """Library, version and parameters; sketches of different schemes must not be compared."""
    values: list[Hash64]
    """The sketch."""


class Review(Row):
    """One person's word on a trajectory or a step."""

    trajectory_id: Id
    """The trajectory."""
    attempt: Count = 0
    """The trajectory's attempt."""
    step_index: Count | None = None
    """The step. Null: the review is about the whole trajectory."""
    reviewer: str = Field(min_length=1)
    """Name or address of the annotator."""
    project: str = Field(min_length=1)
    """Review project the word was given in."""
    verdict: ReviewVerdict | None = None
    """The verdict. Null: none was given."""
    rating: Fraction | None = None
    """Rating between 0 (worst) and 1 (best). Null: none was given."""
    comment: str | None = None
    """Free text. Null: none was written."""
    edited_code: str | None = None
    """The action as the reviewer would have it. Null: not edited."""
    reviewed_at: Instant
    """When the word was given or last changed."""


class Decision(Row):
    """One row's fate in a selection."""

    selection: str = Field(min_length=1)
    """Name of the selection."""
    selection_id: Id
    """The selection's version."""
    trajectory_id: Id
    """The trajectory."""
    attempt: Count = 0
    """The trajectory's attempt."""
    kept: bool
    """Whether the trajectory is in the selection."""
    rule: str = Field(min_length=1)
    """The recipe step that decided, as `position: step`; `all rules` for kept rows."""
    evidence: Json | None = None
    """What the rule saw in this row, as one JSON object. Null: kept."""
    nearest_kept_id: Id | None = None
    """The trajectory that stayed in its place when the rule ran. Null: not dropped in favour of another."""


class StepWeight(Row):
    """The loss weight of a step of a kept trajectory, where a rule set one; a step without a row weighs 1."""

    selection: str = Field(min_length=1)
    """Name of the selection."""
    selection_id: Id
    """The selection's version."""
    trajectory_id: Id
    """The trajectory."""
    attempt: Count = 0
    """The trajectory's attempt."""
    step_index: Count
    """The step."""
    weight: Fraction
    """Weight of the step's tokens in the training loss; at 0 the step stays in context and is not trained on."""
    rule: str = Field(min_length=1)
    """The recipe step that set it."""


class Selection(Row):
    """A named, curated set of trajectories; the newest row of a name counts."""

    name: str = Field(min_length=1)
    """Name as given in the recipe."""
    selection_id: Id
    """Derived from name, recipe, input commit and content hash."""
    recipe: Json
    """The resolved recipe."""
    input_commit: Count
    """Number of the commit whose trajectories it decided on."""
    n_input: Count
    """Trajectories decided on."""
    n_kept: Count
    """Trajectories kept."""
    content_hash: Id
    """Hash over (content_hash, step weights) of what is kept, in order of trajectory_id."""
    created_at: Instant
    """When it was made."""
