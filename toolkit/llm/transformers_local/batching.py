"""Rows of concurrent requests, written together by one thread.

Rows that arrive while a batch is running make the next one. Invariants: the event loop is never
held up; a caller that is cancelled takes nothing from others; an error reaches exactly the rows of
its batch. Not covered: joining a batch that is already running.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from toolkit.errors import ModelError
from toolkit.llm.transformers_local.generation import Row, Written

GATHER_S = 0.005
"""How long the first row of a batch waits for others, which often follow at once."""


class RowBatcher:
    """`write` is only ever called in one thread, with at most `max_rows` rows."""

    def __init__(self, write: Callable[[Sequence[Row]], list[Written]], *, max_rows: int) -> None:
        self._write = write
        self._max_rows = max_rows
        self._waiting: list[tuple[Row, asyncio.Future[Written]]] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._draining: asyncio.Task[None] | None = None
        self._closed = False

    async def in_thread(self, work: Callable[[], None]) -> None:
        """Run `work` where batches run.

        Raises:
            ModelError: closed meanwhile, or whatever `work` raised.
        """
        self._check_open()
        await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def add(self, rows: Sequence[Row]) -> list[Written]:
        """What becomes of the rows, in order.

        Raises:
            ModelError: closed meanwhile, or whatever `write` raised.
        """
        self._check_open()
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Written]] = [loop.create_future() for _ in rows]
        self._waiting += zip(rows, futures, strict=True)
        if self._draining is None or self._draining.done():
            self._draining = loop.create_task(self._drain())
        return await asyncio.gather(*futures)

    def _check_open(self) -> None:
        if self._closed:
            raise ModelError("the model is closed")

    async def close(self) -> None:
        """Wait for the batch that is running and drop the rest; closing again does nothing."""
        self._closed = True
        if self._draining is not None:
            await asyncio.wait([self._draining])
        self._thread.shutdown()

    async def _drain(self) -> None:
        await asyncio.sleep(GATHER_S)
        while self._waiting and not self._closed:
            batch, self._waiting = self._waiting[: self._max_rows], self._waiting[self._max_rows :]
            batch = [(row, future) for row, future in batch if not future.done()]
            if not batch:
                continue
            job = asyncio.get_running_loop().run_in_executor(self._thread, self._write, [row for row, _ in batch])
            # Not awaited itself: its error belongs to the callers.
            await asyncio.wait([job])
            for number, (_, future) in enumerate(batch):
                if future.done():
                    continue
                if error := job.exception():
                    future.set_exception(error)
                else:
                    future.set_result(job.result()[number])
        for _, future in self._waiting:
            future.cancel()
        self._waiting.clear()
