"""Rows through `generate`, for models that cannot be written with row by row (see `rolling.fits`).

Prompts are padded on the left; transformers keeps the cache, our logits processor chooses the
tokens and our stopping criterion ends each row by itself. Rows that have ended are carried on,
unread, until the last one has; rows that come meanwhile wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from toolkit.llm.transformers_local.model import Loaded
from toolkit.llm.transformers_local.rows import Writing
from toolkit.llm.transformers_local.sampling import choose


class Generation:
    """Used by one thread; with the methods of `Rolling`. `cancelled` ends a batch at its next token."""

    joins = False
    """Rows may only be added where none are being written."""

    def __init__(self, loaded: Loaded, cancelled: threading.Event) -> None:
        self.rows: list[Writing] = []
        self._loaded, self._cancelled = loaded, cancelled

    def add(self, new: Sequence[Writing]) -> None:
        """Let a batch begin."""
        self.rows = list(new)

    def step(self) -> list[Writing]:
        """Write all rows to their ends and give them back."""
        model, rows = self._loaded.model, self.rows
        pad = int(self._loaded.tokenizer.pad_token_id or 0)  # any token will do: padding is masked
        width = max(len(row.row.prompt) for row in rows)
        ids = torch.full((len(rows), width), pad)
        mask = torch.zeros_like(ids)
        for number, row in enumerate(rows):
            ids[number, width - len(row.row.prompt) :] = torch.tensor(row.row.prompt)
            mask[number, width - len(row.row.prompt) :] = 1
        # Neither an end token nor a sampling parameter in it: the two objects decide.
        settings: Any = GenerationConfig
        longest = max(row.row.max_tokens for row in rows)
        with torch.inference_mode():
            model.generate(
                ids.to(model.device),
                attention_mask=mask.to(model.device),
                generation_config=settings(do_sample=False, max_new_tokens=longest, pad_token_id=pad),
                logits_processor=LogitsProcessorList([_Choice(rows)]),
                stopping_criteria=StoppingCriteriaList([_Ends(rows, self._cancelled)]),
            )
        return self.drop(lambda _: True)

    def drop(self, leaves: Callable[[Writing], bool]) -> list[Writing]:
        """Let rows go."""
        gone = [row for row in self.rows if leaves(row)]
        self.rows = [row for row in self.rows if not leaves(row)]
        return gone


class _Choice(LogitsProcessor):
    """Chooses each row's token and leaves `generate` nothing else to take."""

    def __init__(self, rows: Sequence[Writing]) -> None:
        self._rows = rows
        self._temperature = torch.tensor([row.row.temperature for row in rows])
        self._top_p = torch.tensor([row.row.top_p for row in rows])

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores of zero for the chosen tokens and minus infinity for all others."""
        drawn = torch.tensor([0.0 if row.ended else row.draw for row in self._rows], dtype=torch.float64)
        place = scores.device
        tokens, logprobs = choose(scores, self._temperature.to(place), self._top_p.to(place), drawn.to(place))
        for row, token, logprob in zip(self._rows, tokens.tolist(), logprobs.tolist(), strict=True):
            row.take(token, logprob)
        return torch.full_like(scores, -torch.inf).scatter_(-1, tokens[:, None], 0.0)


class _Ends(StoppingCriteria):
    """Says which rows have ended: all, once `cancelled` is set."""

    def __init__(self, rows: Sequence[Writing], cancelled: threading.Event) -> None:
        self._rows, self._cancelled = rows, cancelled

    def __call__(self, input_ids: torch.Tensor, scores: object, **more: object) -> torch.Tensor:
        """One truth a row."""
        ended = [self._cancelled.is_set() or row.ended for row in self._rows]
        return torch.tensor(ended, device=input_ids.device)
