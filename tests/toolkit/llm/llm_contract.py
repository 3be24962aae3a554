"""What every `LLM` must do, as checks that run against a real server, a simulated one and models in process.

Each takes a `Subject`: the model, the same with an adapter, and what is known of its tokens. The tiny
models of these tests write one character a token, so that counts can be compared with texts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from toolkit.contracts import LLM, ChatMessage, Completion, CompletionRequest
from toolkit.errors import ModelError

ASKED = CompletionRequest(
    (ChatMessage("system", "be brief"), ChatMessage("user", "who founded the town of suna?")), max_tokens=24
)


@dataclass(frozen=True)
class Subject:
    """A prepared model; `llm` was told to record logprobs."""

    llm: LLM
    adapted: LLM
    decode: Callable[[tuple[int, ...]], str]
    """Text of token ids, special tokens left out."""
    context_tokens: int


async def one(llm: LLM, request: CompletionRequest) -> Completion:
    (completion,) = await llm.complete(request)
    return completion


async def greedy_answers_are_equal(subject: Subject) -> None:
    first, second = await one(subject.llm, ASKED), await one(subject.llm, ASKED)
    assert first.text == second.text
    assert len(first.text) == 24


async def eight_samples_differ_and_state_the_prompt_once(subject: Subject) -> None:
    found = await subject.llm.complete(replace(ASKED, n=8, temperature=1.0, seed=3))
    assert len(found) == 8
    assert len({completion.text for completion in found}) > 1
    assert found[0].prompt_tokens
    assert [completion.prompt_tokens for completion in found[1:]] == [None] * 7
    assert [completion.completion_tokens for completion in found] == [len(completion.text) for completion in found]


async def eight_greedy_samples_are_the_greedy_answer(subject: Subject) -> None:
    found = await subject.llm.complete(replace(ASKED, n=8))
    assert len(found) == 8
    assert {completion.text for completion in found} == {(await one(subject.llm, ASKED)).text}
    assert [completion.completion_tokens for completion in found] == [24] + [0] * 7


async def a_stop_string_ends_the_text_and_stays_in_it(subject: Subject) -> None:
    whole = (await one(subject.llm, ASKED)).text
    stop = whole[5:8]
    found = await one(subject.llm, replace(ASKED, stop=("never written", stop)))
    assert found.text == whole[: whole.index(stop) + len(stop)]
    assert found.finish_reason == "stop"


async def the_token_limit_ends_the_text(subject: Subject) -> None:
    whole = await one(subject.llm, ASKED)
    found = await one(subject.llm, replace(ASKED, max_tokens=7))
    assert (found.text, found.finish_reason, found.completion_tokens) == (whole.text[:7], "length", 7)


async def a_prefix_is_continued_and_not_repeated(subject: Subject) -> None:
    whole = await one(subject.llm, ASKED)
    assert whole.prompt_tokens
    for cut in (1, 6, 15):
        found = await one(subject.llm, replace(ASKED, prefix=whole.text[:cut], max_tokens=24 - cut))
        assert found.text == whole.text[cut:]
        assert found.prompt_tokens == whole.prompt_tokens + cut


async def seeds_decide_samples_whatever_else_is_in_flight(subject: Subject) -> None:
    request = replace(ASKED, temperature=1.0, top_p=0.9, seed=11)
    alone = await one(subject.llm, request)
    others = [
        replace(ASKED, temperature=1.0, seed=100 + number, messages=(ChatMessage("user", "x" * 9 * number),))
        for number in range(1, 8)
    ]
    among, *rest = await asyncio.gather(*(one(subject.llm, asked) for asked in [request, *others]))
    assert among.text == alone.text
    assert (await one(subject.llm, replace(request, seed=12))).text != alone.text


async def token_ids_are_those_of_the_text(subject: Subject) -> None:
    for request in (ASKED, replace(ASKED, prefix="thought: "), replace(ASKED, n=3, temperature=1.0, seed=1)):
        for found in await subject.llm.complete(request):
            assert found.token_ids is not None
            assert subject.decode(found.token_ids) == found.text
            assert found.completion_tokens == len(found.token_ids)


async def logprobs_stand_beside_the_tokens(subject: Subject) -> None:
    found = await one(subject.llm, ASKED)
    assert found.logprobs is not None
    assert len(found.logprobs) == found.completion_tokens
    assert all(-50 < value <= 0 for value in found.logprobs)


async def an_adapter_changes_the_answers(subject: Subject) -> None:
    assert (await one(subject.adapted, ASKED)).text != (await one(subject.llm, ASKED)).text
    assert subject.adapted.identity != subject.llm.identity
    assert subject.adapted.name != subject.llm.name


async def a_prompt_that_does_not_fit_is_an_error_of_that_request(subject: Subject) -> None:
    long = CompletionRequest((ChatMessage("user", "x" * (subject.context_tokens + 1)),), max_tokens=5)
    fits, refused = await asyncio.gather(one(subject.llm, ASKED), one(subject.llm, long), return_exceptions=True)
    assert isinstance(fits, Completion)
    assert isinstance(refused, ModelError), refused
    assert str(subject.context_tokens) in str(refused)


Check = Callable[[Subject], Awaitable[None]]

CONTRACT: tuple[Check, ...] = (
    greedy_answers_are_equal,
    eight_samples_differ_and_state_the_prompt_once,
    eight_greedy_samples_are_the_greedy_answer,
    a_stop_string_ends_the_text_and_stays_in_it,
    the_token_limit_ends_the_text,
    a_prefix_is_continued_and_not_repeated,
    seeds_decide_samples_whatever_else_is_in_flight,
    token_ids_are_those_of_the_text,
    logprobs_stand_beside_the_tokens,
    an_adapter_changes_the_answers,
    a_prompt_that_does_not_fit_is_an_error_of_that_request,
)


def name_of(check: Check) -> str:
    """The claim."""
    return getattr(check, "__name__", str(check))
