import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from llm_contract import ASKED
from simulated_server import Fault, Manners, SimulatedServer, answers, breaks_off, hangs, hangs_up, says

from toolkit.contracts import Completion
from toolkit.errors import InputError, ModelError
from toolkit.llm.openai_server import Endpoint, OpenAIServer
from toolkit.llm.openai_server.calls import Failure, Misconfigured, classify
from toolkit.llm.openai_server.payload import Ways, read_answer
from toolkit.llm.openai_server.pool import FIRST_COOLING_S, Pool


def complete(
    servers: SimulatedServer | Sequence[SimulatedServer],
    *,
    requests: int = 1,
    timeout_s: float = 600.0,
    max_tries: int = 8,
    deadline_s: float = 1800.0,
    limits: Sequence[int | None] = (None, None),
    weights: Sequence[float] = (1.0, 1.0),
) -> list[list[Completion] | BaseException]:
    places = [servers] if isinstance(servers, SimulatedServer) else servers

    async def run() -> list[list[Completion] | BaseException]:
        running = [server.running() for server in places]
        urls = [await server.__aenter__() for server in running]
        endpoints = [
            Endpoint(url, timeout_s=timeout_s, in_flight=limit, weight=weight)
            for url, limit, weight in zip(urls, limits, weights, strict=False)
        ]
        llm = OpenAIServer("tiny", endpoints, max_tries=max_tries, deadline_s=deadline_s, first_pause_s=0.01)
        try:
            return await asyncio.gather(*(llm.complete(ASKED) for _ in range(requests)), return_exceptions=True)
        finally:
            await llm.close()
            for server in running:
                await server.__aexit__(None, None, None)

    return asyncio.run(run())


PASSING: dict[str, Fault] = {
    "busy": answers(429),
    "overloaded": answers(503),
    "broken behind a gateway": answers(502),
    "reported with HTTP 200": says(b'{"error": {"message": "upstream is gone", "code": 502}}'),
    "unnumbered with HTTP 200": says(b'{"error": {"message": "upstream is gone"}}'),
    "half a body": breaks_off,
    "hung up": hangs_up,
    "no JSON": says(b"<html>busy</html>"),
    "no object": says(b"[]"),
    "no choices": says(b'{"choices": []}'),
    "no list": says(b'{"choices": null}'),
    "no message": says(b'{"choices": [{"index": 0}]}'),
    "aborted": says(b'{"choices": [{"message": {"content": ""}, "finish_reason": "abort"}]}'),
    "empty": says(b""),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_what_may_pass_is_tried_again(fault: Fault) -> None:
    server = SimulatedServer(faults=[fault, fault])
    (found,) = complete(server)
    assert isinstance(found, list), found
    assert len(found[0].text) == ASKED.max_tokens
    assert len(server.bodies) == 3
    assert server.bodies[0] == server.bodies[2]


def test_an_answer_that_does_not_come_in_time_is_asked_for_again() -> None:
    server = SimulatedServer(faults=[hangs])
    (found,) = complete(server, timeout_s=0.3)
    assert isinstance(found, list)
    assert len(server.bodies) == 2


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_what_does_not_pass_ends_in_one_error_with_place_and_tries(fault: Fault) -> None:
    server = SimulatedServer(faults=[fault] * 9)
    (found,) = complete(server, max_tries=3)
    assert isinstance(found, ModelError)
    assert "no answer after 3 tries" in str(found)
    assert "127.0.0.1" in str(found)
    assert len(server.bodies) == 3


@pytest.mark.parametrize("status", [400, 403, 413, 422])
def test_a_refused_request_is_not_tried_again_and_is_an_error_of_its_own(status: int) -> None:
    server = SimulatedServer(faults=[answers(status, "too long")])
    (found,) = complete(server)
    assert isinstance(found, ModelError)
    assert f"HTTP {status}" in str(found)
    assert "too long" in str(found)
    assert len(server.bodies) == 1


def test_a_withheld_sample_is_a_refusal() -> None:
    withheld = b'{"choices": [{"message": {"content": null}, "finish_reason": "content_filter"}]}'
    (found,) = complete(SimulatedServer(faults=[says(withheld)]))
    assert isinstance(found, ModelError)
    assert "content_filter" in str(found)


@pytest.mark.parametrize(
    "fault", [answers(401), answers(402), answers(404), answers(429, "insufficient_quota"), answers(307)]
)
def test_what_no_request_will_get_past_stops_the_run(fault: Fault) -> None:
    (found,) = complete(SimulatedServer(faults=[fault]))
    assert isinstance(found, InputError)


def test_retry_after_is_honoured_in_seconds_and_as_a_date() -> None:
    in_seconds = SimulatedServer(faults=[answers(429, retry_after="1")])
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=3), usegmt=True)
    as_date = SimulatedServer(faults=[answers(503, retry_after=then)])
    # A limit below what the server asks for shows that it is waited for: there is no time for a second try.
    for server, deadline_s in ((in_seconds, 0.9), (as_date, 1.0)):
        (found,) = complete(server, deadline_s=deadline_s)
        assert isinstance(found, ModelError)
        assert "no answer after 1 try" in str(found)
        assert len(server.bodies) == 1
    (found,) = complete(SimulatedServer(faults=[answers(429, retry_after="1")]), deadline_s=60)
    assert isinstance(found, list)
    (found,) = complete(SimulatedServer(faults=[answers(429, retry_after="soon")]), deadline_s=0.9)
    assert isinstance(found, list)


def test_a_cooling_endpoint_holds_all_its_requests_back() -> None:
    server = SimulatedServer(faults=[answers(429, retry_after="600")])
    found = complete([server, SimulatedServer()], requests=8, weights=(100.0, 1.0), limits=(1, None))
    assert all(isinstance(one, list) for one in found)
    assert len(server.bodies) == 1


def test_a_failed_request_goes_to_another_endpoint() -> None:
    broken, whole = SimulatedServer(faults=[answers(500)] * 99), SimulatedServer()
    (found,) = complete([broken, whole], weights=(5.0, 1.0))
    assert isinstance(found, list)
    assert (len(broken.bodies), len(whole.bodies)) == (1, 1)


def test_an_endpoint_that_keeps_failing_is_left_alone() -> None:
    broken, whole = SimulatedServer(faults=[answers(500)] * 999), SimulatedServer(delay_s=0.01)
    found = complete([broken, whole], requests=100, limits=(4, 4))
    assert all(isinstance(one, list) for one in found)
    assert len(broken.bodies) < 20


def test_many_failures_at_once_are_one_reason_to_cool_down() -> None:
    async def run() -> None:
        pool = Pool([Endpoint("http://127.0.0.1:9/v1")])
        taken = [await pool.take() for _ in range(200)]
        before = asyncio.get_running_loop().time()
        for slot in taken:
            pool.give_back(slot, Failure("broken"))
        assert 0 < pool.ready_at() - before <= FIRST_COOLING_S

    asyncio.run(run())


def test_limits_and_weights_of_endpoints_hold() -> None:
    small, large = SimulatedServer(delay_s=0.02), SimulatedServer(delay_s=0.02)
    found = complete([small, large], requests=60, limits=(2, 20), weights=(1.0, 3.0))
    assert all(isinstance(one, list) for one in found)
    assert small.most_in_flight == 2
    assert large.most_in_flight <= 20
    assert len(small.bodies) + len(large.bodies) == 60
    even, heavy = SimulatedServer(delay_s=0.05), SimulatedServer(delay_s=0.05)
    complete([even, heavy], requests=40, weights=(1.0, 3.0))
    assert 2 <= len(heavy.bodies) / len(even.bodies) <= 4


def test_a_cancelled_request_gives_its_place_back() -> None:
    async def run() -> None:
        server = SimulatedServer(faults=[hangs])
        async with server.running() as url:
            llm = OpenAIServer("tiny", Endpoint(url, in_flight=1))
            try:
                first = asyncio.create_task(llm.complete(ASKED))
                waiting = asyncio.create_task(llm.complete(ASKED))
                while not server.bodies:
                    await asyncio.sleep(0.01)
                first.cancel()
                assert len(await waiting) == 1
            finally:
                await llm.close()

    asyncio.run(run())


def test_a_key_that_the_server_repeats_is_not_shown() -> None:
    endpoint = Endpoint("http://h/v1", "sk-secret")
    for status in (400, 401, 500):
        error = classify(endpoint, status, b'{"error": "key sk-secret is bad"}')
        assert "sk-secret" not in str(error)
    assert isinstance(classify(endpoint, 529, b"overloaded"), Failure)
    assert isinstance(classify(endpoint, 501, b""), Misconfigured)
    assert "sk-secret" not in repr(endpoint)


def test_samples_that_were_withheld_are_left_out_of_those_that_came() -> None:
    content = (
        b'{"choices": [{"message": {"content": ""}, "finish_reason": "content_filter"},'
        b' {"message": {"content": "fine"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3}}'
    )

    async def run() -> list[Completion]:
        async with SimulatedServer(Manners(), faults=[says(content)]).running() as url:
            llm = OpenAIServer("tiny", Endpoint(url))
            try:
                return await llm.complete(replace(ASKED, n=2, temperature=1.0))
            finally:
                await llm.close()

    (found,) = asyncio.run(run())
    assert (found.text, found.prompt_tokens) == ("fine", 3)


def test_a_total_that_is_counted_over_all_samples_is_kept() -> None:
    choice = b'{"index": %d, "message": {"content": "x"}, "finish_reason": "stop"}'
    body = b'{"choices": [%s, %s], "usage": {"prompt_tokens": 9, "completion_tokens": 7}}' % (choice % 0, choice % 1)
    server = SimulatedServer(faults=[says(body)])

    async def run() -> list[Completion]:
        async with server.running() as url:
            llm = OpenAIServer("tiny", [Endpoint(url)])
            try:
                return await llm.complete(replace(ASKED, n=2, temperature=1.0))
            finally:
                await llm.close()

    first, second = asyncio.run(run())
    assert (first.prompt_tokens, first.completion_tokens, first.sampled_tokens) == (9, None, 7)
    assert (second.completion_tokens, second.sampled_tokens) == (None, None)


@pytest.mark.parametrize("count", ["-1", "18446744073709551615", "true", '"9"', "2147483648"])
def test_a_count_of_tokens_that_cannot_be_is_no_count(count: str) -> None:
    answer: dict[str, Any] = {
        "choices": [{"message": {"content": "x"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": json.loads(count), "completion_tokens": json.loads(count)},
    }
    (found,) = read_answer(answer, ASKED, Ways(), logprobs=False)
    assert (found.prompt_tokens, found.completion_tokens) == (None, None)


@pytest.mark.parametrize("token", [-1, 1 << 31, "x", 1.5])
def test_token_ids_that_cannot_be_make_an_answer_unusable(token: object) -> None:
    answer: dict[str, Any] = {"choices": [{"message": {"content": "x"}, "finish_reason": "stop", "token_ids": [token]}]}
    with pytest.raises(Failure, match="token ids"):
        read_answer(answer, ASKED, Ways(), logprobs=True)
