import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from llm_contract import ASKED, CONTRACT, Check, Subject, name_of
from simulated_server import CONTEXT_TOKENS, LETTERS, Manners, SimulatedServer

from toolkit.llm.openai_server import Endpoint, OpenAIServer

NO_LOGPROBS = {
    "eight_samples_differ_and_state_the_prompt_once",
    "token_ids_are_those_of_the_text",
    "logprobs_stand_beside_the_tokens",
}
HOSTED = Manners(
    flags="ignored", last_turn="continued", keeps_stop="refused", names_stop=False, lists_tokens=False, max_tokens=False
)
LLAMA_CPP = Manners(flags="ignored", last_turn="continued", keeps_stop="never", names_stop=False, lists_tokens=False)


def against(
    server: SimulatedServer, use: Callable[[OpenAIServer], Awaitable[object]], *, logprobs: bool = False
) -> None:
    async def run() -> None:
        async with server.running() as url:
            llm = OpenAIServer("tiny", Endpoint(url), logprobs=logprobs)
            try:
                await use(llm)
            finally:
                await llm.close()

    asyncio.run(run())


def meets(check: Check, manners: Manners, *, logprobs: bool) -> None:
    async def run() -> None:
        async with SimulatedServer(manners).running() as url:
            models = [OpenAIServer(name, Endpoint(url), logprobs=logprobs) for name in ("tiny", "tiny-adapted")]
            try:
                for llm in models:
                    await llm.prepare(prefix=True)
                await check(Subject(*models, lambda ids: "".join(LETTERS[i] for i in ids), CONTEXT_TOKENS))
            finally:
                for llm in models:
                    await llm.close()

    asyncio.run(run())


@pytest.mark.parametrize("check", CONTRACT, ids=name_of)
def test_a_server_like_vllm_meets_the_contract(check: Check) -> None:
    meets(check, Manners(), logprobs=True)


@pytest.mark.parametrize("manners", [HOSTED, LLAMA_CPP, replace(LLAMA_CPP, repeats_prefix=True)], ids=["a", "b", "c"])
@pytest.mark.parametrize("check", [c for c in CONTRACT if name_of(c) not in NO_LOGPROBS], ids=name_of)
def test_other_servers_meet_what_does_not_need_listed_tokens(check: Check, manners: Manners) -> None:
    meets(check, manners, logprobs=False)


@pytest.mark.parametrize("check", CONTRACT, ids=name_of)
def test_a_server_that_drops_stop_strings_but_names_them_meets_the_contract(check: Check) -> None:
    meets(check, Manners(keeps_stop="never"), logprobs=True)


def test_logprobs_and_token_ids_are_not_asked_for_unless_wanted() -> None:
    server = SimulatedServer()

    async def use(llm: OpenAIServer) -> None:
        await llm.prepare(prefix=False)
        server.bodies.clear()
        (completion,) = await llm.complete(ASKED)
        assert completion.logprobs is completion.token_ids is None

    against(server, use)
    assert not {"logprobs", "return_token_ids"} & set(server.bodies[0])


def test_a_server_that_gives_fewer_samples_than_asked_gets_away_with_it() -> None:
    async def use(llm: OpenAIServer) -> None:
        found = await llm.complete(replace(ASKED, n=8, temperature=1.0))
        assert len(found) == 2

    against(SimulatedServer(Manners(most_samples=2)), use)


def test_samples_of_a_server_that_only_counts_in_total_are_not_counted() -> None:
    async def use(llm: OpenAIServer) -> None:
        await llm.prepare(prefix=False)
        found = await llm.complete(replace(ASKED, n=2, temperature=1.0))
        assert [completion.completion_tokens for completion in found] == [None, None]
        (single,) = await llm.complete(ASKED)
        assert single.completion_tokens == len(single.text)

    against(SimulatedServer(Manners(lists_tokens=False)), use)


def test_nothing_is_sent_that_the_contract_does_not_need() -> None:
    server = SimulatedServer()
    against(server, lambda llm: llm.complete(ASKED))
    assert set(server.bodies[0]) == {"model", "messages", "n", "temperature", "top_p", "max_tokens"}
