"""A session becomes several: each fork starts from its very state and does not see the others.

The session forks a starter, the starter forks them all and ends, so that they become children of the zygote, which
alone can end and bury them. Invariant: chance goes on in every fork where the session was; Python's `random`, which
reseeds itself after a fork, is put back. Every fork is made from the same state of memory, down to the addresses that
the next objects get: what differs, the process id, is told by each of them afterwards.
The functions of `os` are bound here before any user code runs.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from os import _exit, close, fork, getpid, pipe, read, waitpid, write

_BIRTH = struct.Struct("=II")
"""Position among the forks, process id."""


def fork_into(channels: Sequence[int]) -> list[int] | int:
    """Fork once for each descriptor of `channels`.

    Returns:
        In the session: the ids of the new processes in the order of `channels`, fewer if the system has no more.
        In a new process: its descriptor; the others are closed.
    """
    chance = random.getstate()
    reader, writer = pipe()
    starter = _fork_or_none()
    if starter == 0:
        close(reader)
        position = _start(len(channels))
        write(writer, _BIRTH.pack(position, getpid()))
        close(writer)
        for channel in channels:
            if channel != channels[position]:
                close(channel)
        random.setstate(chance)
        return channels[position]
    close(writer)
    for channel in channels:
        close(channel)
    births = b""
    while data := read(reader, _BIRTH.size * len(channels)):
        births += data
    close(reader)
    if starter is not None:
        waitpid(starter, 0)
    return [pid for _, pid in sorted(_BIRTH.iter_unpack(births))]


def _start(count: int) -> int:
    """Returns in the new processes only, each with its position; the starter ends."""
    starting = True
    try:
        for position in range(count):
            process = _fork_or_none()
            if process == 0:
                starting = False
                return position
            if process is None:
                break
    finally:
        if starting:
            _exit(0)
    raise AssertionError("the starter has ended")


def _fork_or_none() -> int | None:
    try:
        return fork()
    except OSError:  # the system has no more processes or memory
        return None
