"""What makes the out-of-domain world harder than the in-domain one.

In domain, plans have mostly two or three hops, and two or three numbers are put together; four are
rare. Out of domain four are common, numbers are larger (their ranges stand with each attribute),
and comparisons more often go through another entity.

Invariant: no plan has more than `MAX_LOOKUPS` lookups, so that an agent that looks up one thing a
step still has its fifth and last step for the answer.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_LOOKUPS = 4


@dataclass(frozen=True, slots=True)
class Profile:
    """How hard the questions about a world are."""

    name: str
    side: int
    """Which half of all invented words the world uses (`names.side_of`)."""
    large_numbers: bool
    """Whether attributes use their out-of-domain ranges."""
    hops: tuple[tuple[int, int], ...]
    """Lookups of a bridge question, with weights."""
    operands: tuple[tuple[int, int], ...]
    """Numbers put together in a sum or an average, with weights."""
    via_percent: int
    """Comparisons and calculations in a hundred that reach their entities through another one."""
    digits: tuple[int, int]
    """Fewest and most digits of the numbers in word problems."""


IN_DOMAIN = Profile(
    name="in-domain",
    side=0,
    large_numbers=False,
    hops=((2, 60), (3, 32), (4, 8)),
    operands=((2, 60), (3, 32), (4, 8)),
    via_percent=20,
    digits=(3, 6),
)

OUT_OF_DOMAIN = Profile(
    name="out-of-domain",
    side=1,
    large_numbers=True,
    hops=((2, 25), (3, 40), (4, 35)),
    operands=((2, 35), (3, 40), (4, 25)),
    via_percent=40,
    digits=(5, 8),
)
