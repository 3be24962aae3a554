"""The host's hold on one session's process: frames in and out, a deadline, and how it ended.

Invariant: both sides take turns. A process that speaks out of turn is ended; never more than one frame of it is
held. Losing the process never raises out of the event loop: the one who waits for its next frame is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Literal, cast

from toolkit.sandbox.frames import HEADER

LossKind = Literal["timeout", "sandbox", "tool"]


class ProcessLostError(Exception):
    """The process ended, or was ended, before it answered; `kind` is the step's error kind."""

    def __init__(self, kind: LossKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class SessionProcess(asyncio.Protocol):
    """One process, from its birth to its reaping."""

    def __init__(self, kill: Callable[[], None], frame_bytes: int) -> None:
        self._kill = kill
        self._frame_bytes = frame_bytes
        self._buffer = bytearray()
        self._frame: bytes | None = None
        self._asked = False
        self._waiter: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._ending = False
        self._timed_out = False
        self._fault: str | None = None
        self.ended: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        """Exit status, negative for a signal; None: the worker died with it."""
        self.disconnected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the host's descriptor is closed."""

    @property
    def lost(self) -> bool:
        """Whether it can run nothing more."""
        return self._ending or self.ended.done()

    def send(self, frame: bytes) -> None:
        """Write one frame, which asks for one in return; a lost process takes no notice."""
        self._asked = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame)

    async def receive(self) -> bytes:
        """The next frame's body.

        Raises:
            ProcessLostError: there will be none.
        """
        if self._frame is None and not self.disconnected.done():
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._frame is None:
            raise await self._loss()
        body, self._frame = self._frame, None
        return body

    @contextlib.contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        """End the process if the body of the `with` is not left within `seconds`."""
        handle = asyncio.get_running_loop().call_later(max(seconds, 0.0), self._expire)
        try:
            yield
        finally:
            handle.cancel()

    def kill(self) -> None:
        """Begin to end it; `ended` and `disconnected` tell when that is done."""
        if not self._ending:
            self._ending = True
            self._kill()
        if self._transport is not None:
            self._transport.abort()

    def fail(self, fault: str) -> None:
        """End it for what it sent."""
        self._fault = self._fault or fault
        self.kill()

    async def gone(self) -> None:
        """Wait until process and descriptor are no more."""
        await asyncio.shield(self.ended)
        await asyncio.shield(self.disconnected)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        if self._fault is not None:
            return
        if not self._asked:
            self.fail("it spoke without being asked")
            return
        self._buffer += data
        if len(self._buffer) < HEADER.size:
            return
        (length,) = HEADER.unpack_from(self._buffer)
        end = HEADER.size + length
        if length > self._frame_bytes:
            self.fail(f"it announced a message of {length:,} bytes, at most {self._frame_bytes:,} are taken")
        elif len(self._buffer) > end:
            self.fail("it sent more than one message at a time")
        elif len(self._buffer) == end:
            self._frame, self._asked = bytes(self._buffer[HEADER.size :]), False
            self._buffer.clear()
            self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the event loop."""
        self.kill()
        if not self.disconnected.done():
            self.disconnected.set_result(None)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _expire(self) -> None:
        # After a pause of the event loop the answer may stand here, not looked at yet.
        if self._frame is None:
            self._timed_out = True
            self.kill()

    async def _loss(self) -> ProcessLostError:
        status = await asyncio.shield(self.ended)
        if self._timed_out:
            return ProcessLostError("timeout", "it ran out of time")
        return ProcessLostError("sandbox", self._fault or _manner(status))


def _manner(status: int | None) -> str:
    if status is None:
        return "its process was lost together with its worker"
    if status >= 0:
        return f"its process ended itself with exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"its process was ended by {name}"
