"""Rows written together, which join and leave at any token.

A row that joins has its prompt read but for the last token; from then on each pass of the model reads
the newest token of every row and writes the next one. What a prompt has in common with a row that is
being written or was written before is not read again; equal prompts, as of n samples, are read once.
Invariant: a row's logits depend on its own tokens only, but for the last bits (see `sampling`).
Not covered: models that need more than keys and values of all tokens (see `fits`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from toolkit.llm.transformers_local.kept import Kept, Tokens, shared
from toolkit.llm.transformers_local.model import Loaded
from toolkit.llm.transformers_local.rows import Row, Writing
from toolkit.llm.transformers_local.sampling import choose
from toolkit.llm.transformers_local.slots import Slots, States

READ_TOGETHER = 4096
"""Most tokens of prompts in one pass, padding included, unless a single prompt is longer."""
KEPT_BYTES = 1 << 30
ALIKE = 0.2
"""How much logits may differ, in their standard deviations: bfloat16 needs some of it, other models differ by more."""


class Rolling:
    """Used by one thread. `rows` are those being written, in the order of their slots."""

    joins = True
    """Rows may be added while others are being written."""

    def __init__(self, loaded: Loaded, *, kept_bytes: int = KEPT_BYTES) -> None:
        self.rows: list[Writing] = []
        self._loaded = loaded
        self._slots, self._kept = Slots(), Kept(kept_bytes)
        self._prompts: list[Tokens] = []
        # No logits of a prompt are needed, and with large vocabularies they are large.
        parameters = inspect.signature(_plain(loaded).forward).parameters
        self._options = {"logits_to_keep": 1} if "logits_to_keep" in parameters else {}

    @torch.inference_mode()
    def add(self, new: Sequence[Writing]) -> None:
        """Let rows join."""
        same: dict[tuple[int, ...], list[Writing]] = {}
        for row in new:
            same.setdefault(tuple(row.row.prompt), []).append(row)
        tokens = [np.array(prompt) for prompt in same]
        begun = [self._begun(one[:-1]) for one in tokens]
        missing = [len(one) - 1 - known for one, (known, _) in zip(tokens, begun, strict=True)]
        order = sorted(range(len(tokens)), key=missing.__getitem__, reverse=True)
        first = len(self.rows)
        groups = list(same.values())
        for number in order:
            known, states = begun[number]
            if known:
                self._slots.fill(len(self.rows), states, known)
            self._join(groups[number][0], tokens[number])
        for start, stop in _passes([missing[number] for number in order]):
            self._read(first + start, first + stop, [begun[number][0] for number in order[start:stop]])
        for place, number in enumerate(order):
            n_read = len(tokens[number]) - 1
            for row in groups[number][1:]:
                self._slots.fill(len(self.rows), self._slots.states(first + place, n_read), n_read)
                self._join(row, tokens[number])

    def _join(self, row: Writing, prompt: Tokens) -> None:
        self.rows.append(row)
        self._prompts.append(prompt)

    def _begun(self, prompt: Tokens) -> tuple[int, States]:
        """What is known of a prompt: how many tokens, and their states (copies: slots change hands)."""
        known, states = self._kept.best(prompt)
        written = [shared(other, prompt) for other in self._prompts]
        # The last token of another row's prompt may not have been read yet.
        written = [min(n, len(other) - 1) for n, other in zip(written, self._prompts, strict=True)]
        if written and max(written) > known:
            known = max(written)
            states = self._slots.states(written.index(known), known)
        return known, states

    def _read(self, first: int, stop: int, known: list[int]) -> None:
        """Prompts of the slots from `first` to before `stop`, from the token on that is not known."""
        ends = [len(prompt) - 1 for prompt in self._prompts[first:stop]]
        width = max(end - start for end, start in zip(ends, known, strict=True))
        if not width:
            return
        tokens = np.zeros((stop - first, width), dtype=np.int64)
        for line, prompt, start, end in zip(tokens, self._prompts[first:stop], known, ends, strict=True):
            line[: end - start] = prompt[start:end]
        # Padding is written where the last token, which is read later, will be.
        positions = np.minimum(np.array(known)[:, None] + np.arange(width), np.array(ends)[:, None])
        self._forward(first, tokens, positions)

    def _forward(self, first: int, tokens: Tokens, positions: Tokens) -> torch.Tensor:
        """Logits of the last column; `tokens` and `positions` are [rows, tokens], for the slots from `first` on."""
        model = self._loaded.model
        places = torch.from_numpy(positions).to(model.device)
        seen = int(positions.max()) + 1
        self._slots.at(first, places, seen)
        hidden = torch.arange(seen, device=model.device) > places[:, None, :, None]
        mask = torch.zeros(hidden.shape, dtype=model.dtype, device=model.device)
        mask.masked_fill_(hidden, torch.finfo(model.dtype).min)
        found = model(
            input_ids=torch.from_numpy(tokens).to(model.device),
            attention_mask=mask,
            position_ids=places,
            past_key_values=self._slots,
            use_cache=True,
            **self._options,
        )
        logits: torch.Tensor = found.logits[:, -1]
        return logits

    @torch.inference_mode()
    def step(self) -> list[Writing]:
        """Write a token of each row; those that have ended leave and are given back."""
        tokens, logprobs = choose(
            self.next_logits(),
            self._each(row.row.temperature for row in self.rows),
            self._each(row.row.top_p for row in self.rows),
            self._each((row.draw for row in self.rows), torch.float64),
        )
        for row, token, logprob in zip(self.rows, tokens.tolist(), logprobs.tolist(), strict=True):
            row.take(token, logprob)
        return self.drop(lambda row: row.ended)

    @torch.inference_mode()
    def next_logits(self) -> torch.Tensor:
        """What decides each row's next token: [rows, vocabulary]."""
        tokens = np.array([[row.last_token] for row in self.rows])
        positions = np.array([[row.n_tokens - 1] for row in self.rows])
        return self._forward(0, tokens, positions)

    def _each(self, values: Iterable[float], dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.tensor(list(values), dtype=dtype, device=self._loaded.model.device)

    @torch.inference_mode()
    def drop(self, leaves: Callable[[Writing], bool]) -> list[Writing]:
        """Let rows go; the last slot's row moves into the place that becomes free."""
        gone = [number for number, row in enumerate(self.rows) if leaves(row)]
        found = [self.rows[number] for number in gone]
        for number in reversed(gone):
            self._leave(number)
        if not self.rows:
            self._slots.clear()
        return found

    def _leave(self, number: int) -> None:
        row, last = self.rows[number], len(self.rows) - 1
        n_read = row.n_tokens - 1
        tokens = np.array([*row.row.prompt, *row.written.token_ids])[:n_read]
        self._kept.add(tokens, self._slots.states(number, n_read))
        if number != last:
            n_moved = self.rows[last].n_tokens - 1
            self._slots.fill(number, self._slots.states(last, n_moved), n_moved)
            self.rows[number], self._prompts[number] = self.rows[last], self._prompts[last]
        self.rows.pop()
        self._prompts.pop()


def _passes(missing: Sequence[int]) -> list[tuple[int, int]]:
    """Parts of a falling sequence of lengths: not too many tokens together, and padding less than half."""
    parts, start = [], 0
    for stop in range(1, len(missing) + 1):
        width = missing[start]
        if stop == len(missing) or (stop + 1 - start) * width > READ_TOGETHER or 2 * missing[stop] < width - 64:
            parts.append((start, stop))
            start = stop
    return parts


def _plain(loaded: Loaded) -> Any:
    """The model without what peft wraps around it."""
    return getattr(loaded.model, "get_base_model", lambda: loaded.model)()


@torch.inference_mode()
def fits(loaded: Loaded) -> bool:
    """Whether the model may be written with here: put to the test with rows of different lengths.

    It must keep keys and values of all tokens in every layer, take positions, and give the logits that it
    gives for each row alone.
    """
    plain = _plain(loaded)
    if "position_ids" not in inspect.signature(plain.forward).parameters:
        return False
    if any(type(layer) is not DynamicLayer for layer in DynamicCache(config=plain.config).layers):
        return False
    rows = [Row(list(range(n)), 1, temperature=0.0, top_p=1.0, seed=0, sample=0, stop=()) for n in (9, 2, 5)]
    rolling = Rolling(loaded)
    try:
        rolling.add([Writing(row, loaded.tokenizer, loaded.end_tokens) for row in rows])
        found = rolling.next_logits().float()
        alone = [loaded.model(torch.tensor([row.row.prompt]).to(loaded.model.device)).logits for row in rolling.rows]
    except (TypeError, ValueError, RuntimeError, IndexError, AttributeError):
        return False
    expected = torch.cat([logits[:, -1] for logits in alone]).float()
    return bool((found - expected).abs().max() <= ALIKE * expected.std())
