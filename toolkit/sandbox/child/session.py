"""One session's process: take what the zygote is, give up what it may do, then run actions for the host.

Limits hold while an action runs; between actions a little more memory is allowed, so that an action that
has used all of it can still be reported. Not covered: confinement. This process sees the files and the network that
its user sees.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from typing import Any

from .channel import Channel
from .interpreter import Interpreter
from .seeding import seed_everything
from .tool_stubs import stub

_CHANNEL = 3
_REPORT_BYTES = 64 << 20
_LIMITS = (
    (resource.RLIMIT_CORE, 0),
    (resource.RLIMIT_FSIZE, 64 << 20),
    (resource.RLIMIT_NOFILE, 64),
    (resource.RLIMIT_NPROC, 0),  # not enforced for root
)


class MemoryLimit:
    """While entered, the address space may not grow beyond what was preloaded and `extra_bytes`."""

    def __init__(self, extra_bytes: int) -> None:
        with open("/proc/self/statm", "rb") as file:
            preloaded = int(file.read().split()[0]) * resource.getpagesize()
        self._hard = _at_most(resource.RLIMIT_AS, preloaded + extra_bytes + _REPORT_BYTES)
        self._soft = min(self._hard, preloaded + extra_bytes)

    def __enter__(self) -> None:
        resource.setrlimit(resource.RLIMIT_AS, (self._soft, self._hard))

    def __exit__(self, *error: object) -> None:
        resource.setrlimit(resource.RLIMIT_AS, (self._hard, self._hard))


def serve(descriptor: int, directory: str, config: dict[str, Any]) -> None:
    """Be the session whose host end is `descriptor`, in the empty `directory`, until the host goes away."""
    os.setsid()
    os.chdir(directory)
    _keep_only(descriptor)
    seed_everything(config["seed"])
    for kind, value in _LIMITS:
        resource.setrlimit(kind, (_at_most(kind, value),) * 2)
    channel = Channel(_CHANNEL, config["frame_bytes"])
    interpreter = Interpreter(
        frozenset(config["modules"]), config["output_chars"], MemoryLimit(config["memory_mb"] << 20)
    )
    interpreter.provide(
        {
            name: stub(name, documentation, channel, lambda: interpreter.action)
            for name, documentation in config["tools"].items()
        }
    )
    while True:
        try:
            request = channel.receive()
        except EOFError:
            return
        channel.send(interpreter.run(request["action"], request["code"]))


def _keep_only(descriptor: int) -> None:
    """Make `descriptor` number 3 and close what else the zygote had open; 0, 1 and 2 lead nowhere."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(descriptor, _CHANNEL)
    os.dup2(1, 2)
    for number in [int(name) for name in os.listdir("/proc/self/fd")]:
        if number > _CHANNEL:
            # The listing's own descriptor is among them and closed already.
            with contextlib.suppress(OSError):
                os.close(number)


def _at_most(kind: int, value: int) -> int:
    """`value`, or the hard limit in force if that is lower."""
    hard = resource.getrlimit(kind)[1]
    return value if hard == resource.RLIM_INFINITY else min(value, hard)
