"""Rows as a dataset of TRL's, packed if wanted, and how many of them make a step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from trl import pack_dataset

from toolkit.errors import InputError
from trainers.sft.batches import TokenBatches
from trainers.sft.settings import TrainSettings

SCHEMA = pa.schema([("input_ids", pa.list_(pa.int32())), ("loss_weights", pa.list_(pa.float32()))])


class Row(Protocol):
    """What is trained: `toolkit.masking.EncodedRow`, or anything of its shape."""

    @property
    def input_ids(self) -> Sequence[int]:
        """Tokens of the whole row."""

    @property
    def loss_weights(self) -> Sequence[float]:
        """Weight of predicting each of them."""


def as_table(rows: Iterable[Row]) -> pa.Table:
    """`rows` as Arrow, as long as they are."""
    batches = []
    columns: tuple[list[Sequence[int]], list[Sequence[float]]] = ([], [])
    for row in rows:
        columns[0].append(row.input_ids)
        columns[1].append(row.loss_weights)
        if len(columns[0]) == 1_000:
            batches.append(pa.record_batch(list(columns), schema=SCHEMA))
            columns = ([], [])
    if columns[0]:
        batches.append(pa.record_batch(list(columns), schema=SCHEMA))
    return pa.Table.from_batches(batches, schema=SCHEMA)


def lengths_of(table: pa.Table) -> list[int]:
    """Tokens of each row."""
    lengths: list[int] = pc.list_value_length(table["input_ids"]).to_pylist()
    return lengths


@dataclass(frozen=True)
class Plan:
    """What will be trained, in which steps."""

    dataset: Dataset
    """Rows, or packs of rows; those of a primer behind them."""
    batches: TokenBatches | None
    """None: `accumulation` micro-batches of the dataset are a step."""
    rows: int
    tokens: int
    trained_tokens: int
    """Tokens with a loss weight of their own, in one epoch."""
    accumulation: int
    steps: int
    """Of the optimizer, in all."""
    steps_per_epoch: int

    def as_json(self) -> dict[str, object]:
        """Numbers only."""
        names = ("rows", "tokens", "trained_tokens", "accumulation", "steps", "steps_per_epoch")
        return {**{name: getattr(self, name) for name in names}, "sequences": len(self.dataset)}


def plan(
    table: pa.Table,
    settings: TrainSettings,
    *,
    primer: pa.Table | None = None,
    primer_batches: int = 0,
    primer_share: float = 0.0,
    processes: int = 1,
) -> Plan:
    """How `table`, of `SCHEMA`, is trained.

    Raises:
        InputError: there is nothing to train on, or the batch size cannot be divided.
    """
    table = table.select(SCHEMA.names)
    if not table.num_rows:
        raise InputError("there is no row to train on")
    weights = pc.list_flatten(table["loss_weights"])
    trained = int(pc.sum(pc.greater(weights, 0)).as_py() or 0)
    if not trained:
        raise InputError(f"none of the {table.num_rows:,} rows has a token to train on: every weight is 0")
    if primer is not None and settings.batch_tokens is None:
        raise InputError("a primer needs batch_tokens: it is mixed in by batches")
    counted = {"rows": table.num_rows, "tokens": len(weights), "trained_tokens": trained}
    if settings.batch_tokens is not None:
        batches = TokenBatches(
            lengths_of(table),
            tokens=settings.batch_tokens,
            epochs=settings.epochs,
            seed=settings.seed,
            primer=lengths_of(primer) if primer is not None else (),
            primer_batches=primer_batches,
            primer_share=primer_share,
            multiple=processes,
        )
        both = table if primer is None else pa.concat_tables([table, primer])
        steps = math.ceil(len(batches) / processes)
        steps = min(steps, settings.max_steps or steps)
        per_epoch = max(1, math.ceil(steps / math.ceil(settings.epochs)))
        return Plan(Dataset(both), batches, **counted, accumulation=1, steps=steps, steps_per_epoch=per_epoch)
    dataset, accumulation = _sequences(table, settings, processes)
    micro_batches = math.ceil(math.ceil(len(dataset) / settings.micro_batch) / processes)
    per_epoch = math.ceil(micro_batches / accumulation)
    steps = settings.max_steps or math.ceil(settings.epochs * per_epoch)
    return Plan(dataset, None, **counted, accumulation=accumulation, steps=steps, steps_per_epoch=per_epoch)


def _sequences(table: pa.Table, settings: TrainSettings, processes: int) -> tuple[Dataset, int]:
    """Rows or packs, and how many micro-batches of one process make a step."""
    together = settings.micro_batch * processes
    if not settings.packing:
        if settings.batch_size % together:
            raise InputError(
                f"batch_size {settings.batch_size} is not a multiple of micro_batch {settings.micro_batch} "
                f"x {processes} processes"
            )
        return Dataset(table), settings.batch_size // together
    lengths = lengths_of(table)
    # No longer than what makes a whole step: short rows in long packs would make steps of many more rows.
    step_tokens = math.ceil(settings.batch_size * sum(lengths) / len(lengths) / together)
    packs = pack_dataset(Dataset(table), max(*lengths, min(settings.max_tokens, step_tokens)), strategy="bfd")
    rows_per_step = together * table.num_rows / len(packs)
    return packs, max(1, round(settings.batch_size / rows_per_step))
