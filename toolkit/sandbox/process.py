"""The host's hold on one session's process: frames in and out, a deadline, and how it ended.

Invariant: both sides take turns. A process that speaks out of turn is ended; never more than one frame of it is
held. Losing the process never raises out of the event loop: the one who waits for its next frame is told.
A plain socket in the event loop costs half of what asyncio's transports do, and can hand over descriptors. The loop
gets its number: of a socket that it does not know yet it would ask both addresses, for a message that nobody reads.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import ClassVar, Literal

from toolkit.sandbox.frames import HEADER

LossKind = Literal["timeout", "sandbox", "tool"]
FULL = (errno.EAGAIN, errno.ETOOMANYREFS)
"""Too much is on its way to others: bytes, or descriptors of this user."""
_READ_BYTES = 1 << 16
_SOON_S = 300e-6
_AWAKE_S = 100e-6
"""How long the event loop goes round for a frame, others having their turns, before it may sleep; only where a process
was asked within `_SOON_S` of its last frame, for then that is awake, too (`child/channel.py`), and no other is awaited.
A processor that has gone to sleep takes longer to wake up than a small action takes."""


class ProcessLostError(Exception):
    """The process ended, or was ended, before it answered; `kind` is the step's error kind."""

    def __init__(self, kind: LossKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class SessionProcess:
    """One process, from its birth to its reaping."""

    _awaited: ClassVar[int] = 0
    """How many processes' frames are being awaited."""

    def __init__(self, number: int, channel: socket.socket, kill: Callable[[], None], frame_bytes: int) -> None:
        self.number = number
        """How its worker calls it."""
        self._loop = asyncio.get_running_loop()
        self._channel = channel
        self._kill = kill
        self._frame_bytes = frame_bytes
        self._incoming = bytearray()
        self._outgoing = b""
        self._frame: bytes | None = None
        self._asked = False
        self._last_frame_at = 0.0
        self._awake_until = 0.0
        self._waiter: asyncio.Future[None] | None = None
        self._ending = False
        self._timed_out = False
        self._fault: str | None = None
        self.ended: asyncio.Future[int | None] = self._loop.create_future()
        """Exit status, negative for a signal; None: the worker died with it."""
        channel.setblocking(False)
        self._loop.add_reader(channel.fileno(), self._readable)

    @property
    def lost(self) -> bool:
        """Whether it can run nothing more."""
        return self._ending or self.ended.done()

    def send(self, frame: bytes, descriptors: Sequence[int] = ()) -> None:
        """Write one frame, which asks for one in return; a lost process takes no notice."""
        self._asked, now = True, perf_counter()
        self._awake_until = now + (_AWAKE_S if now - self._last_frame_at < _SOON_S else 0.0)
        if self._ending:
            return
        try:
            sent = socket.send_fds(self._channel, [frame], descriptors) if descriptors else self._channel.send(frame)
        except OSError as error:
            if error.errno not in FULL:  # its end is closed; reading will tell
                return
            sent = 0  # the rest goes without descriptors: then it cannot fork, and says so
        if sent < len(frame):
            self._outgoing = frame[sent:]
            self._loop.add_writer(self._channel.fileno(), self._writable)

    async def receive(self, timeout_s: float) -> bytes:
        """The next frame's body; the process is ended if it takes longer than `timeout_s`.

        Raises:
            ProcessLostError: there will be none.
        """
        if self._frame is None and not self._ending:
            SessionProcess._awaited += 1
            try:
                await self._awake(min(self._awake_until, perf_counter() + timeout_s))
                await self._arrival(timeout_s)
            finally:
                SessionProcess._awaited -= 1
        if self._frame is None:
            raise await self._loss()
        body, self._frame, self._last_frame_at = self._frame, None, perf_counter()
        return body

    def kill(self) -> None:
        """Close the channel and begin to end it; `ended` tells when that is done."""
        if self._ending:
            return
        self._ending = True
        self._loop.remove_reader(self._channel.fileno())
        if self._outgoing:
            self._loop.remove_writer(self._channel.fileno())
        self._channel.close()
        self._kill()
        self._wake()

    def fail(self, fault: str) -> None:
        """End it for what it sent."""
        self._fault = self._fault or fault
        self.kill()

    async def gone(self) -> None:
        """Wait until the process is no more."""
        await asyncio.shield(self.ended)

    async def _awake(self, until: float) -> None:
        """Have the event loop go round for the next frame, as long as it has no other to hear."""
        while SessionProcess._awaited == 1 and perf_counter() < until and self._frame is None and not self._ending:
            os.sched_yield()
            await asyncio.sleep(0)

    async def _arrival(self, timeout_s: float) -> None:
        """Wait in the event loop for the next frame, or the end of the process."""
        if self._frame is not None or self._ending:
            return
        self._waiter = self._loop.create_future()
        deadline = self._loop.call_later(max(timeout_s, 0.0), self._expire)
        try:
            await self._waiter
        finally:
            deadline.cancel()
            self._waiter = None

    def _readable(self) -> None:
        try:
            data = self._channel.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.kill()
        elif not self._asked:
            self.fail("it spoke without being asked")
        else:
            self._take(data)

    def _take(self, data: bytes) -> None:
        self._incoming += data
        if len(self._incoming) < HEADER.size:
            return
        (length,) = HEADER.unpack_from(self._incoming)
        end = HEADER.size + length
        if length > self._frame_bytes:
            self.fail(f"it announced a message of {length:,} bytes, at most {self._frame_bytes:,} are taken")
        elif len(self._incoming) > end:
            self.fail("it sent more than one message at a time")
        elif len(self._incoming) == end:
            self._frame, self._asked = bytes(self._incoming[HEADER.size :]), False
            self._incoming.clear()
            self._wake()

    def _writable(self) -> None:
        try:
            self._outgoing = self._outgoing[self._channel.send(self._outgoing) :]
        except BlockingIOError:
            return
        except OSError:
            self._outgoing = b""
        if not self._outgoing:
            self._loop.remove_writer(self._channel.fileno())

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
