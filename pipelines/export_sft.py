"""`toolkit export --format sft`: the rows of a selection as token ids for one tokenizer, each token with its weight.

train.parquet is what is trained on, exactly. train.jsonl holds the same conversations in words, with a weight and
a flag on every turn, for trainers that render and mask by themselves; where they disagree, the Parquet file is right.
Invariant: every kept trajectory of the selection is in the files, or in the manifest's list with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from schemas import Selection
from toolkit.cli.output import clean, console, note, progress
from toolkit.errors import InputError
from toolkit.lake.snapshot import Snapshot
from toolkit.masking import (
    SCHEMA,
    ChatEncoder,
    DroppedRow,
    EncodedRow,
    MaskSettings,
    Summary,
    bracketed,
    columns,
    encode_selection,
    load_tokenizer,
    spans,
    tokenizer_name,
)

BATCH_ROWS = 500
LISTED = 5
"""Dropped and cut rows that are named on the screen; the manifest names all."""


def write_sft(
    snapshot: Snapshot, selection: Selection, model: str, settings: MaskSettings, out: Path
) -> tuple[list[Path], dict[str, object]]:
    """Write train.parquet and train.jsonl into `out`; the files, and what the manifest says about them.

    Raises:
        InputError: the tokenizer will not do, or no row is left.
    """
    tokenizer = load_tokenizer(model)
    summary = Summary()
    finals = [out / "train.jsonl", out / "train.parquet"]
    with _whole(finals) as (jsonl, parquet):
        with jsonl.open("wb") as lines, pq.ParquetWriter(parquet, SCHEMA, compression="zstd") as table:
            pending: list[dict[str, object]] = []
            for row in _encoded(snapshot, selection, tokenizer, settings):
                summary.add(row)
                if isinstance(row, DroppedRow):
                    continue
                lines.write(orjson.dumps(_in_words(row), option=orjson.OPT_APPEND_NEWLINE))
                pending.append(columns(row))
                if len(pending) == BATCH_ROWS:
                    table.write_table(pa.Table.from_pylist(pending, schema=SCHEMA))
                    pending = []
            table.write_table(pa.Table.from_pylist(pending, schema=SCHEMA))
        _refuse_nothing(selection, summary)
    about = {"name": tokenizer_name(model), "digest": ChatEncoder(tokenizer).digest}
    return finals, {"tokenizer": about, "settings": settings.as_json(), **summary.as_json()}


def preview(
    snapshot: Snapshot, selection: Selection, model: str, settings: MaskSettings, start: str | None
) -> EncodedRow:
    """Print the first row, or the first one whose trajectory_id begins with `start`.

    Raises:
        InputError: the tokenizer will not do, or there is no such row.
    """
    tokenizer = load_tokenizer(model)
    summary = Summary()
    for row in encode_selection(snapshot, selection, tokenizer, settings):
        summary.add(row)
        if not row.trajectory_id.startswith(start or ""):
            continue
        if isinstance(row, EncodedRow):
            _print(tokenizer, row)
            return row
        if start:
            raise InputError(f"trajectory {row.trajectory_id} is not trained on: {row.reason}")
    if start:
        raise InputError(f"the selection {selection.name!r} keeps no trajectory whose id begins with {start!r}")
    _refuse_nothing(selection, summary)
    raise AssertionError("rows were counted, but none was met")


def tell(about: dict[str, object]) -> None:
    """Say what was written, cut and dropped."""
    note(
        f"{about['rows']:,} rows, {about['tokens']:,} tokens, {about['trained_tokens']:,} of them trained; "
        f"the longest row has {about['longest_row']:,}"
    )
    cut, dropped = about["steps_cut"], about["dropped"]
    assert isinstance(cut, dict)
    assert isinstance(dropped, list)
    named = [f"{name}: {steps} step{'s' if steps > 1 else ''} cut off" for name, steps in cut.items()]
    unnamed = [f"{entry['trajectory_id']}: dropped, {entry['reason']}" for entry in dropped]
    for lines, what in ((named, "cut"), (unnamed, "dropped")):
        for line in lines[:LISTED]:
            note(line)
        if len(lines) > LISTED:
            note(f"… {len(lines) - LISTED:,} more rows {what}; the manifest lists them")


@contextmanager
def _whole(finals: list[Path]) -> Iterator[list[Path]]:
    """Temporary files that take their final names if all goes well, and vanish if not."""
    temporary = [final.with_name(f".{final.name}.tmp") for final in finals]
    try:
        yield temporary
        for path, final in zip(temporary, finals, strict=True):
            path.replace(final)
    finally:
        for path in temporary:
            path.unlink(missing_ok=True)


def _encoded(
    snapshot: Snapshot, selection: Selection, tokenizer: Any, settings: MaskSettings
) -> Iterator[EncodedRow | DroppedRow]:
    with progress("export", selection.n_kept, unit="trajectories") as advance:
        last, done = "", 0
        for row in encode_selection(snapshot, selection, tokenizer, settings):
            done, last = done + (row.trajectory_id != last), row.trajectory_id
            advance(done)
            yield row


def _refuse_nothing(selection: Selection, summary: Summary) -> None:
    if not summary.rows:
        reasons = "; ".join(f"{reason} ({count:,})" for reason, count in summary.reasons.items())
        raise InputError(f"the selection {selection.name!r} gives no training row: {reasons or 'it keeps nothing'}")


def _in_words(row: EncodedRow) -> dict[str, object]:
    messages = [
        {"role": turn.role, "content": turn.content, "weight": turn.weight, "train": turn.weight > 0}
        for turn in row.turns
    ]
    return {"messages": messages, "trajectory_id": row.trajectory_id}


def _print(tokenizer: Any, row: EncodedRow) -> None:
    trained = len(row.loss_weights) - row.loss_weights.count(0.0)
    note(f"trajectory {row.trajectory_id}: {len(row.input_ids):,} tokens, {trained:,} of them trained")
    if not console.is_terminal or console.no_color:
        note("⟦in brackets⟧: trained; ⟦0.5: …⟧: with that weight")
        console.print(clean(bracketed(tokenizer, row)), markup=False, soft_wrap=True)
        return
    from rich.text import Text

    shown = Text()
    for text, weight in spans(tokenizer, row):
        style = "black on green" if weight == 1 else "black on yellow" if weight else "dim"
        shown.append(f"{weight:g}: " if 0 < weight != 1 else "", style="bold black on yellow")
        shown.append(clean(text), style=style)
    console.print(shown)
    legend = Text.assemble("\n", ("trained", "black on green"), "  ", ("0.5: in part", "black on yellow"), "  ")
    console.print(legend.append("not trained", style="dim"))
