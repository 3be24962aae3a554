"""Random choices that are the same on every machine and every Python.

Invariant: what a `Draws` yields depends on its key alone. Only `Random.random` is used, the one
method whose sequence the standard library promises to keep, and integers are made from it by one
exact multiplication; `choice`, `shuffle` and `pow` may change with a version or a C library.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Draws:
    """A stream of choices named by a key, such as `Draws(seed, "article", 17)`."""

    __slots__ = ("_next",)

    def __init__(self, *key: str | int) -> None:
        digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
        self._next = Random(int.from_bytes(digest[:16], "big")).random

    def below(self, n: int) -> int:
        """An integer in [0, n)."""
        return int(self._next() * n)

    def between(self, low: int, high: int) -> int:
        """An integer in [low, high]."""
        return low + int(self._next() * (high - low + 1))

    def chance(self, percent: int) -> bool:
        """True in `percent` of 100 draws."""
        return self._next() * 100 < percent

    def pick(self, items: Sequence[T]) -> T:
        """One of `items`."""
        return items[int(self._next() * len(items))]

    def weighted(self, items: Sequence[tuple[T, int]]) -> T:
        """One of `items`, given as (item, weight)."""
        rest = self.below(sum(weight for _, weight in items))
        for item, weight in items:
            rest -= weight
            if rest < 0:
                return item
        raise AssertionError("weights must be positive")

    def sample(self, items: Sequence[T], k: int) -> list[T]:
        """`k` different positions of `items`, in random order; all of them where there are fewer."""
        if k >= len(items):
            return self.shuffled(items)
        positions: list[int] = []
        while len(positions) < k:
            position = self.below(len(items))
            if position not in positions:
                positions.append(position)
        return [items[position] for position in positions]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """`items` in random order."""
        result = list(items)
        for last in range(len(result) - 1, 0, -1):
            other = self.below(last + 1)
            result[last], result[other] = result[other], result[last]
        return result

    def magnitude(self, low: int, high: int) -> int:
        """An integer in [low, high] whose order of magnitude is spread evenly, by doublings of `low`."""
        floor = low << self.below((high // low).bit_length())
        return self.between(floor, min(high, 2 * floor - 1))
