"""Work of many concurrent callers, done in shared batches by one thread, each piece once.

A caller asks for keys. Keys that are cached are answered at once; keys that another
caller is already waiting for are waited for together; the rest is gathered for a moment,
or for as long as the thread is busy, and done as one batch. Invariants: a caller that is
cancelled takes nothing from the others; an error reaches exactly the callers of its
batch and is not cached. Not covered: several event loops at once.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from toolkit.errors import RunError

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Batcher(Generic[K, V]):
    """`work` gets distinct keys and returns their values in order; it is only ever called in one thread."""

    def __init__(
        self, work: Callable[[list[K]], Sequence[V]], *, max_batch: int, max_wait_s: float, cache_size: int
    ) -> None:
        self._work = work
        self._max_batch = max_batch
        self._max_wait_s = max_wait_s
        self._cache_size = cache_size
        self._cache: OrderedDict[K, V] = OrderedDict()
        self._promised: dict[K, asyncio.Future[V]] = {}
        self._queue: list[K] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batch")
        self._draining: asyncio.Task[None] | None = None
        self._closed = False

    async def get(self, keys: Sequence[K]) -> list[V]:
        """The values of `keys`, in order.

        Raises:
            RunError: `close` has been called.
        """
        if self._closed:
            raise RunError("searching after close()")
        found: dict[K, V] = {}
        awaited: dict[K, asyncio.Future[V]] = {}
        for key in dict.fromkeys(keys):
            if key in self._cache:
                self._cache.move_to_end(key)
                found[key] = self._cache[key]
            else:
                awaited[key] = self._promised.get(key) or self._promise(key)
        if awaited:
            if self._draining is None or self._draining.done():
                self._draining = asyncio.create_task(self._drain())
            # Not gather: a caller that is cancelled must not cancel what others wait for.
            await asyncio.wait(awaited.values())
            found |= {key: future.result() for key, future in awaited.items()}
        return [found[key] for key in keys]

    async def close(self, last: Callable[[], None]) -> None:
        """Finish what is asked for, run `last` in the thread and end it; closing again does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._draining is not None and not self._draining.done():
            await asyncio.wait([self._draining])
        await asyncio.get_running_loop().run_in_executor(self._thread, last)
        self._thread.shutdown()

    def _promise(self, key: K) -> asyncio.Future[V]:
        future = self._promised[key] = asyncio.get_running_loop().create_future()
        self._queue.append(key)
        return future

    async def _drain(self) -> None:
        try:
            await asyncio.sleep(self._max_wait_s)
            while self._queue:
                batch, self._queue = self._queue[: self._max_batch], self._queue[self._max_batch :]
                job = asyncio.get_running_loop().run_in_executor(self._thread, self._work, batch)
                await asyncio.wait([job])
                self._settle(batch, job)
        finally:
            # Not empty only if this task is cancelled, at the end of its event loop.
            for future in self._promised.values():
                future.cancel()
            self._promised.clear()
            self._queue.clear()

    def _settle(self, batch: list[K], job: asyncio.Future[Sequence[V]]) -> None:
        error = job.exception()
        values = [] if error else job.result()
        for number, key in enumerate(batch):
            future = self._promised.pop(key)
            if error is not None:
                future.set_exception(error)
                future.exception()  # read, so that asyncio does not complain when every caller is gone
            else:
                self._cache[key] = values[number]
                future.set_result(values[number])
        while len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)
