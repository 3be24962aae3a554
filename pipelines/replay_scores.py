"""Verdicts of a replay as rows of `scores`: one a step, and one for the whole.

Of a step `passed` says whether it matches; null: not decided, and `details` says why. Of a trajectory it is false if a
step differs, true if none does and at least one matches; null with `not_applicable`: it could not be run at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import orjson

from schemas import Score
from schemas.identity import canonical_json
from toolkit.lake.records import TrajectoryRecord
from toolkit.replay.verification import StepReplay

SCORER = "replay@1"
"""Raised with every change of what is compared, or of when a step may differ."""
WHOLE = ("matches", "differs", "undecided", "not_replayable")
"""What a trajectory can come to."""


def step_score(record: TrajectoryRecord, step: StepReplay) -> Score:
    """The verdict on one step."""
    passed = {"matches": True, "differs": False}.get(step.verdict)
    said = {"verdict": step.verdict, "because": step.because, "diff": step.diff}
    if step.verdict == "matches" and not step.because:
        said = {}
    return _score(record, passed, said, value=None if passed is None else float(passed), step_index=step.step_index)


def whole_score(record: TrajectoryRecord, steps: Sequence[StepReplay], refusal: str | None = None) -> Score:
    """The verdict on a trajectory: its value is the share of decided steps that match."""
    if refusal is not None:
        return _score(record, None, {"not_applicable": refusal})
    counts = Counter(step.verdict for step in steps)
    decided = counts["matches"] + counts["differs"]
    differing = [step.step_index for step in steps if step.verdict == "differs"]
    said = {"steps": dict(counts), "differing": differing}
    value = counts["matches"] / decided if decided else None
    return _score(record, not differing if decided else None, said, value=value)


def _score(
    record: TrajectoryRecord,
    passed: bool | None,
    details: Mapping[str, object],
    *,
    value: float | None = None,
    step_index: int | None = None,
) -> Score:
    return Score(
        trajectory_id=record.trajectory.trajectory_id,
        attempt=record.trajectory.attempt,
        step_index=step_index,
        scorer=SCORER,
        value=value,
        passed=passed,
        details=canonical_json(kept) if (kept := {key: said for key, said in details.items() if said}) else None,
        scored_at=datetime.now(UTC),
    )


def word_of(score: Score) -> str:
    """The one of `WHOLE` that a score about a trajectory says."""
    if score.passed is None:
        return "not_replayable" if "not_applicable" in orjson.loads(score.details or "{}") else "undecided"
    return "matches" if score.passed else "differs"
