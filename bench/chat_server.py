r"""A model behind HTTP in a process of its own, for benches of clients.

    with chat_server("sums", "--latency", "0.2") as server:
        server.base_url, server.counts()

It speaks chat completions as vLLM does: the two flags continue a prefix, stop strings are kept where that is asked
for, and prompt tokens are counted as ChatML would have them, so that a client's own probe finds all of it out.
`sums` knows sums such as `bench.sums` puts, and acts in three turns; `oracle` is the oracle teacher over `--tasks`.
Invariant: equal requests get equal answers. What no question of the model is in, such as a probe, is answered in a
sentence and not counted. Not covered: streaming, logprobs, errors.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import orjson
from aiohttp import web

from bench.sums import turn
from toolkit.contracts import ChatMessage, CompletionRequest
from toolkit.dialects import load_dialect
from toolkit.errors import ModelError
from toolkit.tasks.oracle import OracleTeacher
from toolkit.tasks.source import open_tasks

MODEL = "bench"
NOT_KNOWN = "This question is not one of mine."
TURN_TOKENS, OPENING_TOKENS = 4, 3
"""Of ChatML: what stands around the words of a turn, and what opens the assistant's."""
_TOKEN = re.compile(r"\n|\w+|[^\w\s]")

Model = Callable[[CompletionRequest], Awaitable[list[str]]]
"""Gives the samples of a request; raises ModelError if it has no such question."""


class ChatServer:
    """Answers chat completions after `latency_s`, and counts them."""

    def __init__(self, model: Model, latency_s: float) -> None:
        self._model, self._latency_s = model, latency_s
        self._answered: set[bytes] = set()
        self._reset()

    def _reset(self) -> None:
        self._calls = self._again = 0
        self._first_at: float | None = None

    async def models(self, request: web.Request) -> web.Response:
        """The one model."""
        return _json({"data": [{"id": MODEL}]})

    async def counts(self, request: web.Request) -> web.Response:
        """What was counted since this was last asked."""
        found = {"calls": self._calls, "again": self._again, "first_at": self._first_at}
        self._reset()
        return _json(found)

    async def chat(self, request: web.Request) -> web.Response:
        """One chat completion."""
        arrived, content = time.monotonic(), await request.read()
        body = orjson.loads(content)
        asked = read_request(body)
        try:
            texts = await self._model(asked)
        except ModelError:
            return _json(answer(body, asked, [NOT_KNOWN] * asked.n))
        self._first_at = self._first_at or arrived
        self._calls += 1
        digest = hashlib.blake2b(content, digest_size=16).digest()
        self._again += digest in self._answered
        ready = _json(answer(body, asked, texts))  # before the wait, or it would come on top of it
        await asyncio.sleep(max(0.0, arrived + self._latency_s - time.monotonic()))
        self._answered.add(digest)
        return ready


def read_request(body: dict[str, Any]) -> CompletionRequest:
    """The request in a body."""
    turns = [ChatMessage(turn["role"], _text(turn["content"])) for turn in body["messages"]]
    prefix = turns.pop().content if body.get("continue_final_message") else None
    return CompletionRequest(tuple(turns), n=body.get("n") or 1, seed=body.get("seed"), prefix=prefix)


def answer(body: dict[str, Any], asked: CompletionRequest, texts: list[str]) -> dict[str, Any]:
    """What is sent: every sample cut off where its stop string or its token limit says."""
    choices = []
    for index, text in enumerate(texts):
        cut, met = _cut(text, body)
        message = {"role": "assistant", "content": cut}
        finish = "length" if cut != text and met is None else "stop"
        choices.append({"index": index, "message": message, "finish_reason": finish, "stop_reason": met})
    read = sum(TURN_TOKENS + count(message.content) for message in asked.messages)
    read += OPENING_TOKENS + count(asked.prefix or "")
    written = sum(count(choice["message"]["content"]) for choice in choices)  # type: ignore[index]
    usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    return {
        "id": "bench",
        "object": "chat.completion",
        "created": 0,
        "model": MODEL,
        "choices": choices,
        "usage": usage,
    }


def _cut(text: str, body: dict[str, Any]) -> tuple[str, str | None]:
    """The text that is sent, and the stop string that ended it."""
    limit = body.get("max_tokens") or body.get("max_completion_tokens")
    tokens = list(_TOKEN.finditer(text))
    if limit is not None and len(tokens) > limit:
        text = text[: tokens[limit - 1].end()]
    places = [(text.find(stop), stop) for stop in body.get("stop") or () if stop in text]
    if not places:
        return text, None
    place, stop = min(places)
    return text[: place + len(stop) * bool(body.get("include_stop_str_in_output"))], stop


@lru_cache(maxsize=1 << 14)
def count(text: str) -> int:
    """Tokens of a text: words, marks and line breaks; kept, for every prompt repeats the one before."""
    return len(_TOKEN.findall(text))


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _json(value: dict[str, Any]) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")


class Running:
    """A server that runs."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self.base_url = f"{self._url}/v1"

    def counts(self) -> dict[str, Any]:
        """Since this was last called: `calls`, those `again` that had been answered before, and when the first came.

        `first_at` is in seconds of the monotonic clock. None: there was no call.
        """
        with urllib.request.urlopen(f"{self._url}/counts") as response:
            found: dict[str, Any] = orjson.loads(response.read())
        return found


@contextmanager
def chat_server(*arguments: str) -> Iterator[Running]:
    """A server with these arguments of the command line; it ends with the block."""
    command = [sys.executable, "-m", "bench.chat_server", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Running(int(process.stdout.readline()))
        finally:
            process.kill()


def _oracle(tasks: str, limit: int | None, slips: float) -> Model:
    oracle = OracleTeacher(open_tasks(tasks, limit=limit), load_dialect("codeact"), slips=slips)

    async def reply(request: CompletionRequest) -> list[str]:
        return [completion.text for completion in await oracle.complete(request)]

    return reply


async def _sums(request: CompletionRequest) -> list[str]:
    return [turn(request.messages)] * request.n


async def _serve(server: ChatServer) -> None:
    app = web.Application(client_max_size=1 << 26)
    app.router.add_get("/counts", server.counts)
    app.router.add_get("/v1/models", server.models)
    app.router.add_post("/v1/chat/completions", server.chat)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Print the port and serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=("sums", "oracle"))
    parser.add_argument("--latency", type=float, default=0.0, help="seconds of every answer")
    parser.add_argument("--tasks", default="minipedia:train", help="what the oracle knows")
    parser.add_argument("--limit", type=int, help="only the first questions")
    parser.add_argument("--slips", type=float, default=0.1)
    asked = parser.parse_args()
    model = _sums if asked.model == "sums" else _oracle(asked.tasks, asked.limit, asked.slips)
    asyncio.run(_serve(ChatServer(model, asked.latency)))


if __name__ == "__main__":
    main()
