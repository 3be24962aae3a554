"""A session becomes several: each fork starts from its very state and does not see the others.

The session forks a starter, the starter forks them all and ends, so that they become children of the zygote, which
alone can end and bury them. Invariant: chance goes on in every fork where the session was; Python's `random`, which
reseeds itself after a fork, is put back. The functions of `os` are bound here before any user code runs.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from os import _exit, close, fork, pipe, read, waitpid, write

_PID_BYTES = 4


def fork_into(channels: Sequence[int]) -> list[int] | int:
    """Fork once for each descriptor of `channels`.

    Returns:
        In the session: the ids of the new processes, fewer than channels if the system has no more.
        In a new process: its descriptor; the others are closed.
    """
    chance = random.getstate()
    reader, writer = pipe()
    starter = _fork_or_none()
    if starter == 0:
        close(reader)
        own = _start(channels, writer)
        close(writer)
        for channel in channels:
            if channel != own:
                close(channel)
        random.setstate(chance)
        return own
    close(writer)
    for channel in channels:
        close(channel)
    ids = b""
    while data := read(reader, _PID_BYTES * len(channels)):
        ids += data
    close(reader)
    if starter is not None:
        waitpid(starter, 0)
    return [int.from_bytes(ids[at : at + _PID_BYTES], "big") for at in range(0, len(ids), _PID_BYTES)]


def _fork_or_none() -> int | None:
    try:
        return fork()
    except OSError:  # the system has no more processes or memory
        return None


def _start(channels: Sequence[int], writer: int) -> int:
    """Returns in the new processes only, each with its channel."""
    starting = True
    try:
        for channel in channels:
            process = _fork_or_none()
            if process is None:
                break
            if process == 0:
                starting = False
                return channel
            write(writer, process.to_bytes(_PID_BYTES, "big"))
    finally:
        if starting:
            _exit(0)
    raise AssertionError("the starter has ended")
