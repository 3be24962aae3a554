"""A server that gives fewer samples than asked is asked again."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
from aiohttp import web

from toolkit.agent.samples import Samples, draw
from toolkit.contracts import ChatMessage, Completion, CompletionRequest
from toolkit.errors import ModelError
from toolkit.llm.openai_server import Endpoint, OpenAIServer
from toolkit.llm.scripted import ScriptedLLM

ASKED = CompletionRequest((ChatMessage("user", "Who?"),), n=8, temperature=0.4, seed=5)


class Stingy:
    """A loopback server that gives at most `at_once` samples, named by the request's seed, and refuses some seeds."""

    def __init__(self, at_once: int, refuses_after: int = 100) -> None:
        self.at_once, self.refuses_after = at_once, refuses_after
        self.bodies: list[dict[str, Any]] = []

    async def chat(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        self.bodies.append(body)
        if len(self.bodies) > self.refuses_after:
            return web.json_response({"error": "no more"}, status=400)
        texts = [f"{body.get('seed')}/{index}" for index in range(min(self.at_once, body["n"]))]
        choices = [{"index": index, "message": {"content": text}} for index, text in enumerate(texts)]
        usage = {"prompt_tokens": 7, "completion_tokens": 3 * len(texts)}
        return web.json_response({"choices": choices, "usage": usage})

    def draw(self, request: CompletionRequest) -> Samples:
        return asyncio.run(self._draw(request))

    async def _draw(self, request: CompletionRequest) -> Samples:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.chat)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        llm = OpenAIServer("tiny", Endpoint(f"http://127.0.0.1:{runner.addresses[0][1]}/v1"))
        try:
            return await draw(llm, request)
        finally:
            await llm.close()
            await runner.cleanup()


def test_one_request_is_enough_where_the_server_can() -> None:
    server = Stingy(8)
    samples = server.draw(ASKED)
    assert [body["n"] for body in server.bodies] == [8]
    assert [completion.text for completion in samples.completions] == [f"5/{index}" for index in range(8)]
    assert (samples.prompt_tokens, samples.completion_tokens) == (7, 24)


@pytest.mark.parametrize(("at_once", "asked"), [(1, [8] + [1] * 7), (3, [8, 3, 2])])
def test_what_is_missing_is_asked_for_with_other_seeds(at_once: int, asked: list[int]) -> None:
    server = Stingy(at_once)
    samples = server.draw(ASKED)
    assert Counter(body["n"] for body in server.bodies) == Counter(asked)
    seeds = [body["seed"] for body in server.bodies]
    assert len(set(seeds)) == len(asked)
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert len({completion.text for completion in samples.completions}) == 8
    assert (samples.prompt_tokens, samples.completion_tokens) == (7 * len(asked), 24)


def test_further_samples_are_the_same_every_time() -> None:
    first, second = Stingy(1).draw(ASKED), Stingy(1).draw(ASKED)
    assert first.completions == second.completions


def test_without_a_seed_none_is_made_up() -> None:
    server = Stingy(3)
    server.draw(CompletionRequest(ASKED.messages, n=4))
    assert all("seed" not in body for body in server.bodies)


def test_a_further_request_that_is_refused_is_a_model_error() -> None:
    with pytest.raises(ModelError, match="HTTP 400"):
        Stingy(3, refuses_after=1).draw(ASKED)


def test_what_others_were_answered_is_waited_for_when_one_is_refused() -> None:
    ended: list[int] = []

    class Halting(ScriptedLLM):
        async def complete(self, request: CompletionRequest) -> list[Completion]:
            first = not ended
            ended.append(0)
            if len(ended) == 2:
                raise ModelError("refused")
            if not first:
                await asyncio.sleep(0.05)
                ended.append(1)
            return [Completion("x")]

    with pytest.raises(ModelError, match="refused"):
        asyncio.run(draw(Halting([]), CompletionRequest(ASKED.messages, n=4)))
    assert ended.count(1) == 2


def test_tokens_that_nobody_counted_are_not_made_up() -> None:
    samples = asyncio.run(draw(ScriptedLLM(["a", "b"]), CompletionRequest(ASKED.messages, n=2)))
    assert (samples.prompt_tokens, samples.completion_tokens) == (None, None)
