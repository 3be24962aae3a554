"""Tokenizing with special tokens disabled: what the template wrote is control, what people and models wrote is text.

The template's literals are tokenized by the tokenizer itself and split at its special tokens. Texts go through a
copy of it that takes special tokens for ordinary characters; a token that marks turns is disabled there even if the
tokenizer does not call it special. Added tokens that mark no turns, such as `<think>`, stay what they are.

A run is what stands between two special tokens; it is tokenized whole, as a server would, with one exception: the
assistant's turn begins a run of its own, because a model that is asked writes its first token there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from toolkit.errors import InputError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class Run(NamedTuple):
    """Text between two special tokens."""

    text: str
    goes_on: bool = False
    """Whether text stands directly before it, so that a tokenizer that marks beginnings must not mark this one."""


class Tokens:
    """The two faces of a tokenizer of transformers.

    Args:
        tokenizer: of transformers.
        borders: what the template puts between turns.

    Raises:
        InputError: it has no fast implementation.
    """

    def __init__(self, tokenizer: Any, borders: Iterable[str]) -> None:
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise InputError("the tokenizer has no fast implementation (tokenizer.json), which exact masks need")
        self._tokenizer = tokenizer
        self._added = frozenset(backend.get_added_tokens_decoder())
        self._literals: dict[str, list[int | str]] = {}
        marking = {part for border in borders for part in self.literal(border) if isinstance(part, int)}
        self._starting, self._going_on = _copies(backend.to_str(), marking)

    def literal(self, text: str) -> list[int | str]:
        """The template's own text: ids of its special tokens, and what stands between them."""
        if text not in self._literals:
            encoding = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
            parts: list[int | str] = []
            position = 0
            for number, (start, end) in zip(encoding["input_ids"], encoding["offset_mapping"], strict=True):
                if number in self._added:
                    parts += [text[position:start]] if start > position else []
                    parts.append(number)
                    position = end
            parts += [text[position:]] if position < len(text) else []
            self._literals[text] = parts
        return self._literals[text]

    def ids(self, runs: Iterable[Run]) -> dict[Run, list[int]]:
        """The ids of each run; equal runs are tokenized once."""
        found: dict[Run, list[int]] = {}
        distinct = list(dict.fromkeys(runs))
        for goes_on, copy in ((False, self._starting), (True, self._going_on)):
            some = [run for run in distinct if run.goes_on is goes_on]
            encodings = copy.encode_batch_fast([run.text for run in some], add_special_tokens=False)
            found |= {run: encoding.ids for run, encoding in zip(some, encodings, strict=True)}
        return found

    def ends(self, run: Run) -> list[int]:
        """For each token of the run, the number of its characters up to the end of that token."""
        copy = self._going_on if run.goes_on else self._starting
        return [end for _, end in copy.encode(run.text, add_special_tokens=False).offsets]


def _copies(definition: str, marking: set[int]) -> tuple[Tokenizer, Tokenizer]:
    """Tokenizers for runs that begin, and for runs that go on; one and the same if that makes no difference."""
    content = orjson.loads(definition)
    content["truncation"] = content["padding"] = None
    for token in content["added_tokens"]:
        token["special"] = token["special"] or token["id"] in marking
    # Between special tokens no run is the first one of the whole text, which alone this setting marks.
    _set(content["pre_tokenizer"], "Metaspace", "prepend_scheme", {"first": "never"})
    starting = _copy(content)
    before = orjson.dumps(content)
    _set(content["pre_tokenizer"], "Metaspace", "prepend_scheme", {"always": "never"})
    _set(content["pre_tokenizer"], "ByteLevel", "add_prefix_space", {True: False})
    _set(content["normalizer"], "Prepend", "prepend", {"▁": ""})
    return starting, starting if orjson.dumps(content) == before else _copy(content)


def _copy(content: dict[str, Any]) -> Tokenizer:
    from tokenizers import Tokenizer

    copy = Tokenizer.from_str(orjson.dumps(content).decode())
    copy.encode_special_tokens = True
    return copy


def _set(part: dict[str, Any] | None, kind: str, key: str, change: dict[Any, Any]) -> None:
    """Change a setting in a component, or in those that it is a sequence of."""
    if part is None:
        return
    for inner in [*part.get("pretokenizers", ()), *part.get("normalizers", ())]:
        _set(inner, kind, key, change)
    if part["type"] == kind and part.get(key) in change:
        part[key] = change[part[key]]
