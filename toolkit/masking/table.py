"""Rows as an Arrow table that trainers read as it is, and what became of a selection in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from schemas import Selection
from toolkit.lake.snapshot import Snapshot
from toolkit.masking.rows import DroppedRow, EncodedRow, encode_selection
from toolkit.masking.settings import MaskSettings

NOT_TRAINED = -100
"""Label of tokens without loss, as torch and transformers take it."""
SCHEMA = pa.schema(
    [
        ("trajectory_id", pa.string()),
        ("input_ids", pa.list_(pa.int32())),
        ("attention_mask", pa.list_(pa.int8())),
        ("labels", pa.list_(pa.int32())),
        ("loss_weights", pa.list_(pa.float32())),
    ]
)


@dataclass(slots=True)
class Summary:
    """What became of a selection; rows are added one by one."""

    rows: int = 0
    tokens: int = 0
    trained_tokens: int = 0
    longest: int = 0
    """Tokens of the longest row."""
    cut: dict[str, int] = field(default_factory=dict)
    """By trajectory_id, how many steps were left out."""
    dropped: list[DroppedRow] = field(default_factory=list)

    def add(self, row: EncodedRow | DroppedRow) -> None:
        """Count one row."""
        if isinstance(row, DroppedRow):
            self.dropped.append(row)
            return
        self.rows += 1
        self.tokens += len(row.input_ids)
        self.trained_tokens += len(row.loss_weights) - row.loss_weights.count(0.0)
        self.longest = max(self.longest, len(row.input_ids))
        if row.n_steps_cut:
            self.cut[row.trajectory_id] = row.n_steps_cut

    @property
    def reasons(self) -> dict[str, int]:
        """Dropped rows by reason, most frequent first."""
        return dict(Counter(row.reason for row in self.dropped).most_common())

    def as_json(self) -> dict[str, object]:
        """For manifests, with lists of what was cut and dropped."""
        dropped = [
            {"trajectory_id": row.trajectory_id, "reason": row.reason, "tokens": row.n_tokens} for row in self.dropped
        ]
        return {
            "rows": self.rows,
            "tokens": self.tokens,
            "trained_tokens": self.trained_tokens,
            "longest_row": self.longest,
            "cut_rows": len(self.cut),
            "steps_cut": self.cut,
            "dropped_rows": len(self.dropped),
            "dropped": dropped,
        }


def columns(row: EncodedRow) -> dict[str, object]:
    """One row of `SCHEMA`."""
    pairs = zip(row.input_ids, row.loss_weights, strict=True)
    return {
        "trajectory_id": row.trajectory_id,
        "input_ids": row.input_ids,
        "attention_mask": [1] * len(row.input_ids),
        "labels": [token if weight else NOT_TRAINED for token, weight in pairs],
        "loss_weights": row.loss_weights,
    }


def selection_table(
    snapshot: Snapshot, selection: Selection, tokenizer: Any, settings: MaskSettings
) -> tuple[pa.Table, Summary]:
    """All rows of a selection in memory, and what became of it.

    Raises:
        InputError: as `encode_selection`.
    """
    summary, rows = Summary(), []
    for row in encode_selection(snapshot, selection, tokenizer, settings):
        summary.add(row)
        if isinstance(row, EncodedRow):
            rows.append(columns(row))
    return pa.Table.from_pylist(rows, schema=SCHEMA), summary
