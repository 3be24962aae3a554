"""Which endpoint the next request goes to.

The one with the fewest requests in flight for its weight, of those that have room and are not
cooling down; requests that find none wait in the order in which they came. An endpoint cools
down when it says so (`Retry-After`), when it cannot be reached, and after three failures in a
row, each time longer: without that, a broken endpoint that fails fast would look idle and draw
all requests. Invariant: what was taken is given back, whatever became of the request.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from toolkit.llm.openai_server.calls import Failure
from toolkit.llm.openai_server.endpoints import Endpoint

FAILURES_IN_A_ROW = 3
FIRST_COOLING_S = 1.0
LONGEST_COOLING_S = 60.0


@dataclass(slots=True, eq=False)
class Slot:
    """An endpoint and how it fares."""

    endpoint: Endpoint
    in_flight: int = 0
    failures: int = 0
    """In a row, those while it cools down not counted."""
    coolings: int = 0
    """In a row."""
    cooling_until: float = 0.0
    """On the event loop's clock."""

    @property
    def has_room(self) -> bool:
        """Whether its own limit lets one more request in."""
        return self.endpoint.in_flight is None or self.in_flight < self.endpoint.in_flight

    @property
    def load(self) -> float:
        """Requests in flight for its weight, as they would be with one more."""
        return (self.in_flight + 1) / self.endpoint.weight


class Pool:
    """The endpoints of one model."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self.slots = [Slot(endpoint) for endpoint in endpoints]
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        # Pauses only: which rollouts exist and what they say never depends on it.
        self._jitter = random.Random()

    async def take(self, avoid: Slot | None = None) -> Slot:
        """Room for one request, at another endpoint than `avoid` if one is ready; waits until there is some."""
        async with self._turn:
            while True:
                now = asyncio.get_running_loop().time()
                open_slots = [slot for slot in self.slots if slot.has_room]
                ready = [slot for slot in open_slots if slot.cooling_until <= now]
                if ready:
                    chosen = min(ready, key=lambda slot: (slot is avoid, slot.load))
                    chosen.in_flight += 1
                    return chosen
                self._changed.clear()
                # None ready and some open: the open ones are cooling. None open: one must be given back first.
                wait_s = min((slot.cooling_until - now for slot in open_slots), default=None)
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._changed.wait()

    def ready_at(self) -> float:
        """When the first endpoint has cooled down, on the event loop's clock; in the past if one has."""
        return min(slot.cooling_until for slot in self.slots)

    def give_back(self, slot: Slot, failure: Failure | None) -> None:
        """The request has ended, with `failure` or (None) well or by no fault of the endpoint."""
        slot.in_flight -= 1
        self._changed.set()
        if failure is None:
            slot.failures = slot.coolings = 0
            return
        now = asyncio.get_running_loop().time()
        if slot.cooling_until > now and failure.retry_after_s is None:
            return  # one of many that were in flight when it began to fail
        slot.failures += 1
        if failure.retry_after_s is None and not failure.not_there and slot.failures < FAILURES_IN_A_ROW:
            return
        growing_s = min(LONGEST_COOLING_S, FIRST_COOLING_S * 2 ** min(slot.coolings, 10))
        slot.coolings += 1
        # Never earlier than the server asked for, and not together with every other program.
        pause_s = (failure.retry_after_s or 0.0) + growing_s * self._jitter.random()
        slot.cooling_until = max(slot.cooling_until, now + pause_s)
