import asyncio
from dataclasses import replace

import pytest
from llm_contract import ASKED
from simulated_server import Manners, SimulatedServer

from toolkit.errors import InputError
from toolkit.llm.openai_server import Endpoint, OpenAIServer

SAYS = "the opposite"
PREFIX = "Thought: First I need"


def prepared(server: SimulatedServer, *, prefix: bool = True, logprobs: bool = False) -> str:
    """What the model was shown for a request with a prefix, after the server was looked at."""

    async def run() -> str:
        async with server.running() as url:
            llm = OpenAIServer("tiny", Endpoint(url), logprobs=logprobs)
            try:
                await llm.prepare(prefix=prefix)
                await llm.complete(replace(ASKED, prefix=PREFIX if prefix else None))
                return server.prompts[-1]
            finally:
                await llm.close()

    return asyncio.run(run())


@pytest.mark.parametrize(
    "manners",
    [
        Manners(),
        Manners(last_turn="refused"),
        Manners(last_turn="continued"),
        Manners(flags="ignored", last_turn="continued"),
        Manners(flags="refused", last_turn="continued"),
        Manners(flags="half", last_turn="continued"),
        Manners(flags="ignored", last_turn="continued", repeats_prefix=True),
        Manners(closing="</s>"),
        Manners(thought="<think>\n\n</think>\n\n"),
    ],
)
def test_the_way_that_continues_a_prefix_is_found(manners: Manners) -> None:
    shown = prepared(SimulatedServer(manners))
    assert shown.endswith(f"<|im_start|>assistant\n{manners.thought}{PREFIX}")


@pytest.mark.parametrize(
    "manners",
    [
        Manners(flags="ignored"),
        Manners(flags="refused"),
        Manners(flags="half"),
        Manners(flags="refused", last_turn="refused"),
        Manners(flags="ignored", last_turn="dropped"),
        Manners(flags="ignored", closing="#"),
        Manners(flags="half", closing="#"),
        Manners(flags="half", thought="<think>\n\n</think>\n\n"),
        Manners(flags="ignored", thought="<think>\n\n</think>\n\n"),
        Manners(flags="ignored", counts=False),
        Manners(flags="ignored", last_turn="dropped", counts=False),
        # Counts alone would not show that what was generated begins afresh.
        Manners(says="Paris is the capital"),
    ],
)
def test_a_server_that_does_not_continue_is_named_though_it_answers(manners: Manners) -> None:
    server = SimulatedServer(manners)
    with pytest.raises(
        InputError, match=r"127\.0\.0\.1:\d+/v1 does not continue an assistant prefix.*--ftp-mode instruct.*--no-ftp"
    ):
        prepared(server)


def test_without_counts_the_text_must_show_that_it_goes_on() -> None:
    with pytest.raises(InputError, match="no token counts, and the text does not go on"):
        prepared(SimulatedServer(Manners(counts=False)))
    shown = prepared(SimulatedServer(Manners(counts=False, says="is.")))
    assert shown.endswith(PREFIX)


def test_without_ftp_no_server_is_asked_to_continue() -> None:
    server = SimulatedServer(Manners(flags="refused", last_turn="refused"))
    prepared(server, prefix=False)
    assert all(body["messages"][-1]["role"] != "assistant" for body in server.bodies)


@pytest.mark.parametrize(
    "manners",
    [
        Manners(keeps_stop="refused", names_stop=False),
        Manners(keeps_stop="never", names_stop=False),
        Manners(keeps_stop="never", stops=False),
    ],
)
def test_no_stop_string_is_sent_to_a_server_that_would_swallow_it(manners: Manners) -> None:
    server = SimulatedServer(manners)

    async def run() -> str:
        async with server.running() as url:
            llm = OpenAIServer("tiny", Endpoint(url))
            try:
                await llm.prepare(prefix=False)
                (whole,) = await llm.complete(ASKED)
                stop = whole.text[3:5]
                (completion,) = await llm.complete(replace(ASKED, stop=(stop,)))
                assert completion.text == whole.text[: whole.text.index(stop) + 2]
                return completion.finish_reason
            finally:
                await llm.close()

    assert asyncio.run(run()) == "stop"
    assert "stop" not in server.bodies[-1]


def test_logprobs_that_a_server_does_not_give_are_missed_before_anything_is_spent() -> None:
    with pytest.raises(InputError, match="gives no logprobs; leave out --logprobs"):
        prepared(SimulatedServer(Manners(lists_tokens=False)), prefix=False, logprobs=True)


def test_a_wrong_key_is_named_and_never_shown() -> None:
    async def ask(key: str) -> None:
        async with SimulatedServer(key="right-key").running() as url:
            llm = OpenAIServer("tiny", Endpoint(url, key))
            try:
                await llm.prepare(prefix=False)
            finally:
                await llm.close()

    asyncio.run(ask("right-key"))
    with pytest.raises(InputError, match="refused the API key") as caught:
        asyncio.run(ask("wrong-key"))
    assert "wrong-key" not in str(caught.value)
    assert "***" in str(caught.value)


def test_an_unknown_model_is_answered_with_those_served() -> None:
    with pytest.raises(InputError, match=r"/v1 serves large, not tiny"):
        prepared(SimulatedServer(models=("large",)))


def test_a_gateway_without_a_list_of_models_is_asked_right_away() -> None:
    prepared(SimulatedServer(Manners(lists_models=False)))
    with pytest.raises(InputError, match="the model tiny does not exist"):
        prepared(SimulatedServer(Manners(lists_models=False), models=("large",)))


def test_every_endpoint_is_looked_at_and_keeps_its_own_ways() -> None:
    flags, bare = SimulatedServer(), SimulatedServer(Manners(flags="refused", last_turn="continued"))

    async def run(*servers: SimulatedServer) -> None:
        async with servers[0].running() as first, servers[1].running() as second:
            llm = OpenAIServer("tiny", [Endpoint(first), Endpoint(second)])
            try:
                await llm.prepare(prefix=True)
                for server in servers:
                    server.prompts.clear()
                await asyncio.gather(*(llm.complete(replace(ASKED, prefix=PREFIX)) for _ in range(4)))
            finally:
                await llm.close()

    asyncio.run(run(flags, bare))
    for server in (flags, bare):
        assert [prompt.endswith(PREFIX) for prompt in server.prompts] == [True, True]
    with pytest.raises(InputError, match="not tiny"):
        asyncio.run(run(SimulatedServer(), SimulatedServer(models=("large",))))
    with pytest.raises(InputError, match="does not continue"):
        asyncio.run(run(SimulatedServer(), SimulatedServer(Manners(flags="ignored"))))


def test_a_server_that_is_not_there_is_named_at_once() -> None:
    async def ask() -> None:
        llm = OpenAIServer("tiny", Endpoint("http://127.0.0.1:9/v1"))
        try:
            await llm.prepare(prefix=False)
        finally:
            await llm.close()

    with pytest.raises(InputError, match=r"cannot reach http://127\.0\.0\.1:9/v1.*is the server running"):
        asyncio.run(ask())
