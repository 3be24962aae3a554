"""Scalars of a trajectory row that are sums over its steps.

They are stored, because a filter over a million trajectories should not have to read
their steps. Invariant: a sum is null as soon as one step does not know its part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypedDict, TypeVar

from schemas.rollouts import Step

Number = TypeVar("Number", int, float)


class RollUps(TypedDict):
    """Columns of `Trajectory` that `roll_ups` computes."""

    n_steps: int
    n_tool_calls: int
    parse_errors: int
    execution_errors: int
    other_errors: int
    prompt_tokens: int | None
    completion_tokens: int | None


def roll_ups(steps: Sequence[Step], *, n_tool_calls: int, written: Iterable[int | None] | None = None) -> RollUps:
    """Roll-ups of `steps` and the number of their tool calls.

    `written` are the tokens written for each step where several candidates were (sag). None: what the steps say.
    """
    kinds = Counter(step.error_kind for step in steps)
    failed = len(steps) - kinds["none"]
    return RollUps(
        n_steps=len(steps),
        n_tool_calls=n_tool_calls,
        parse_errors=kinds["parse"],
        execution_errors=kinds["execution"],
        other_errors=failed - kinds["parse"] - kinds["execution"],
        prompt_tokens=total(step.prompt_tokens for step in steps),
        completion_tokens=total((step.completion_tokens for step in steps) if written is None else written),
    )


def total(parts: Iterable[Number | None]) -> Number | None:
    """The sum, or None if a part is None or there are no parts."""
    known = list(parts)
    if not known or any(part is None for part in known):
        return None
    return sum(part for part in known if part is not None)
