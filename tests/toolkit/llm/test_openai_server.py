import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import jinja2
import pytest
from aiohttp import web

from toolkit.contracts import ChatMessage, Completion, CompletionRequest
from toolkit.errors import InputError, ModelError
from toolkit.llm.openai_server import Endpoint, OpenAIServer

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}"
    "{% if not (loop.last and continue_final_message) %}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""The shape of Qwen2.5's chat template, with what a server does for continue_final_message."""


class Server:
    """A loopback server that keeps what it was asked and answers with `status` codes, then with a reply."""

    def __init__(self, statuses: list[int] | None = None, *, key: str | None = None, continues: bool = True) -> None:
        self.statuses, self.key, self.continues = list(statuses or []), key, continues
        self.bodies: list[dict[str, Any]] = []
        self.rendered: list[str] = []

    async def models(self, request: web.Request) -> web.Response:
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            return web.json_response({"error": "bad key"}, status=401)
        return web.json_response({"data": [{"id": "tiny"}]})

    async def chat(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        self.bodies.append(body)
        if self.statuses and (status := self.statuses.pop(0)) != 200:
            return web.json_response({"error": "busy"}, status=status)
        going_on = body.get("continue_final_message", False)
        if going_on and (not self.continues or body.get("add_generation_prompt", True)):
            return web.json_response({"error": "cannot continue"}, status=400)
        prompt = jinja2.Template(CHATML).render(
            messages=body["messages"],
            continue_final_message=going_on,
            add_generation_prompt=body.get("add_generation_prompt", True),
        )
        self.rendered.append(prompt)
        choices = [
            {"index": index, "message": {"content": f" reply {index}"}, "finish_reason": "stop"}
            for index in range(body["n"])
        ]
        return web.json_response({"choices": choices, "usage": {"prompt_tokens": 7, "completion_tokens": 3}})


def against(server: Server, use: Callable[[OpenAIServer], Awaitable[Any]], *, key: str | None = None) -> Any:
    async def run() -> Any:
        app = web.Application()
        app.router.add_get("/v1/models", server.models)
        app.router.add_post("/v1/chat/completions", server.chat)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        llm = OpenAIServer("tiny", Endpoint(f"http://127.0.0.1:{port}/v1", key))
        try:
            return await use(llm)
        finally:
            await llm.close()
            await runner.cleanup()

    return asyncio.run(run())


ASKED = CompletionRequest((ChatMessage("system", "Be brief."), ChatMessage("user", "Who?")), stop=("\n```\n",), seed=5)


def test_a_request_carries_sampling_and_stop_strings() -> None:
    server = Server()
    (completion,) = against(server, lambda llm: llm.complete(ASKED))
    assert completion == Completion(" reply 0", "stop", 7, 3)
    body = server.bodies[0]
    assert (body["stop"], body["include_stop_str_in_output"], body["seed"], body["n"]) == (["\n```\n"], True, 5, 1)
    assert "continue_final_message" not in body


def test_samples_come_in_one_request() -> None:
    server = Server()
    request = CompletionRequest(ASKED.messages, n=3)
    completions = against(server, lambda llm: llm.complete(request))
    assert [completion.text for completion in completions] == [" reply 0", " reply 1", " reply 2"]
    assert [completion.prompt_tokens for completion in completions] == [7, None, None]
    assert len(server.bodies) == 1


def test_a_prefix_is_continued_inside_the_assistant_turn() -> None:
    server = Server()
    request = CompletionRequest(ASKED.messages, prefix="Thought: First I need")
    against(server, lambda llm: llm.complete(request))
    body = server.bodies[0]
    assert (body["add_generation_prompt"], body["continue_final_message"]) == (False, True)
    assert server.rendered[0].endswith("<|im_start|>assistant\nThought: First I need")


@pytest.mark.parametrize("statuses", [[429, 200], [503, 500, 200]])
def test_what_may_pass_is_tried_again(statuses: list[int]) -> None:
    server = Server(statuses)
    (completion,) = against(server, lambda llm: llm.complete(ASKED))
    assert completion.text == " reply 0"
    assert len(server.bodies) == len(statuses)


def test_what_is_refused_is_not_tried_again() -> None:
    server = Server([400])
    with pytest.raises(ModelError, match="HTTP 400"):
        against(server, lambda llm: llm.complete(ASKED))
    assert len(server.bodies) == 1


def test_a_server_that_cannot_continue_is_named_before_anything_is_generated() -> None:
    server = Server(continues=False)
    with pytest.raises(InputError, match="does not continue an assistant prefix"):
        against(server, lambda llm: llm.prepare(prefix=True))
    against(Server(), lambda llm: llm.prepare(prefix=True))


def test_a_wrong_key_is_named() -> None:
    with pytest.raises(InputError, match="refused the API key"):
        against(Server(key="right"), lambda llm: llm.prepare(prefix=False), key="wrong")
    against(Server(key="right"), lambda llm: llm.prepare(prefix=False), key="right")


def test_an_unknown_model_is_answered_with_those_served() -> None:
    async def use(llm: OpenAIServer) -> None:
        llm.name = "huge"
        await llm.prepare(prefix=False)

    with pytest.raises(InputError, match="serves tiny, not huge"):
        against(Server(), use)


def test_a_server_that_is_not_there_is_named() -> None:
    async def ask() -> None:
        llm = OpenAIServer("tiny", Endpoint("http://127.0.0.1:9/v1"))
        try:
            await llm.prepare(prefix=False)
        finally:
            await llm.close()

    with pytest.raises(InputError, match=r"cannot reach http://127\.0\.0\.1:9/v1"):
        asyncio.run(ask())
