"""vLLM in process: its asynchronous engine, for one program on one machine with a GPU.

The same contract as its server, without HTTP; the engine runs in processes of its own and batches
whatever is in flight. Sampling is exactly what the request says. Needs the extra `vllm`, which
conflicts with `local`. Not covered: engine settings besides the dtype (start a server for those).
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

import orjson
from vllm import SamplingParams
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.lora.request import LoRARequest
from vllm.platforms import current_platform
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError

from schemas import FinishReason
from toolkit.chat import ChatEncoder
from toolkit.contracts import Completion, CompletionRequest, Identity
from toolkit.errors import InputError, ModelError, RunError
from toolkit.llm.chat_prompt import encoder_of, prompt_ids
from toolkit.llm.local_weights import GENERATION_SETTINGS, LocalModel
from toolkit.llm.samples import asks_for_copies, copies

ADAPTER_RANKS = (8, 16, 32, 64, 128, 256, 512)
"""What the engine can be sized for."""


class VLLMLocal:
    """A model in vLLM's engine; it is loaded by `prepare`."""

    def __init__(self, local: LocalModel, *, dtype: str = "auto", logprobs: bool = False) -> None:
        self.name = local.name
        self._local, self._dtype, self._logprobs = local, dtype, logprobs
        self._engine: AsyncLLM | None = None
        self._chat: ChatEncoder | None = None
        self._adapter = LoRARequest(local.adapter.name, 1, str(local.adapter.resolve())) if local.adapter else None
        self._numbers = count()
        self._loading = asyncio.Lock()

    @property
    def identity(self) -> Identity:
        """Name and revision, and the dtype if it was chosen."""
        return self._local.identity(self._dtype)

    async def prepare(self, *, prefix: bool) -> None:
        """Start the engine, which takes a while, and put the chat template to the test.

        Raises:
            InputError: the model does not load, or its template will not do.
        """
        async with self._loading:
            if self._chat is None:
                engine: AsyncLLM = self._engine or await asyncio.to_thread(self._start)
                self._engine = engine
                await asyncio.to_thread(lambda: self._local.revision)  # reads all weights
                tokenizer = engine.get_tokenizer()
                self._local.check_tokenizer(tokenizer)
                self._chat = encoder_of(self.name, tokenizer)

    def _start(self) -> AsyncLLM:
        settings: dict[str, Any] = {"model": self._local.source, "dtype": self._dtype}
        if current_platform.is_cpu():
            # vLLM 0.32 dies there of a request with a seed whose prompt is read in parts (docs/decisions.md).
            settings["enable_chunked_prefill"] = False
        if self._local.hub_revision:
            settings["revision"] = self._local.hub_revision
        if self._local.adapter is not None:
            settings |= {"enable_lora": True, "max_loras": 1, "max_lora_rank": self._rank()}
            if (self._local.adapter / GENERATION_SETTINGS).is_file():
                settings["generation_config"] = str(self._local.adapter)
        try:
            return AsyncLLM.from_engine_args(AsyncEngineArgs(disable_log_stats=True, **settings))
        except (OSError, ValueError, RuntimeError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise InputError(f"vLLM does not start with {self._local.base}: {reason}") from error

    def _rank(self) -> int:
        assert self._local.adapter is not None
        rank = int(orjson.loads((self._local.adapter / "adapter_config.json").read_bytes())["r"])
        fitting = [size for size in ADAPTER_RANKS if size >= rank]
        if not fitting:
            raise InputError(f"{self._local.adapter}: vLLM takes adapters up to rank {ADAPTER_RANKS[-1]}, not {rank}")
        return fitting[0]

    async def complete(self, request: CompletionRequest) -> list[Completion]:
        """`request.n` samples.

        Raises:
            ModelError: the prompt does not fit, or the template refuses it.
            RunError: the engine has died.
        """
        if self._chat is None:
            await self.prepare(prefix=request.prefix is not None)
        assert self._engine is not None
        assert self._chat is not None
        prompt = prompt_ids(self._chat, request.messages, request.prefix)
        room = self._engine.model_config.max_model_len
        if len(prompt) + request.max_tokens > room:
            raise ModelError(
                f"{len(prompt)} tokens of prompt and {request.max_tokens} to write do not fit into the {room} "
                f"of {self.name}"
            )
        as_copies = asks_for_copies(request)
        output = await self._run(self._engine, prompt, self._sampling(request, 1 if as_copies else request.n))
        samples = sorted(output.outputs, key=lambda sample: sample.index)
        found = [self._completion(sample, len(prompt) if not number else None) for number, sample in enumerate(samples)]
        return copies(found[0], request.n) if as_copies else found

    def _sampling(self, request: CompletionRequest, n: int) -> SamplingParams:
        return SamplingParams(
            n=n,
            temperature=request.temperature,
            top_p=request.top_p,
            max_tokens=request.max_tokens,
            stop=list(request.stop),
            include_stop_str_in_output=True,
            seed=request.seed,
            logprobs=0 if self._logprobs else None,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    async def _run(self, engine: AsyncLLM, prompt: list[int], sampling: SamplingParams) -> Any:
        number = f"request-{next(self._numbers)}"
        try:
            # The engine drops the request when this loop is cancelled. FINAL_ONLY: it yields once.
            found = [
                output
                async for output in engine.generate(
                    {"prompt_token_ids": prompt}, sampling, number, lora_request=self._adapter
                )
            ]
        except EngineDeadError as error:
            raise RunError(f"vLLM's engine with {self.name} has died; what it printed says why") from error
        except ValueError as error:
            raise ModelError(f"vLLM refuses the request: {error}") from error
        if not found:
            raise ModelError("vLLM gave no answer")
        return found[-1]

    def _completion(self, sample: Any, prompt_tokens: int | None) -> Completion:
        ids = tuple(sample.token_ids)
        finish: FinishReason = "length" if sample.finish_reason == "length" else "stop"
        logprobs = None
        if self._logprobs:
            logprobs = tuple(entry[token].logprob for entry, token in zip(sample.logprobs, ids, strict=True))
        return Completion(
            sample.text,
            finish,
            prompt_tokens=prompt_tokens,
            completion_tokens=len(ids),
            token_ids=ids if self._logprobs else None,
            logprobs=logprobs,
        )

    async def close(self) -> None:
        """End the engine's processes."""
        if self._engine is not None:
            await asyncio.to_thread(self._engine.shutdown)
            self._engine = None
