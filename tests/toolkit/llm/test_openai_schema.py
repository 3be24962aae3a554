"""Answers that keep to a JSON schema: how a server does it is found out before anything is asked."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from llm_contract import ASKED
from simulated_server import Manners, SimulatedServer

from toolkit.contracts import Completion
from toolkit.errors import InputError
from toolkit.llm.openai_server import Endpoint, OpenAIServer

SCHEMA = {
    "type": "object",
    "properties": {"reason": {"type": "string", "maxLength": 50}, "verdict": {"type": "string", "enum": ["yes", "no"]}},
    "required": ["reason", "verdict"],
    "additionalProperties": False,
}


def asked(server: SimulatedServer) -> tuple[Completion, dict[str, Any]]:
    """The answer to a request under the schema, and what the server was sent for it."""

    async def run() -> tuple[Completion, dict[str, Any]]:
        async with server.running() as url:
            llm = OpenAIServer("tiny", Endpoint(url), schema=SCHEMA)
            try:
                await llm.prepare(prefix=False)
                return (await llm.complete(replace(ASKED, max_tokens=200)))[0], server.bodies[-1]
            finally:
                await llm.close()

    return asyncio.run(run())


def test_a_server_that_does_as_openai_does_is_sent_the_whole_schema() -> None:
    completion, body = asked(SimulatedServer())
    assert json.loads(completion.text)["verdict"] in ("yes", "no")
    assert body["response_format"]["type"] == "json_schema"
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA
    assert body["response_format"]["json_schema"]["strict"] is True


def test_a_server_that_refuses_limits_is_sent_the_schema_without_them() -> None:
    completion, body = asked(SimulatedServer(Manners(text_limits=False)))
    assert json.loads(completion.text)["verdict"] in ("yes", "no")
    sent = body["response_format"]["json_schema"]["schema"]
    assert sent["properties"] == {"reason": {"type": "string"}, "verdict": SCHEMA["properties"]["verdict"]}  # type: ignore[index]


def test_a_server_that_ignores_one_way_and_knows_the_other_is_asked_in_the_other() -> None:
    completion, body = asked(SimulatedServer(Manners(schemas="json_object")))
    assert json.loads(completion.text)["verdict"] in ("yes", "no")
    assert body["response_format"] == {"type": "json_object", "schema": SCHEMA}


@pytest.mark.parametrize(
    ("manners", "finding"),
    [
        (Manners(schemas="ignored"), "json_schema: ignored, it wrote"),
        # Valid JSON, but not what the schema asks for.
        (Manners(schemas="ignored", says='{"answer": "Paris"}'), "json_object: ignored, it wrote"),
        (Manners(schemas="refused"), "unrecognized request argument supplied: response_format"),
    ],
)
def test_a_server_that_does_not_keep_to_a_schema_is_named_before_anything_is_asked(
    manners: Manners, finding: str
) -> None:
    server = SimulatedServer(manners)
    with pytest.raises(InputError, match="does not keep to a JSON schema") as caught:
        asked(server)
    assert finding in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
    assert all(body["messages"][0]["content"] != ASKED.messages[0].content for body in server.bodies)


def test_without_a_schema_none_is_sent_or_tried() -> None:
    server = SimulatedServer(Manners(schemas="refused"))

    async def run() -> None:
        async with server.running() as url:
            llm = OpenAIServer("tiny", Endpoint(url))
            await llm.prepare(prefix=False)
            await llm.complete(ASKED)
            await llm.close()

    asyncio.run(run())
    assert not any("response_format" in body for body in server.bodies)
