"""The rows of a selection, in order of trajectory_id, a few hundred in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from schemas import Selection
from toolkit.chat import ChatEncoder, Encoded, Turn
from toolkit.errors import InputError, RecordError
from toolkit.lake.records import TrajectoryRecord
from toolkit.lake.selections import read_selected
from toolkit.lake.snapshot import Snapshot
from toolkit.masking.conversations import Conversations, read_max_steps
from toolkit.masking.settings import MaskSettings

BATCH_ROWS = 256


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """One training row. A trajectory is one row, unless its template makes several of it (`toolkit.chat.encoder`)."""

    trajectory_id: str
    input_ids: list[int]
    loss_weights: list[float]
    """Weight of predicting each token, aligned with `input_ids`; 0: not trained."""
    n_steps_cut: int
    """Steps left out at the end, because the row would have been too long."""
    turns: tuple[Turn, ...] = ()
    """What was rendered; the turns of steps that were cut are left out."""


@dataclass(frozen=True, slots=True)
class DroppedRow:
    """A row that is not trained on."""

    trajectory_id: str
    reason: str
    n_tokens: int | None = None
    """Length of the row. None: it was not tokenized."""


def encode_selection(
    snapshot: Snapshot, selection: Selection, tokenizer: Any, settings: MaskSettings
) -> Iterator[EncodedRow | DroppedRow]:
    """The rows of what `selection` keeps; `tokenizer` is one of transformers.

    Raises:
        InputError: the tokenizer's chat template, or a prompt template, will not do.
    """
    encoder = ChatEncoder(tokenizer)
    connection = snapshot.connect()
    try:
        conversations = Conversations(settings, read_max_steps(connection))
        selected = read_selected(connection, selection)
        while some := list(islice(selected, BATCH_ROWS)):
            yield from _encode(encoder, conversations, some, settings)
    finally:
        connection.close()


def _encode(
    encoder: ChatEncoder,
    conversations: Conversations,
    selected: Sequence[tuple[TrajectoryRecord, Mapping[int, float]]],
    settings: MaskSettings,
) -> Iterator[EncodedRow | DroppedRow]:
    turns: dict[str, list[Turn]] = {}
    reasons: dict[str, str] = {}
    for record, weights in selected:
        trajectory_id = record.trajectory.trajectory_id
        try:
            found = conversations.turns(record, weights)
        except RecordError as error:
            reasons[trajectory_id] = error.reason
            continue
        if any(turn.weight > 0 and turn.content for turn in found):
            turns[trajectory_id] = found
        else:
            reasons[trajectory_id] = "none of its steps is trained"
    encoded = dict(zip(turns, encoder.rows(turns.values()), strict=True))
    for record, _ in selected:
        trajectory_id = record.trajectory.trajectory_id
        if trajectory_id in reasons:
            yield DroppedRow(trajectory_id, reasons[trajectory_id])
            continue
        rows = encoded[trajectory_id]
        if isinstance(rows, InputError):
            yield DroppedRow(trajectory_id, str(rows))
            continue
        for row in rows:
            yield _fit(trajectory_id, row, turns[trajectory_id], settings)


def _fit(trajectory_id: str, row: Encoded, turns: Sequence[Turn], settings: MaskSettings) -> EncodedRow | DroppedRow:
    """The row within the maximum length."""
    n_tokens, n_kept = len(row.input_ids), len(row.turn_ends)
    if n_tokens > settings.max_tokens:
        if settings.over_long == "drop":
            return DroppedRow(trajectory_id, f"longer than {settings.max_tokens} tokens", n_tokens)
        n_kept = sum(end <= settings.max_tokens for end in row.turn_ends)
    kept = row.turn_ends[n_kept - 1] if n_kept else 0
    weights = row.loss_weights[:kept]
    if not any(weights):
        reason = (
            f"no trained step ends within {settings.max_tokens} tokens" if kept < n_tokens else "nothing is trained"
        )
        return DroppedRow(trajectory_id, reason, n_tokens)
    shown = _up_to(turns, n_kept, row.is_alone)
    return EncodedRow(trajectory_id, row.input_ids[:kept], weights, len(row.turn_ends) - n_kept, shown)


def _up_to(turns: Sequence[Turn], n_answers: int, is_alone: bool) -> tuple[Turn, ...]:
    """The conversation up to its assistant's turn number `n_answers`; alone, the last turn only has a weight."""
    positions = [number for number, turn in enumerate(turns) if turn.role == "assistant"]
    shown = turns[: positions[n_answers - 1] + 1]
    if not is_alone:
        return tuple(shown)
    return (*(replace(turn, weight=0.0) for turn in shown[:-1]), shown[-1])
