"""Frames between a session and the host: four bytes of length, then JSON; descriptors come along with orders to fork.

The host holds the other end and trusts none of it; the checks here only keep honest code within what the
host accepts. Not covered: code that writes to the descriptor itself, which the host must survive.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
from collections.abc import Callable
from os import sched_yield
from time import perf_counter
from typing import Any

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_HEADER = struct.Struct(">I")
_READ_BYTES = 1 << 16
_DESCRIPTOR = struct.Struct("=i")
_ANCILLARY_BYTES = socket.CMSG_LEN(64 * _DESCRIPTOR.size)
"""Room for the descriptors of an order to fork. `socket.recv_fds` would cost as much as reading the JSON."""
_SOON_S = 1e-3
_AWAKE_S = 300e-6
"""How long the next frame is looked for before sleeping, if the last two of its kind took no longer than `_SOON_S`. One
alone does not count: it is the first order to a new session, after which a model may think for long."""


class FrameTooLargeError(ValueError):
    """A message is longer than the host accepts."""


class _Pace:
    """How soon the last two frames of a kind came: orders, or results of tools, which say nothing about orders."""

    def __init__(self) -> None:
        self.soon = self.soon_before = False


class Channel:
    """A stream socket by its descriptor, which it closes in the end."""

    def __init__(self, descriptor: int, frame_bytes: int) -> None:
        self._descriptor = descriptor
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=descriptor)
        self._frame_bytes = frame_bytes
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)
        self._orders, self._results = _Pace(), _Pace()

    def send(self, message: dict[str, object]) -> None:
        """Write one frame.

        Raises:
            FrameTooLargeError: nothing was written.
        """
        # Lone surrogates, which Python text may hold and UTF-8 may not, become question marks.
        body = _ENCODER.encode(message).encode("utf-8", "replace")
        if len(body) > self._frame_bytes:
            raise FrameTooLargeError(f"{len(body):,} bytes, at most {self._frame_bytes:,} are handed on")
        left = memoryview(_HEADER.pack(len(body)) + body)
        while left:
            left = left[os.write(self._descriptor, left) :]

    def receive(self) -> Any:
        """Read one frame.

        Raises:
            EOFError: the host has closed its end.
        """
        return self._frame(self._read, self._results)

    def request(self) -> tuple[dict[str, Any], list[int]]:
        """Read one frame and the descriptors that came with it.

        Raises:
            EOFError: the host has closed its end.
        """
        descriptors: list[int] = []

        def read() -> bytes:
            data, ancillary, _, _ = self._socket.recvmsg(_READ_BYTES, _ANCILLARY_BYTES)
            descriptors.extend(descriptors_in(ancillary))
            return _some(data)

        return self._frame(read, self._orders), descriptors

    def _frame(self, read: Callable[[], bytes], pace: _Pace) -> Any:
        self._wait(pace)
        # Host and session take turns, so what arrives now is this frame and nothing of another one.
        data = read()
        while len(data) < _HEADER.size:
            data += read()
        (length,) = _HEADER.unpack_from(data)
        chunks, missing = [data[_HEADER.size :]], _HEADER.size + length - len(data)
        while missing:
            chunks.append(read())
            missing -= len(chunks[-1])
        return json.loads(b"".join(chunks))

    def rest(self) -> None:
        """Await the next order asleep."""
        self._orders.soon = False

    def _wait(self, pace: _Pace) -> None:
        """Until there is something to read. However often it looks, it leaves memory as if it had looked once."""
        asked = perf_counter()
        awake_until = asked + (_AWAKE_S if pace.soon and pace.soon_before else 0.0)
        while not self._poll.poll(0 if perf_counter() < awake_until else None):
            sched_yield()
        pace.soon_before, pace.soon = pace.soon, perf_counter() - asked < _SOON_S

    def _read(self) -> bytes:
        return _some(os.read(self._descriptor, _READ_BYTES))


def descriptors_in(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    """Those that came with a message; the kernel hands over nothing else."""
    return [number for _, _, body in ancillary for (number,) in _DESCRIPTOR.iter_unpack(body)]


def _some(data: bytes) -> bytes:
    if not data:
        raise EOFError
    return data
