"""Batches of rows of like length, and rows as tensors.

`token_batches` orders a whole training, all epochs of it, before it begins: length, order and place of every batch
depend on lengths and seed only, so that a training that goes on from a checkpoint sees the batches that it would have
seen. Batches are shuffled as a whole: sorted, families of questions would arrive in blocks (FACTS: three times the
loss on unseen worlds).
`collate` pads on the right and gives no attention mask: with causal attention no token sees what stands behind it, and
padding has no loss. Packed rows become one sequence whose positions begin anew with each row.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import Sampler

CHUNK_ROWS = 4096
"""Rows that are sorted together: enough for little padding, few enough to mix."""


class TokenBatches(Sampler[list[int]]):
    """The batches of a whole training, in order; rows of a primer are numbered behind those of the training."""

    def __init__(
        self,
        lengths: Sequence[int],
        *,
        tokens: int,
        epochs: float,
        seed: int,
        primer: Sequence[int] = (),
        primer_batches: int = 0,
        primer_share: float = 0.0,
        multiple: int = 1,
    ) -> None:
        """`lengths` and `primer` are tokens of each row; a row longer than `tokens` is a batch of its own.

        The first `primer_batches` are of the primer, and then about `primer_share` of the batches; it is read as
        often as that takes. The number of batches is a multiple of `multiple`, one for each process.
        """
        random_ = random.Random(seed)
        batches = _epochs(lengths, tokens, epochs, random_)
        if primer:
            batches = _mix(batches, _forever(primer, len(lengths), tokens, random_), primer_batches, primer_share)
        self.batches = batches[: len(batches) - len(batches) % multiple] or batches
        # accelerate asks; the number of rows differs from batch to batch.
        self.batch_size = None
        self.drop_last = False

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def _epochs(lengths: Sequence[int], tokens: int, epochs: float, random_: random.Random) -> list[list[int]]:
    batches: list[list[int]] = []
    for number in range(math.ceil(epochs)):
        some = _shuffled_batches(lengths, tokens, random_)
        part = min(1.0, epochs - number)
        batches += some[: max(1, round(part * len(some)))]
    return batches


def _shuffled_batches(lengths: Sequence[int], tokens: int, random_: random.Random) -> list[list[int]]:
    order = list(range(len(lengths)))
    random_.shuffle(order)
    batches: list[list[int]] = []
    for start in range(0, len(order), CHUNK_ROWS):
        batch: list[int] = []
        for row in sorted(order[start : start + CHUNK_ROWS], key=lengths.__getitem__):
            # Sorted by length: the newest row is the longest, and all are padded to it.
            if batch and (len(batch) + 1) * lengths[row] > tokens:
                batches.append(batch)
                batch = []
            batch.append(row)
        if batch:
            batches.append(batch)
    random_.shuffle(batches)
    return batches


def _forever(lengths: Sequence[int], offset: int, tokens: int, random_: random.Random) -> Iterator[list[int]]:
    while True:
        for batch in _shuffled_batches(lengths, tokens, random_):
            yield [row + offset for row in batch]


def _mix(batches: list[list[int]], primer: Iterator[list[int]], first: int, share: float) -> list[list[int]]:
    mixed = [next(primer) for _ in range(first)]
    owed = 0.0
    for batch in batches:
        mixed.append(batch)
        owed += share / (1 - share) if share < 1 else 0.0
        while owed >= 1:
            mixed.append(next(primer))
            owed -= 1
    return mixed


def collate(rows: Sequence[dict[str, Any]], *, pad: int, context_weight: float = 0.0) -> dict[str, torch.Tensor]:
    """`input_ids` and `loss_weights` (of predicting each token) of shape (rows, longest); packed, (1, all tokens).

    `context_weight` is given to tokens without weight; the first of a row is predicted from nothing and has none.
    """
    ids = [torch.as_tensor(row["input_ids"], dtype=torch.long) for row in rows]
    weights = [torch.as_tensor(row["loss_weights"], dtype=torch.float32) for row in rows]
    if context_weight:
        weights = [torch.where(one > 0, one, context_weight) for one in weights]
    if "seq_lengths" in rows[0]:
        lengths = torch.cat([torch.as_tensor(row["seq_lengths"]) for row in rows])
        return _packed(torch.cat(ids), torch.cat(weights), lengths)
    padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=pad)
    loss = torch.nn.utils.rnn.pad_sequence(weights, batch_first=True, padding_value=0.0)
    loss[:, 0] = 0.0
    return {"input_ids": padded, "loss_weights": loss}


def _packed(ids: torch.Tensor, weights: torch.Tensor, lengths: torch.Tensor) -> dict[str, torch.Tensor]:
    ends = lengths.cumsum(0)
    starts = ends - lengths
    positions = torch.arange(len(ids)) - torch.repeat_interleave(starts, lengths)
    weights = weights.masked_fill(positions == 0, 0.0)
    return {"input_ids": ids[None], "loss_weights": weights[None], "position_ids": positions[None]}
