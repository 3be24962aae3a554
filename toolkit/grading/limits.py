r"""Bounds of a grading process: memory for all of its life, processor time for every pair.

Idea: hostile expressions (`\binom{10^9}{5 \cdot 10^8}`, six hundred parentheses) neither end nor listen
to exceptions while they run in C, so the kernel ends the process, and its parent draws the conclusion
from the exit status. The timer counts processor time, not wall time: a busy machine slows grading
down and changes no verdict.
Invariant: a process that a pair has swollen does not live on to grade others.
Not covered: memory outside Linux, everything on Windows.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

MEMORY_BYTES = 1 << 30
"""Address space that a grading process may take beyond what it has after its start, which is about 0.3 GiB."""
EXIT_MEMORY = 86
"""Exit status of a process that ran out of memory."""
EXIT_TIME = -signal.SIGPROF
"""Exit status of a process that ran out of time, as `subprocess` and `multiprocessing` report it."""

_SWOLLEN_BYTES = MEMORY_BYTES // 2
"""Resident memory above which a pair counts as one that ran out of it: sympy swallows MemoryError."""


def limit_process() -> None:
    """Forbid this process more than `MEMORY_BYTES` of further address space, and let signals end it at once."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":
        return
    with open("/proc/self/statm", encoding="ascii") as statm:
        limit = int(statm.read().split()[0]) * resource.getpagesize() + MEMORY_BYTES
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


@contextmanager
def bounded(timeout_s: float) -> Iterator[None]:
    """End this process if the block takes more than `timeout_s` seconds of processor time, or too much memory."""
    signal.setitimer(signal.ITIMER_PROF, timeout_s)
    try:
        yield
    except MemoryError:
        os._exit(EXIT_MEMORY)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    if sys.platform == "linux" and _peak_bytes() > _SWOLLEN_BYTES:
        os._exit(EXIT_MEMORY)


def _peak_bytes() -> int:
    """Greatest resident memory of this process since its start.

    `ru_maxrss` begins with the peak of the parent, even across `exec`: every process of a large
    program would count as swollen from its first pair on. It is asked first because it is cheap.
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if peak <= _SWOLLEN_BYTES:
        return peak
    with open("/proc/self/status", encoding="ascii") as status:
        return next((int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:")), peak)
