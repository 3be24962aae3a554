"""Any server that speaks OpenAI's chat completions: vLLM, SGLang, llama.cpp, hosted APIs.

A thin aiohttp client: at 256 requests in flight the OpenAI package spends eight times the
CPU (`bench/`, FACTS). A prefix is continued by `add_generation_prompt=false` together with
`continue_final_message=true`; vLLM answers the second alone with HTTP 400.
Not covered: several endpoints with limits of their own, budgets, the journal.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from toolkit.contracts import ChatMessage, Completion, CompletionRequest, Identity
from toolkit.errors import InputError, ModelError

RETRYABLE = frozenset({408, 409, 429, 500, 502, 503, 504})
MAX_RETRIES = 6
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model is served."""

    base_url: str
    """With the version, such as `http://127.0.0.1:8000/v1`."""
    api_key: str | None = None
    """None: the server asks for none."""
    timeout_s: float = 600.0
    """For one request, reading included."""


class _Refused(Exception):
    """The server understood and said no; trying again would not help."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class OpenAIServer:
    """One model of one endpoint."""

    def __init__(self, model: str, endpoint: Endpoint) -> None:
        self.name = model
        self._endpoint = endpoint
        self._client: aiohttp.ClientSession | None = None
        # Pauses only: which rollouts exist and what they say never depends on it.
        self._jitter = random.Random()

    @property
    def identity(self) -> Identity:
        """The model's name; where it is served does not matter."""
        return {"model": self.name}

    async def prepare(self, *, prefix: bool) -> None:
        """List the server's models; with `prefix`, let it continue two words.

        Raises:
            InputError: unreachable, refused, unknown model, or no prefix continuation.
        """
        try:
            listed = await self._call("GET", "models", None)
        except (_Refused, aiohttp.ClientError, TimeoutError) as error:
            raise InputError(self._explain(error)) from error
        names = [str(entry.get("id")) for entry in listed.get("data", []) if isinstance(entry, dict)]
        if self.name not in names:
            raise InputError(f"{self._endpoint.base_url} serves {', '.join(names) or 'no models'}, not {self.name}")
        if prefix:
            await self._probe_prefix()

    async def _probe_prefix(self) -> None:
        request = CompletionRequest((ChatMessage("user", "Say hello."),), max_tokens=4, prefix="Hello,")
        try:
            await self._call("POST", "chat/completions", self.payload(request))
        except (_Refused, aiohttp.ClientError, TimeoutError) as error:
            raise InputError(
                f"{self._endpoint.base_url} does not continue an assistant prefix, which first-thought prefixing needs "
                f"({error}); use a server that knows continue_final_message, or --no-ftp"
            ) from error

    def payload(self, request: CompletionRequest) -> dict[str, Any]:
        """The body of a request."""
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        body: dict[str, Any] = {
            "model": self.name,
            "messages": messages,
            "n": request.n,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "max_tokens": request.max_tokens,
        }
        if request.stop:
            body |= {"stop": list(request.stop), "include_stop_str_in_output": True}
        if request.seed is not None:
            body["seed"] = request.seed
        if request.prefix is not None:
            messages.append({"role": "assistant", "content": request.prefix})
            body |= {"add_generation_prompt": False, "continue_final_message": True}
        return body

    async def complete(self, request: CompletionRequest) -> list[Completion]:
        """`request.n` samples, or as many as the server gives at once; retries what may pass, with growing pauses.

        Raises:
            ModelError: refused, or no answer after all retries.
        """
        body = self.payload(request)
        for attempt in range(MAX_RETRIES + 1):
            try:
                return _completions(await self._call("POST", "chat/completions", body), request.n)
            except _Refused as error:
                if error.status not in RETRYABLE or attempt == MAX_RETRIES:
                    raise ModelError(self._explain(error)) from error
            except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
                if attempt == MAX_RETRIES:
                    raise ModelError(self._explain(error)) from error
            pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt)
            await asyncio.sleep(pause_s * (0.5 + self._jitter.random()))
        raise AssertionError("the last attempt returns or raises")

    async def _call(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        if self._client is None:
            headers = {"Content-Type": "application/json"}
            if self._endpoint.api_key:
                headers["Authorization"] = f"Bearer {self._endpoint.api_key}"
            timeout = aiohttp.ClientTimeout(total=self._endpoint.timeout_s, connect=10)
            connector = aiohttp.TCPConnector(limit=0)
            self._client = aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector)
        url = f"{self._endpoint.base_url.rstrip('/')}/{path}"
        data = None if body is None else orjson.dumps(body)
        async with self._client.request(method, url, data=data) as response:
            content = await response.read()
            if response.status != 200:
                raise _Refused(response.status, content[:300].decode(errors="replace"))
            found = orjson.loads(content)
        if not isinstance(found, dict):
            raise ValueError(f"expected a JSON object, got {type(found).__name__}")
        return found

    def _explain(self, error: Exception) -> str:
        place = self._endpoint.base_url
        if isinstance(error, _Refused):
            if error.status in (401, 403):
                return f"{place} refused the API key (HTTP {error.status}): {error}"
            return f"{place} answered HTTP {error.status}: {error}"
        if isinstance(error, aiohttp.ClientConnectorError):
            return f"cannot reach {place}: {error.os_error.strerror or error}; is the server running?"
        return f"{place} gave no usable answer: {type(error).__name__}: {error}"

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None


def _completions(answer: dict[str, Any], n: int) -> list[Completion]:
    choices = answer["choices"]
    if not 0 < len(choices) <= n:
        raise ValueError(f"asked for {n} samples, got {len(choices)}")
    usage = answer.get("usage") or {}
    # A server counts written tokens over all samples; of a single one they are its own.
    written = usage.get("completion_tokens")
    single = len(choices) == 1
    return [
        Completion(
            text=choice["message"]["content"] or "",
            finish_reason="length" if choice.get("finish_reason") == "length" else "stop",
            prompt_tokens=usage.get("prompt_tokens") if index == 0 else None,
            completion_tokens=written if single else None,
            sampled_tokens=written if index == 0 and not single else None,
        )
        for index, choice in enumerate(sorted(choices, key=lambda choice: choice.get("index", 0)))
    ]
