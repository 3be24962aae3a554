"""Keys and values of rows that have ended, for requests that begin with the same tokens.

An agent's next step sends its whole conversation again: all but the newest observation was read or
written before. The least recently used leave first. Invariant: at most `most_bytes`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.llm.transformers_local.slots import States

Tokens = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Beginning:
    """Tokens, and what was computed for them."""

    tokens: Tokens
    states: States

    @property
    def n_bytes(self) -> int:
        """Of the states."""
        return sum(keys.nbytes + values.nbytes for keys, values in self.states)


class Kept:
    """`best` finds by comparing with all that are kept: some hundred, in well under a millisecond."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: list[Beginning] = []  # the newest last

    def add(self, tokens: Tokens, states: States) -> None:
        """Copy and keep; what does not fit at all is not kept."""
        if sum(keys.nbytes + values.nbytes for keys, values in states) > self._most_bytes:
            return
        found = Beginning(tokens, [(keys.clone(), values.clone()) for keys, values in states])
        self._kept.append(found)
        self._bytes += found.n_bytes
        while self._bytes > self._most_bytes:
            self._bytes -= self._kept.pop(0).n_bytes

    def best(self, tokens: Tokens) -> tuple[int, States]:
        """How many first tokens are known, and what was computed for them; 0 if none is."""
        if not self._kept:
            return 0, []
        lengths = [shared(one.tokens, tokens) for one in self._kept]
        number = max(range(len(lengths)), key=lengths.__getitem__)
        if not lengths[number]:
            return 0, []
        found = self._kept.pop(number)
        self._kept.append(found)
        return lengths[number], found.states


def shared(one: Tokens, other: Tokens) -> int:
    """How many first tokens are equal."""
    n = min(len(one), len(other))
    if not n or one[0] != other[0]:
        return 0
    different = one[:n] != other[:n]
    first = int(different.argmax())
    return first if different[first] else n
