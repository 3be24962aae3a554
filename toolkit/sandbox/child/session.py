"""One session's process: what the zygote has become already, with a channel to the host that it runs actions for.

Memory is limited while an action runs; between actions a little more is allowed, so that an action that has used all
of it can still be reported. No file can be written: forks of a session would share it.
"""

from __future__ import annotations

import os
import resource
from typing import Any

from .channel import Channel
from .forking import fork_into
from .interpreter import Interpreter
from .tool_stubs import stub

CHANNEL = 3
"""Descriptor of the way to the host, in every session."""
_REPORT_BYTES = 64 << 20
_LIMITS = ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_NOFILE, 128))


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


class Session:
    """All that a session does not need a process of its own for; made once in the zygote, used in each fork of it.

    What is done here is neither done nor copied again in each session, page by page, because it was written to.
    """

    def __init__(self, config: dict[str, Any], channel: int = CHANNEL) -> None:
        self._unconfined = config["level"] < 2
        self._link = Channel(channel, config["frame_bytes"])
        self._interpreter = interpreter = Interpreter(
            frozenset(config["modules"]), config["output_chars"], MemoryLimit(config["memory_mb"] << 20)
        )
        interpreter.provide(
            {
                name: stub(name, documentation, self._link, lambda: interpreter.action)
                for name, documentation in config["tools"].items()
            }
        )

    def serve(self, channel: int) -> None:
        """Be the session whose host end is `channel`, in a process of its own, until the host goes away."""
        os.dup2(channel, CHANNEL)
        os.close(channel)
        if self._unconfined:  # else forks are asked for; not enforced for root
            resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
        self.obey()

    def obey(self) -> None:
        """Do what the host asks for until it goes away."""
        while True:
            try:
                request, descriptors = self._link.request()
            except EOFError:
                return
            if "fork" not in request:
                self._link.send(self._interpreter.run(request["action"], request["code"]))
                continue
            made = fork_into(descriptors)
            if isinstance(made, list):
                self._link.send({"action": request["action"], "forked": made})
            else:
                os.dup2(made, CHANNEL)
                os.close(made)
                self._link.rest()  # its siblings need the processors


def limit_resources() -> None:
    """Give up, for this process and all that it forks, core files, files that grow, and many descriptors."""
    for kind, value in _LIMITS:
        resource.setrlimit(kind, (_at_most(kind, value),) * 2)


def _at_most(kind: int, value: int) -> int:
    """`value`, or the hard limit in force if that is lower."""
    hard = resource.getrlimit(kind)[1]
    return value if hard == resource.RLIM_INFINITY else min(value, hard)
