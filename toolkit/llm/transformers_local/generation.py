"""One batch of rows through `generate`, and each row's text, tokens and end.

Prompts are padded on the left; transformers keeps the cache, our logits processor chooses the
tokens and our stopping criterion ends each row by itself: at an end token, a stop string or its own
limit. Rows that have ended are carried on, unread, until the last one has.
Invariant: a text ends with the stop string that ended it, whatever its last token wrote beyond.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from schemas import FinishReason
from toolkit.llm.samples import first_stop
from toolkit.llm.transformers_local.model import Loaded
from toolkit.llm.transformers_local.sampling import choose, draws

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


def write_batch(loaded: Loaded, rows: Sequence[Row], cancelled: threading.Event) -> list[Written]:
    """What the model writes for each row; less, once `cancelled` is set."""
    model, tokenizer = loaded.model, loaded.tokenizer
    width = max(len(row.prompt) for row in rows)
    ids = torch.full((len(rows), width), _pad(tokenizer))
    mask = torch.zeros_like(ids)
    for number, row in enumerate(rows):
        ids[number, width - len(row.prompt) :] = torch.tensor(row.prompt)
        mask[number, width - len(row.prompt) :] = 1
    ends = _Ends(tokenizer, rows, width, loaded.end_tokens, cancelled)
    choice = _Choice(rows, ends, model.device)
    # Neither an end token nor a sampling parameter in it: the two objects decide.
    settings: Any = GenerationConfig
    config = settings(do_sample=False, max_new_tokens=max(row.max_tokens for row in rows), pad_token_id=_pad(tokenizer))
    with torch.inference_mode():
        model.generate(
            ids.to(model.device),
            attention_mask=mask.to(model.device),
            generation_config=config,
            logits_processor=LogitsProcessorList([choice]),
            stopping_criteria=StoppingCriteriaList([ends]),
        )
    return [ends.finished(number) for number in range(len(rows))]


class _Choice(LogitsProcessor):
    """Chooses each row's token and leaves `generate` nothing else to take."""

    def __init__(self, rows: Sequence[Row], ends: _Ends, device: torch.device) -> None:
        longest = max(row.max_tokens for row in rows)
        self._temperature = torch.tensor([row.temperature for row in rows], device=device)
        self._top_p = torch.tensor([row.top_p for row in rows], device=device)
        drawn = torch.zeros(len(rows), longest, dtype=torch.float64)
        for number, row in enumerate(rows):
            drawn[number, : row.max_tokens] = draws(row.seed, row.sample, row.max_tokens)
        self._drawn = drawn.to(device)
        self._ends = ends
        self._step = 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores of zero for the chosen tokens and minus infinity for all others."""
        tokens, logprobs = choose(scores, self._temperature, self._top_p, self._drawn[:, self._step])
        self._ends.logprobs = logprobs.tolist()
        self._step += 1
        return torch.full_like(scores, -torch.inf).scatter_(-1, tokens[:, None], 0.0)


class _Ends(StoppingCriteria):
    """Collects what each row wrote, and ends it."""

    def __init__(
        self, tokenizer: Any, rows: Sequence[Row], width: int, end_tokens: frozenset[int], cancelled: threading.Event
    ) -> None:
        self._tokenizer, self._rows, self._width = tokenizer, rows, width
        self._end_tokens, self._cancelled = end_tokens, cancelled
        self._written = [Written() for _ in rows]
        self._ended = [False] * len(rows)
        # A token writes a byte at least: so many of the last ones hold a stop string that just ended.
        self._tails = [max((len(stop.encode()) for stop in row.stop), default=0) + 1 for row in rows]
        self.logprobs: list[float] = []
        """Of the tokens chosen last."""

    def __call__(self, input_ids: torch.Tensor, scores: object, **more: object) -> torch.Tensor:
        """Which rows have ended."""
        for number, token in enumerate(input_ids[:, -1].tolist()):
            if not self._ended[number]:
                self._take(number, token)
        ended = [True] * len(self._rows) if self._cancelled.is_set() else self._ended
        return torch.tensor(ended, device=input_ids.device)

    def _take(self, number: int, token: int) -> None:
        row, written = self._rows[number], self._written[number]
        written.token_ids.append(token)
        written.logprobs.append(self.logprobs[number])
        if token in self._end_tokens:
            written.finish_reason, self._ended[number] = "stop", True
        elif row.stop and self._stops(number):
            self._ended[number] = True
        elif len(written.token_ids) >= row.max_tokens:
            self._ended[number] = True

    def _stops(self, number: int) -> bool:
        """Whether a stop string has just been written; a look at the tail, then, rarely, at the whole text."""
        row, written = self._rows[number], self._written[number]
        tail = self._decode([*row.prompt[-ANCHOR:], *written.token_ids][-self._tails[number] - 1 :])
        if not any(stop in tail for stop in row.stop):
            return False
        text = self._text(number)
        end = first_stop(text, row.stop)
        if end is None:
            return False  # it stands in the prompt, or half in it
        written.text, written.finish_reason = text[:end], "stop"
        return True

    def finished(self, number: int) -> Written:
        """The row, with its text."""
        written = self._written[number]
        written.text = written.text or self._text(number)
        return written

    def _text(self, number: int) -> str:
        anchor = list(self._rows[number].prompt[-ANCHOR:])
        return self._decode(anchor + self._written[number].token_ids)[len(self._decode(anchor)) :]

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text


def _pad(tokenizer: Any) -> int:
    """Any token will do: padding is masked."""
    return int(tokenizer.pad_token_id or 0)
