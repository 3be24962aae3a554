"""A sample to write, and what has been written of it so far: its tokens, its text and its end.

A row ends by itself: at an end token, a stop string or its own limit.
Invariant: a text ends with the stop string that ended it, whatever its last token wrote beyond.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas import FinishReason
from toolkit.llm.samples import first_stop
from toolkit.llm.transformers_local.sampling import draws

ANCHOR = 8
"""Tokens of the prompt that new tokens are decoded with: some tokenizers write a first token differently."""


@dataclass(frozen=True)
class Row:
    """One sample to write."""

    prompt: Sequence[int]
    max_tokens: int
    temperature: float
    top_p: float
    seed: int
    sample: int
    """Number of the sample within its request."""
    stop: tuple[str, ...]


@dataclass
class Written:
    """What became of a row."""

    text: str = ""
    finish_reason: FinishReason = "length"
    token_ids: list[int] = field(default_factory=list)
    """With the end token, if the model wrote one."""
    logprobs: list[float] = field(default_factory=list)


class Writing:
    """A row that is being written; known by itself, not by what it holds."""

    def __init__(self, row: Row, tokenizer: Any, end_tokens: frozenset[int]) -> None:
        self.row = row
        self.written = Written()
        self.ended = False
        self._tokenizer, self._end_tokens = tokenizer, end_tokens
        # A token writes a byte at least: so many of the last ones hold a stop string that just ended.
        self._tail = max((len(stop.encode()) for stop in row.stop), default=0) + 1
        self._draws = draws(row.seed, row.sample, row.max_tokens).tolist() if row.temperature > 0 else None

    @property
    def n_tokens(self) -> int:
        """Of the prompt and the text so far."""
        return len(self.row.prompt) + len(self.written.token_ids)

    @property
    def last_token(self) -> int:
        """What the model reads next."""
        return self.written.token_ids[-1] if self.written.token_ids else self.row.prompt[-1]

    @property
    def draw(self) -> float:
        """The number that decides the next token; greedy rows need none."""
        return self._draws[len(self.written.token_ids)] if self._draws else 0.0

    def take(self, token: int, logprob: float) -> None:
        """Go on by a token, unless the row has ended."""
        if self.ended:
            return
        written = self.written
        written.token_ids.append(token)
        written.logprobs.append(logprob)
        if token in self._end_tokens:
            written.finish_reason, self.ended = "stop", True
        elif (self.row.stop and self._stops()) or len(written.token_ids) >= self.row.max_tokens:
            self.ended = True

    def _stops(self) -> bool:
        """Whether a stop string has just been written; a look at the tail, then, rarely, at the whole text."""
        row, written = self.row, self.written
        ids = written.token_ids[-self._tail - 1 :]
        if len(ids) <= self._tail:
            ids = [*row.prompt[-ANCHOR:], *ids][-self._tail - 1 :]
        tail = self._decode(ids)
        if not any(stop in tail for stop in row.stop):
            return False
        text = self._text()
        end = first_stop(text, row.stop)
        if end is None:
            return False  # it stands in the prompt, or half in it
        written.text, written.finish_reason = text[:end], "stop"
        return True

    def finished(self) -> Written:
        """The row, with its text."""
        self.written.text = self.written.text or self._text()
        return self.written

    def _text(self) -> str:
        anchor = list(self.row.prompt[-ANCHOR:])
        return self._decode(anchor + self.written.token_ids)[len(self._decode(anchor)) :]

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text
