"""Rows of random tokens for the tiny model, and a model small enough that a test can train it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from tiny_model import make_tiny_model

from toolkit.masking import load_tokenizer
from trainers.sft.rows import as_table
from trainers.sft.settings import TrainSettings

TOKENS = 60
"""Those of the tiny model's vocabulary that rows use."""
PLAIN = TrainSettings(
    method="full", packing=False, batch_size=4, micro_batch=1, epochs=1, warmup=0, log_steps=1, learning_rate=1e-3
)


@dataclass(frozen=True)
class TokenRow:
    input_ids: Sequence[int]
    loss_weights: Sequence[float]


def random_rows(count: int, *, seed: int = 0, shortest: int = 6, longest: int = 24) -> list[TokenRow]:
    """Rows of different lengths with weights 0, 0.5 and 1."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        length = draw.randrange(shortest, longest)
        weights = [0.0, 0.0] + [draw.choice((0.0, 0.5, 1.0)) for _ in range(length - 3)] + [1.0]
        rows.append(TokenRow([3 + draw.randrange(TOKENS) for _ in range(length)], weights))
    return rows


def counting_rows(count: int) -> pa.Table:
    """Rows that can be learned: each token is the one before it plus one."""
    starts = [3 + start % 20 for start in range(count)]
    return as_table([TokenRow(list(range(start, start + 12)), [0.0] + [1.0] * 11) for start in starts])


class Workshop:
    """A tiny base model in a directory, its tokenizer, and fresh places to train in."""

    def __init__(self, directory: Path) -> None:
        self.base = make_tiny_model(directory / "base")
        self.tokenizer: Any = load_tokenizer(str(self.base))
        self._directory = directory
        self._places = 0

    def place(self) -> Path:
        """A directory that does not exist yet."""
        self._places += 1
        return self._directory / f"student-{self._places}"
