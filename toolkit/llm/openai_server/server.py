"""One model at one or several endpoints.

A thin aiohttp client: at 256 requests in flight the OpenAI package spends eight times the CPU
(FACTS). What may pass is tried again, elsewhere if there is another endpoint, after a pause drawn
from zero to a growing limit, until the tries or the time are used up.
Invariants: every endpoint was seen to serve the model and to do what the run needs before the run
starts; a request is answered in full or ends in one error. Not covered: streaming, spending limits.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from toolkit.contracts import Completion, CompletionRequest, Identity
from toolkit.errors import InputError, ModelError, ModelTimeoutError
from toolkit.llm.openai_server.calls import Caller, Failure, Misconfigured, Refusal
from toolkit.llm.openai_server.endpoints import Endpoint
from toolkit.llm.openai_server.payload import Ways, read_answer, write_request
from toolkit.llm.openai_server.pool import Pool, Slot
from toolkit.llm.openai_server.probe import Probe
from toolkit.llm.samples import asks_for_copies, copies

CHAT = "chat/completions"
MAX_TRIES = 8
DEADLINE_S = 1800.0
"""For one request with all its tries and pauses, from the first try on."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
PROBE_TRIES = 3
PROBE_S = 120.0
"""For one call while looking around; a server may still be warming up."""


class OpenAIServer:
    """`model`, as its `endpoints` name it; with `logprobs` these are recorded, and token ids where a server has them.

    With `schema`, a JSON Schema, every answer keeps to it.

    Raises:
        InputError: there is no endpoint.
    """

    def __init__(
        self,
        model: str,
        endpoints: Endpoint | Sequence[Endpoint],
        *,
        logprobs: bool = False,
        schema: Mapping[str, Any] | None = None,
        max_tries: int = MAX_TRIES,
        deadline_s: float = DEADLINE_S,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        self.name = model
        places = [endpoints] if isinstance(endpoints, Endpoint) else list(endpoints)
        if not places:
            raise InputError(f"no endpoint is named for the model {model}")
        self._logprobs = logprobs
        self._schema = schema
        self._max_tries = max_tries
        self._deadline_s = deadline_s
        self._first_pause_s = first_pause_s
        self._pool = Pool(places)
        self._ways: dict[Slot, Ways] = {slot: Ways() for slot in self._pool.slots}
        self._caller = Caller()
        # Pauses only: which rollouts exist and what they say never depends on it.
        self._jitter = random.Random()

    @property
    def identity(self) -> Identity:
        """The model's name; where it is served does not matter."""
        return {"model": self.name}

    async def prepare(self, *, prefix: bool) -> None:
        """Look at every endpoint: does it serve the model, and how does it do what is needed?

        Raises:
            InputError: one is unreachable, refuses, does not serve the model, or cannot do what is needed.
        """
        # All are looked at before the first error is raised, so that no call is left running.
        found = await asyncio.gather(
            *map(self._look_at, self._pool.slots, [prefix] * len(self._ways)), return_exceptions=True
        )
        for outcome in found:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _look_at(self, slot: Slot, prefix: bool) -> None:
        endpoint = slot.endpoint

        async def ask(body: dict[str, Any]) -> dict[str, Any]:
            return await self._patiently(endpoint, CHAT, body)

        try:
            await self._check_listed(endpoint)
            self._ways[slot] = await Probe(ask, self.name).find_ways(
                prefix=prefix, logprobs=self._logprobs, schema=self._schema is not None
            )
        except Misconfigured:
            raise
        except (Failure, Refusal) as error:
            where = "" if endpoint.url in str(error) else f"{endpoint.url}: "
            raise InputError(f"{where}{error}") from error
        except InputError as error:
            raise InputError(f"{endpoint.url} {error}") from error

    async def _check_listed(self, endpoint: Endpoint) -> None:
        """Refuse an endpoint whose list lacks the model; one without a list is asked for a completion right away."""
        try:
            listed = await self._patiently(endpoint, "models", None)
        except Misconfigured as error:
            if "HTTP 404" in str(error) or "HTTP 405" in str(error):
                return
            raise
        entries = listed.get("data")
        names = (
            [str(entry.get("id")) for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
        )
        if self.name not in names:
            raise InputError(f"serves {', '.join(names) or 'no models'}, not {self.name}")

    async def _patiently(self, endpoint: Endpoint, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        """One call while looking around: a server that is busy gets a moment, one that is not there does not."""
        for attempt in range(1, PROBE_TRIES + 1):
            try:
                return await self._caller.call(endpoint, path, body, timeout_s=PROBE_S)
            except Failure as error:
                if attempt == PROBE_TRIES or error.not_there:
                    raise
                await asyncio.sleep(min(error.retry_after_s or self._first_pause_s, LONGEST_PAUSE_S))
        raise AssertionError("the last try returns or raises")

    async def complete(self, request: CompletionRequest) -> list[Completion]:
        """Up to `request.n` samples, at least one: servers may give fewer in one answer.

        Raises:
            ModelError: refused, or no answer after all tries; with the endpoint that was asked last. It is a
                ModelTimeoutError if the last try took too long.
            InputError: nothing can be answered any more: the key was revoked, the model is gone, the credit is spent.
        """
        if asks_for_copies(request):
            return copies((await self.complete(replace(request, n=1)))[0], request.n)
        slot = await self._pool.take()
        clock = asyncio.get_running_loop().time
        started = clock()
        tries = 0
        while True:
            tries += 1
            try:
                return await self._try(slot, request, started + self._deadline_s - clock())
            except Refusal as error:
                raise ModelError(str(error)) from error
            except Failure as error:
                pause_s = self._jitter.random() * min(LONGEST_PAUSE_S, self._first_pause_s * 2 ** (tries - 1))
                again_at = max(clock() + pause_s, self._pool.ready_at())
                if tries == self._max_tries or again_at > started + self._deadline_s:
                    asked = f"{tries} {'try' if tries == 1 else 'tries'} in {clock() - started:.0f} s"
                    kind = ModelTimeoutError if error.late else ModelError
                    raise kind(f"no answer after {asked}, the last: {error}") from error
            await asyncio.sleep(pause_s)
            slot = await self._pool.take(avoid=slot)

    async def _try(self, slot: Slot, request: CompletionRequest, timeout_s: float) -> list[Completion]:
        ways, failure = self._ways[slot], None
        body = write_request(self.name, request, ways, logprobs=self._logprobs, schema=self._schema)
        try:
            answer = await self._caller.call(slot.endpoint, CHAT, body, timeout_s=max(timeout_s, 1.0))
            try:
                return read_answer(answer, request, ways, logprobs=self._logprobs)
            except (Failure, Refusal) as error:
                raise type(error)(f"{slot.endpoint.url}: {error}") from error
        except Failure as error:
            failure = error
            raise
        finally:
            self._pool.give_back(slot, failure)

    async def close(self) -> None:
        """Close the connections."""
        await self._caller.close()
