"""A session becomes several: each fork starts from its very state and does not see the others.

Invariant: every fork is made from the same state of memory, down to the addresses that the next objects get; what
differs, the process id, is never looked at. Chance goes on in every fork where the session was.
The functions of `os` are bound here before any user code runs.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from os import close

from .siblings import fork_sibling


def fork_into(channels: Sequence[int]) -> list[int] | int:
    """Fork once for each descriptor of `channels`.

    Returns:
        In the session: the ids of the new processes in the order of `channels`, fewer if the system has no more.
        In a new process: its descriptor; the others are closed.
    """
    born = array("q", bytes(8 * len(channels)))  # room made beforehand: nothing is allocated between two forks
    for position in range(len(channels)):
        try:
            born[position] = fork_sibling()
        except OSError:  # the system has no more processes or memory
            break
        if born[position] == 0:
            for channel in channels:
                if channel != channels[position]:
                    close(channel)
            return channels[position]
    for channel in channels:
        close(channel)
    return [pid for pid in born if pid]
