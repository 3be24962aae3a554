"""Ids and hashes: derived, not drawn, so that the same fact has the same name everywhere.

Two different hashes, on purpose: `trajectory_id` says *which rollout* this is (settings,
question, sample), `content_hash` says *what was said and observed*. Equal inputs to a
deterministic model give equal content hashes under any concurrency.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from schemas.rollouts import Step

ID_DIGITS = 24
"""Hexadecimal digits of an id: 96 bits, so that 10^9 rows collide with probability below 10^-11."""


# Made once: `json.dumps` makes one at every call, which takes longer than most of our texts.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: object) -> str:
    """The one JSON text of `value`: sorted keys, no spaces, Unicode kept.

    Raises:
        ValueError: `value` holds NaN or an infinity.
        TypeError: `value` holds something JSON cannot express.
    """
    return _ENCODER.encode(value)


def derive_id(kind: str, *parts: object) -> str:
    """24 hexadecimal digits over `kind` and `parts` (anything `canonical_json` takes)."""
    text = canonical_json([kind, *parts])
    # A lone surrogate gets an id, too: the row that holds it is refused later, with its place.
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:ID_DIGITS]


def prompt_hash(text: str) -> str:
    """Id of a prompt text."""
    return derive_id("prompt", text)


def model_id(name: str, revision: str | None) -> str:
    """Id of a model; training, generation and evaluation give the same weights the same one.

    `revision` says what the weights are, those of an adapter included. None: not known, as with most servers.
    """
    return derive_id("model", name, revision, None)


def content_hash(question: str, steps: Iterable[Step], final_answer: str | None) -> str:
    """Hash of what was said and observed, the same for equal episodes of any run or dataset."""
    turns = [[step.completion, step.code, step.observation] for step in steps]
    return derive_id("content", question, turns, final_answer)
