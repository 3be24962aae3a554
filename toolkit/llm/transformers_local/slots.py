"""Keys and values of the rows that are being written, each row in a slot and at its own length.

A slot is filled from its first column on, so that rows of different lengths stand side by side,
and one can leave or join without moving the others. What lies behind a row's length is zeros or left
over; no position sees what comes after it, and it is overwritten when the row gets there.
Invariant: the slots in use come first. Not covered: layers that see a window or keep a running state.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import Cache

States = list[tuple[torch.Tensor, torch.Tensor]]
"""Of one row: keys and values of each layer, [heads, tokens, width]."""
STEP = 64
"""Columns are made in multiples of this."""


class Slots(Cache):
    """A cache of transformers; `at` says which slots and positions the next forward pass is about."""

    def __init__(self) -> None:
        super().__init__(layers=[])
        self._states: States = []  # here [slots, heads, columns, width]
        self._rows = self._columns = 0
        self._slots = slice(0, 0)
        self._positions = torch.empty(0)
        self._seen = 0

    def at(self, first: int, positions: torch.Tensor, seen: int) -> None:
        """The next pass reads tokens for the slots from `first` on; `positions` is [slots, tokens].

        `seen`: how many columns are looked at.
        """
        self._slots = slice(first, first + len(positions))
        self._positions, self._seen = positions, seen
        self._reserve(self._slots.stop, seen)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Called by each layer, with [slots, heads, tokens, width]; gives what it attends to."""
        if layer_idx == len(self._states):
            self._states.append((self._room_for(key_states), self._room_for(value_states)))
        keys, values = (states[self._slots] for states in self._states[layer_idx])
        index = self._positions[:, None, :, None]
        keys.scatter_(2, index.expand_as(key_states), key_states)
        values.scatter_(2, index.expand_as(value_states), value_states)
        return keys[:, :, : self._seen], values[:, :, : self._seen]

    def _room_for(self, like: torch.Tensor) -> torch.Tensor:
        # Zeros: a hidden column has no weight, but no weight times NaN is NaN.
        return like.new_zeros(self._rows, like.shape[-3], self._columns, like.shape[-1])

    def _reserve(self, rows: int, columns: int) -> None:
        if rows <= self._rows and columns <= self._columns:
            return
        old_rows, old_columns = self._rows, self._columns
        if rows > old_rows:
            self._rows = max(rows, 2 * old_rows)
        if columns > old_columns:
            self._columns = -(-max(columns, old_columns * 5 // 4) // STEP) * STEP
        for layer, pair in enumerate(self._states):
            grown = (self._room_for(pair[0]), self._room_for(pair[1]))
            for new, old in zip(grown, pair, strict=True):
                new[:old_rows, :, :old_columns] = old
            self._states[layer] = grown

    def states(self, slot: int, n_tokens: int) -> States:
        """The beginning of a row, to be looked at or copied at once."""
        return [(keys[slot, :, :n_tokens], values[slot, :, :n_tokens]) for keys, values in self._states]

    def fill(self, slot: int, states: States, n_tokens: int) -> None:
        """Begin a row with what was computed for another one."""
        self._reserve(slot + 1, n_tokens)
        if not self._states:
            self._states = [(self._room_for(keys), self._room_for(values)) for keys, values in states]
        for (keys, values), (known_keys, known_values) in zip(self._states, states, strict=True):
            keys[slot, :, :n_tokens] = known_keys[:, :n_tokens]
            values[slot, :, :n_tokens] = known_values[:, :n_tokens]

    def clear(self) -> None:
        """Give all memory back."""
        self._states, self._rows, self._columns = [], 0, 0
