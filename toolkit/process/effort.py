"""Steps and tokens against the best that solved the same task."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.contracts import Verdict


@dataclass(frozen=True, slots=True)
class Best:
    """The least that a correct trajectory of a task needed, each number on its own."""

    steps: int
    tokens: int | None
    """Tokens written. None: not counted."""


def effort(steps: int, tokens: int | None, best: Best | None) -> Verdict:
    """How many times the best's steps a trajectory took; the details have the tokens as well.

    The best are the correct trajectories of the same task and kind, this one included. It is a measure, not a verdict:
    `passed` is always null. Undecided where no correct one is known. Scored again when the best changes.
    """
    if best is None or not best.steps:
        return Verdict(None, None, details={"undecided": "no correct trajectory of this task is known"})
    details: dict[str, object] = {"steps": steps, "best_steps": best.steps}
    if tokens is not None and best.tokens:
        details |= {"tokens": tokens, "best_tokens": best.tokens, "tokens_ratio": round(tokens / best.tokens, 4)}
    return Verdict(steps / best.steps, None, details=details)
