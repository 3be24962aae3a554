"""One row for a person's eyes: its text in spans of one weight."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

from toolkit.masking.rows import EncodedRow


def spans(tokenizer: Any, row: EncodedRow) -> Iterator[tuple[str, float]]:
    """Neighbouring tokens of one weight, as text."""
    pairs = zip(row.input_ids, row.loss_weights, strict=True)
    for weight, group in groupby(pairs, key=itemgetter(1)):
        ids = [token for token, _ in group]
        yield tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False), weight


def bracketed(tokenizer: Any, row: EncodedRow) -> str:
    """Plain text with brackets around what is trained: ⟦all of it⟧, ⟦0.5: half⟧."""
    shown = []
    for text, weight in spans(tokenizer, row):
        label = "" if weight == 1 else f"{weight:g}: "
        shown.append(f"⟦{label}{text}⟧" if weight else text)
    return "".join(shown)
