"""Selections as training rows: token ids, each with the weight of its loss.

    tokenizer = load_tokenizer("path/or/name")
    for row in encode_selection(snapshot, selection, tokenizer, MaskSettings()):
        ...                                       # EncodedRow or DroppedRow

Trained are the assistant's words and the token that ends its turn, with the weight of their step; everything else
has weight 0. What stands before them is what the student is asked with at inference: its own short prompt, the same
turns, the same token ids (`toolkit.chat`). Rows over the maximum length are cut behind a step or dropped, and
every row that is dropped says why.
Not covered: trajectories with structured tool calls, which no dialect here speaks.
"""

from __future__ import annotations

from toolkit.chat import ChatEncoder
from toolkit.masking.preview import bracketed, spans
from toolkit.masking.rows import DroppedRow, EncodedRow, encode_selection
from toolkit.masking.settings import MaskSettings
from toolkit.masking.table import SCHEMA, Summary, columns, selection_table
from toolkit.masking.tokenizers import load_tokenizer, tokenizer_name

__all__ = [
    "SCHEMA",
    "ChatEncoder",
    "DroppedRow",
    "EncodedRow",
    "MaskSettings",
    "Summary",
    "bracketed",
    "columns",
    "encode_selection",
    "load_tokenizer",
    "selection_table",
    "spans",
    "tokenizer_name",
]
