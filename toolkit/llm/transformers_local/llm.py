"""The backend: requests in, samples out, the model in a thread of its own.

Equal request and seed give equal text whatever else is in flight (see `sampling` for what that
rests on). Sampling is exactly what the request says: the sampling defaults that some models bring
along (`generation_config.json`) are not applied, while a vLLM server does apply those that a
request leaves open. Not covered: several GPUs, quantization; a server does these better.
"""

from __future__ import annotations

import random
import threading

import torch

from toolkit.chat import ChatEncoder
from toolkit.contracts import Completion, CompletionRequest, Identity
from toolkit.errors import ModelError
from toolkit.llm.chat_prompt import encoder_of, prompt_ids
from toolkit.llm.local_weights import LocalModel
from toolkit.llm.samples import asks_for_copies, copies
from toolkit.llm.transformers_local.batching import RowBatcher, Writer
from toolkit.llm.transformers_local.generation import Generation
from toolkit.llm.transformers_local.model import Loaded, load
from toolkit.llm.transformers_local.rolling import Rolling, fits
from toolkit.llm.transformers_local.rows import Row, Writing, Written

MAX_ROWS = 32
"""Samples written together; more need more memory."""


class TransformersLLM:
    """A model of transformers; it is loaded by `prepare`, or by the first request."""

    def __init__(
        self,
        local: LocalModel,
        *,
        dtype: str = "auto",
        device: str = "auto",
        logprobs: bool = False,
        max_rows: int = MAX_ROWS,
    ) -> None:
        self.name = local.name
        self._local, self._dtype, self._device, self._logprobs = local, dtype, device, logprobs
        self._loaded: Loaded | None = None
        self._chat: ChatEncoder | None = None
        self._max_rows = max_rows
        self._cancelled = threading.Event()
        self._batcher = RowBatcher(self._writer, max_rows=max_rows)
        # For requests without a seed.
        self._seeds = random.Random()

    @property
    def identity(self) -> Identity:
        """Name and revision, and the dtype if it was chosen; the device does not matter."""
        return self._local.identity(self._dtype)

    async def prepare(self, *, prefix: bool) -> None:
        """Load the model and put its chat template to the test.

        Raises:
            InputError: it does not load, or its template will not do.
        """

        def work() -> None:
            self._chat = encoder_of(self.name, self._load().tokenizer)
            _ = self._local.revision  # reads all weights: here, not in the event loop

        await self._batcher.in_thread(work)

    async def complete(self, request: CompletionRequest) -> list[Completion]:
        """`request.n` samples.

        Raises:
            ModelError: the prompt does not fit, the template refuses it, or memory ran out.
        """
        if self._chat is None:
            await self.prepare(prefix=request.prefix is not None)
        loaded = self._load()
        assert self._chat is not None
        prompt = prompt_ids(self._chat, request.messages, request.prefix)
        if len(prompt) + request.max_tokens > loaded.context_tokens:
            raise ModelError(
                f"{len(prompt)} tokens of prompt and {request.max_tokens} to write do not fit into the "
                f"{loaded.context_tokens} of {self.name}"
            )
        seed = request.seed if request.seed is not None else self._seeds.getrandbits(62)
        n_rows = 1 if asks_for_copies(request) else request.n
        rows = [
            Row(prompt, request.max_tokens, request.temperature, request.top_p, seed, number, request.stop)
            for number in range(n_rows)
        ]
        writing = [Writing(row, loaded.tokenizer, loaded.end_tokens) for row in rows]
        try:
            written = await self._batcher.add(writing)
        except torch.OutOfMemoryError as error:
            raise ModelError(f"out of memory while writing up to {self._max_rows} samples together: {error}") from error
        found = [self._completion(one, len(prompt) if not number else None) for number, one in enumerate(written)]
        return copies(found[0], request.n) if n_rows < request.n else found

    def _completion(self, written: Written, prompt_tokens: int | None) -> Completion:
        return Completion(
            written.text,
            written.finish_reason,
            prompt_tokens=prompt_tokens,
            completion_tokens=len(written.token_ids),
            token_ids=tuple(written.token_ids) if self._logprobs else None,
            logprobs=tuple(written.logprobs) if self._logprobs else None,
        )

    def _load(self) -> Loaded:
        if self._loaded is None:
            self._loaded = load(self._local, dtype=self._dtype, device=self._device)
        return self._loaded

    def _writer(self) -> Writer:
        loaded = self._load()
        return Rolling(loaded) if fits(loaded) else Generation(loaded, self._cancelled)

    async def close(self) -> None:
        """End the batch that is running at its next token, and let the model go."""
        self._cancelled.set()
        await self._batcher.close()
        self._loaded = self._chat = None
