"""Steps and tokens against the best that solved the same task.

    steps_ratio    how many times the best's steps a trajectory took
    tokens_ratio   how many times the best's tokens its agent wrote

The best are the correct trajectories of the same task and kind, this one included, each number on its own; so a correct
trajectory has at least 1, and a wrong one may have less. These are measures, not verdicts: `passed` is always null.
"""

from __future__ import annotations

from toolkit.contracts import Verdict

RATIOS = {"steps_ratio": "n_steps", "tokens_ratio": "completion_tokens"}
"""Column of `trajectories` that each measures."""


def ratio_to_best(spent: int | None, best: int | None) -> Verdict:
    """The ratio, or, where a number is missing, why there is none. Scored again when the best changes."""
    if spent is None:
        return Verdict(None, None, details={"not_applicable": "it was not counted"})
    if not best:
        return Verdict(None, None, details={"undecided": "no correct trajectory of this task is known"})
    return Verdict(spent / best, None, details={"spent": spent, "best": best})
