"""Rows of concurrent requests, written together by one thread.

Rows join what is being written as soon as there is room, at any token if the writer lets them.
Invariants: the event loop is never held up; a caller that is cancelled takes nothing from others, and
its rows are dropped; an error reaches exactly the rows that were being written.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from toolkit.errors import ModelError
from toolkit.llm.transformers_local.rows import Writing, Written


class Writer(Protocol):
    """Writes rows; only ever called in one thread."""

    rows: list[Writing]
    joins: bool

    def add(self, new: Sequence[Writing]) -> None:
        """Begin rows."""
        ...

    def step(self) -> list[Writing]:
        """Go on with all rows, and give back those that have ended."""
        ...

    def drop(self, leaves: Callable[[Writing], bool]) -> list[Writing]:
        """Give rows up."""
        ...


class RowBatcher:
    """`writer` is called in the thread, once, and again after an error; it has at most `max_rows` rows."""

    def __init__(self, writer: Callable[[], Writer], *, max_rows: int) -> None:
        self._make_writer, self._max_rows = writer, max_rows
        self._writer: Writer | None = None
        self._waiting: deque[Writing] = deque()
        self._futures: dict[Writing, asyncio.Future[Written]] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._driving: asyncio.Task[None] | None = None
        self._others = 0
        self._closed = False

    async def in_thread(self, work: Callable[[], None]) -> None:
        """Run `work` where rows are written, between two tokens.

        Raises:
            ModelError: closed meanwhile, or whatever `work` raised.
        """
        self._check_open()
        self._others += 1
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._others -= 1

    async def add(self, rows: Sequence[Writing]) -> list[Written]:
        """What becomes of the rows, in order.

        Raises:
            ModelError: closed meanwhile, or whatever the writer raised.
        """
        self._check_open()
        loop = asyncio.get_running_loop()
        futures: dict[Writing, asyncio.Future[Written]] = {row: loop.create_future() for row in rows}
        self._futures |= futures
        self._waiting += rows
        if self._driving is None or self._driving.done():
            self._driving = loop.create_task(self._drive())
        try:
            return await asyncio.gather(*futures.values())
        finally:
            for row in rows:
                self._futures.pop(row, None)

    def _check_open(self) -> None:
        if self._closed:
            raise ModelError("the model is closed")

    async def close(self) -> None:
        """Drop what is being written and what waits; closing again does nothing."""
        self._closed = True
        if self._driving is not None:
            await asyncio.wait([self._driving])
        self._thread.shutdown()

    async def _drive(self) -> None:
        loop = asyncio.get_running_loop()
        while self._futures and not self._closed:
            await loop.run_in_executor(self._thread, self._write, loop)
        for future in self._futures.values():
            future.cancel()

    def _write(self, loop: asyncio.AbstractEventLoop) -> None:
        """In the thread: write until nothing is left, or somebody else wants the thread."""
        taken: list[Writing] = []
        try:
            if self._writer is None:
                self._writer = self._make_writer()
            writer = self._writer
            while not self._closed and not self._others:
                if writer.rows:
                    writer.drop(self._unwanted)
                taken = self._take(writer)
                if taken:
                    writer.add(taken)
                if not writer.rows:
                    return
                ended = [(row, row.finished()) for row in writer.step()]
                if ended:
                    loop.call_soon_threadsafe(self._deliver, ended)
        except Exception as error:  # it belongs to the callers
            lost = {*taken, *(self._writer.rows if self._writer else list(self._waiting))}
            self._writer = None
            loop.call_soon_threadsafe(self._fail, lost, error)

    def _unwanted(self, row: Writing) -> bool:
        return row not in self._futures

    def _take(self, writer: Writer) -> list[Writing]:
        if writer.rows and not writer.joins:
            return []
        found: list[Writing] = []
        while self._waiting and len(writer.rows) + len(found) < self._max_rows:
            row = self._waiting.popleft()
            if not self._unwanted(row):
                found.append(row)
        return found

    def _deliver(self, ended: list[tuple[Writing, Written]]) -> None:
        for row, written in ended:
            future = self._futures.get(row)
            if future is not None and not future.done():
                future.set_result(written)

    def _fail(self, lost: set[Writing], error: Exception) -> None:
        for row in lost:
            future = self._futures.get(row)
            if future is not None and not future.done():
                future.set_exception(error)
