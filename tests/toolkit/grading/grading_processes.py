"""What the tests of the pool share: an expression that hangs, and eyes for processes."""

import os
import time
from collections.abc import Callable

import psutil

HANGING = r"\binom{1000000000}{500000000}"
"""Python integers, in C: no exception can interrupt it."""


def workers() -> set[psutil.Process]:
    """Grading processes of this program; multiprocessing's resource tracker is none and ends with its parent."""
    found = set()
    for child in psutil.Process(os.getpid()).children(recursive=True):
        try:
            if "spawn_main" in " ".join(child.cmdline()):
                found.add(child)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


def is_dead(process: psutil.Process) -> bool:
    """Whether a process has ended, be it that its parent has not asked for its status yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(reached: Callable[[], bool], seconds: float = 60) -> None:
    """Come back when `reached` holds; fail after `seconds`."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
