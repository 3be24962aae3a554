"""A loopback server that speaks chat completions with the manners and faults a test asks for.

Behind it is a real, if silly, model: each character follows from all text in front of it, so that
a continued prefix, a closed turn and a fresh answer really differ, as they do with a language
model. One character is one token; a mark of the chat template is one token. `Manners` are what
servers do differently, `faults` what goes wrong, one a request, before the next is answered well.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

LETTERS = "abcdefghijklmnopqrstuvwxyz ,.\n"
CONTEXT_TOKENS = 16000

Fault = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Manners:
    """What servers do differently; the defaults are vLLM's."""

    flags: Literal["honoured", "half", "ignored", "refused"] = "honoured"
    """`half`: no generation prompt, but the assistant's turn is closed."""
    last_turn: Literal["closed", "continued", "dropped", "refused"] = "closed"
    """What becomes of an assistant's last turn without the flags."""
    closing: str = "<|im_end|>\n"
    thought: str = ""
    """What the chat template puts in front of the words of an assistant's last turn."""
    repeats_prefix: bool = False
    keeps_stop: Literal["asked", "never", "refused"] = "asked"
    names_stop: bool = True
    stops: bool = True
    counts: bool = True
    lists_tokens: bool = True
    """Whether token ids and logprobs are given."""
    most_samples: int = 100
    lists_models: bool = True
    max_tokens: bool = True
    """False: only `max_completion_tokens` is known."""
    says: str | None = None
    """What a greedy answer begins with. None: what follows from the prompt."""
    schemas: Literal["json_schema", "json_object", "ignored", "refused"] = "json_schema"
    """How an answer can be made to keep to a JSON schema."""
    text_limits: bool = True
    """False: a schema with `maxLength` is refused."""


@dataclass
class SimulatedServer:
    """See the module."""

    manners: Manners = field(default_factory=Manners)
    models: tuple[str, ...] = ("tiny", "tiny-adapted")
    key: str | None = None
    faults: list[Fault] = field(default_factory=list)
    """Taken from the front, one a chat request."""
    refuses: tuple[str, int] | None = None
    """A text and the status that requests with it are answered with. None: all are welcome."""
    answers: Callable[[dict[str, Any]], dict[str, str]] | None = None
    """What is answered to a request under a schema that leaves a choice. None: what follows from the prompt."""
    delay_s: float = 0.0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    """Of the chat requests, in the order of arrival."""
    prompts: list[str] = field(default_factory=list)
    """What the model was shown."""
    in_flight: int = 0
    most_in_flight: int = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Serve on a free port; gives the base URL."""
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._chat)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        finally:
            await runner.cleanup()

    async def _models(self, request: web.Request) -> web.Response:
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            return refusal(401, f"no such key: {request.headers.get('Authorization')}")
        if not self.manners.lists_models:
            return refusal(404, "no such path")
        return web.json_response({"data": [{"id": name} for name in self.models]})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            body = json.loads(await request.read())
            self.bodies.append(body)
            if self.faults:
                return await self.faults.pop(0)(request)
            if self.refuses and any(self.refuses[0] in message["content"] for message in body["messages"]):
                return refusal(self.refuses[1], "refused")
            await asyncio.sleep(self.delay_s)
            if body["model"] not in self.models:
                return refusal(404, f"the model {body['model']} does not exist")
            return self._answer(body)
        finally:
            self.in_flight -= 1

    def _answer(self, body: dict[str, Any]) -> web.Response:
        manners = self.manners
        flagged = bool(body.get("continue_final_message"))
        last = body["messages"][-1]["role"] == "assistant"
        if flagged and (manners.flags == "refused" or body.get("add_generation_prompt", True)):
            return refusal(400, "add_generation_prompt and continue_final_message cannot both be true")
        if last and not (flagged and manners.flags == "honoured") and manners.last_turn == "refused":
            return refusal(400, "the last message must not be the assistant's")
        if "include_stop_str_in_output" in body and manners.keeps_stop == "refused":
            return refusal(400, "unrecognized request argument supplied: include_stop_str_in_output")
        if "max_tokens" in body and not manners.max_tokens:
            return refusal(400, "unsupported parameter: max_tokens; use max_completion_tokens instead")
        if fault := self._schema_fault(body):
            return refusal(400, fault)
        prompt, prefix = self._prompt(body, flagged and last)
        self.prompts.append(prompt)
        if count(prompt) + limit(body) > CONTEXT_TOKENS:
            return refusal(400, f"this model's maximum context length is {CONTEXT_TOKENS} tokens")
        samples = min(body.get("n", 1), manners.most_samples)
        choices = [self._choice(body, prompt, prefix, index) for index in range(samples)]
        answer: dict[str, Any] = {"choices": choices}
        if manners.counts:
            written = sum(choice.pop("written") for choice in choices)
            answer["usage"] = {"prompt_tokens": count(prompt), "completion_tokens": written}
        return web.json_response(answer)

    def _prompt(self, body: dict[str, Any], flagged: bool) -> tuple[str, str]:
        """What the model reads, and what of it is the continued prefix."""
        messages: list[dict[str, str]] = body["messages"]
        *before, last = messages if messages[-1]["role"] == "assistant" else [*messages, None]
        text = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in before if turn)
        opened = text + "<|im_start|>assistant\n"
        if last is None:
            return opened if body.get("add_generation_prompt", True) or self.manners.flags == "ignored" else text, ""
        way = {"honoured": "continued", "half": "half"}.get(self.manners.flags) if flagged else None
        way = way or self.manners.last_turn
        spoken = opened + self.manners.thought + last["content"]
        closed = spoken + self.manners.closing
        header = "<|im_start|>assistant\n" if self.manners.closing.startswith("<|im_end") else ""
        prompts = {"dropped": opened, "half": closed, "closed": closed + header}
        return (spoken, last["content"]) if way == "continued" else (prompts[way], "")

    def _choice(self, body: dict[str, Any], prompt: str, prefix: str, index: int) -> dict[str, Any]:
        manners = self.manners
        written, finish, met = self._write(body, prompt, index)
        text = written
        if met and not (body.get("include_stop_str_in_output") and manners.keeps_stop == "asked"):
            text = text[: -len(met)]
        if manners.repeats_prefix:
            text = prefix + text
        choice: dict[str, Any] = {
            "index": index,
            "message": {"role": "assistant", "content": text},
            "finish_reason": finish,
            "written": len(written),
        }
        if manners.names_stop:
            choice["stop_reason"] = met
        if manners.lists_tokens and body.get("return_token_ids"):
            choice["token_ids"] = [LETTERS.index(letter) if letter in LETTERS else 99 for letter in written]
        if manners.lists_tokens and body.get("logprobs"):
            choice["logprobs"] = {"content": [{"token": letter, "logprob": -1.5} for letter in written]}
        return choice

    def _write(self, body: dict[str, Any], prompt: str, index: int) -> tuple[str, str, str | None]:
        """Text, finish reason and the stop string that ended it."""
        if schema := self._schema(body):
            text = self._fill(body, schema, prompt)
            return text, "stop" if text.endswith("}") else "length", None
        greedy = not body.get("temperature")
        seed = "" if greedy else f"{body.get('seed')}|{index}|"
        text = ""
        for position in range(limit(body)):
            said = self.manners.says or ""
            digest = hashlib.sha256(f"{body['model']}|{seed}{prompt}{text}".encode()).digest()
            text += said[position] if position < len(said) else LETTERS[digest[0] % len(LETTERS)]
            for stop in body.get("stop") or []:
                if self.manners.stops and text.endswith(stop):
                    return text, "stop", stop
        return text, "length", None

    def _schema(self, body: dict[str, Any]) -> dict[str, Any] | None:
        """The schema that the answer keeps to."""
        asked = body.get("response_format") or {}
        if asked.get("type") != self.manners.schemas:
            return None
        found: dict[str, Any] = asked["schema"] if asked["type"] == "json_object" else asked["json_schema"]["schema"]
        return found

    def _schema_fault(self, body: dict[str, Any]) -> str | None:
        if "response_format" not in body:
            return None
        if self.manners.schemas == "refused":
            return "unrecognized request argument supplied: response_format"
        return None if self.manners.text_limits or "maxLength" not in json.dumps(body) else "maxLength is not permitted"

    def _fill(self, body: dict[str, Any], schema: dict[str, Any], prompt: str) -> str:
        """An answer that keeps to the schema, cut off at the token limit."""
        choices = {name: entry.get("enum") for name, entry in schema["properties"].items()}
        chosen = {
            name: words[hashlib.sha256(f"{name}{prompt}".encode()).digest()[0] % len(words)] if words else "so it is"
            for name, words in choices.items()
        }
        if self.answers and any(len(words or ()) > 1 for words in choices.values()):
            chosen |= self.answers(body)
        return json.dumps(chosen)[: limit(body)]


@contextmanager
def served(server: SimulatedServer) -> Iterator[str]:
    """The server on a thread of its own, because commands bring their own event loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    running = server.running()
    try:
        yield asyncio.run_coroutine_threadsafe(running.__aenter__(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(running.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def count(text: str) -> int:
    """Tokens of a prompt."""
    return len(re.sub(r"<\|im_(?:start|end)\|>", "#", text))


def limit(body: dict[str, Any]) -> int:
    """The token limit of a request."""
    return int(body.get("max_tokens") or body["max_completion_tokens"])


def refusal(status: int, message: str, **headers: str) -> web.Response:
    """An answer as an error is reported."""
    return web.json_response({"error": {"message": message, "code": status}}, status=status, headers=headers)


def answers(status: int, message: str = "busy", retry_after: str | None = None) -> Fault:
    """The fault of answering with `status`."""

    async def fault(request: web.Request) -> web.StreamResponse:
        return refusal(status, message, **({"Retry-After": retry_after} if retry_after is not None else {}))

    return fault


def says(content: bytes) -> Fault:
    """The fault of answering `content` with HTTP 200."""

    async def fault(request: web.Request) -> web.StreamResponse:
        return web.Response(body=content, content_type="application/json")

    return fault


async def breaks_off(request: web.Request) -> web.StreamResponse:
    """Half a body, then the end of the connection."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"choices": [')
    assert request.transport is not None
    request.transport.close()
    return response


async def hangs_up(request: web.Request) -> web.StreamResponse:
    """The end of the connection instead of an answer."""
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def hangs(request: web.Request) -> web.StreamResponse:
    """No answer until the client gives up."""
    await asyncio.sleep(60)
    return web.Response()
