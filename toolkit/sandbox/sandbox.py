"""The sandbox: one confined zygote a core, each session a fork of it, each candidate a fork of the session.

Invariant: leaving the `async with` leaves no process, descriptor or file behind. Levels say how well sessions are
confined (`toolkit.sandbox.level`); docs/security.md tells against what. Source of the design: measurements made for
this project, in which a forked interpreter was right where restricted interpreters were not, and faster than all.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Mapping
from typing import Self

from toolkit.contracts import Limits
from toolkit.errors import InputError
from toolkit.sandbox.frames import frame_limit
from toolkit.sandbox.host_tools import AnyTool, HostTools
from toolkit.sandbox.launching import confinement, readable_paths
from toolkit.sandbox.level import MEANING, probe, require_level
from toolkit.sandbox.modules import DEFAULT_MODULES, importable, library_paths
from toolkit.sandbox.pool import WorkerPool
from toolkit.sandbox.session import ProcessSession


class ProcessSandbox:
    r"""A place to run model-written code.

        async with ProcessSandbox({"search": search}, Limits(step_timeout_s=5)) as sandbox:
            session = await sandbox.open()
            outcome = await session.run("x = 21\nprint(x * 2)")

    Args:
        tools: What code may call, by name: a `Tool`, or a plain or async function. Plain functions run in the event
            loop's threads.
        limits: What one session may use. `memory_mb` is on top of the libraries loaded at the start.
        modules: Top-level packages that code may import; they are imported once, at the start.
        seed: Start of `random` and numpy in every session.
        tool_timeout_s: Longest one call of a tool may take; it then fails in the session.
        level: How well to confine. None: as well as this machine can, and not below 2.
        workers: Most zygotes; they are started as sessions are opened. None: one a core.

    Raises:
        InputError: a tool's name, a module, a limit or the level will not do.
    """

    def __init__(
        self,
        tools: Mapping[str, AnyTool] | None = None,
        limits: Limits | None = None,
        *,
        modules: Collection[str] = DEFAULT_MODULES,
        seed: int = 0,
        tool_timeout_s: float = 120.0,
        level: int | None = None,
        workers: int | None = None,
    ) -> None:
        self.limits = limits or Limits()
        for name in ("step_timeout_s", "memory_mb", "output_chars"):
            if getattr(self.limits, name) <= 0:
                raise InputError(f"limit {name} must be above 0, not {getattr(self.limits, name)}")
        self.modules = importable(modules)
        """What code may import here."""
        self.level = _checked_level(level)
        self.tool_timeout_s = tool_timeout_s
        """Longest one call of a tool may take."""
        self._tools = HostTools(tools or {}, tool_timeout_s)
        places = library_paths(self.modules)
        frame_bytes = frame_limit(self.limits.output_chars)
        config: dict[str, object] = {
            "modules": sorted(self.modules),
            "library_paths": places,
            "tools": self._tools.documentation(),
            "memory_mb": self.limits.memory_mb,
            "output_chars": self.limits.output_chars,
            "frame_bytes": frame_bytes,
            "seed": seed,
            **confinement(self.level, places),
        }
        most = workers if workers is not None else len(os.sched_getaffinity(0))
        self._pool = WorkerPool(config, self.level, readable_paths(places), frame_bytes, most)

    async def __aenter__(self) -> Self:
        """Start the first worker, without waiting for its imports."""
        self._pool.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        """End every process."""
        await self._pool.stop()

    async def open(self) -> ProcessSession:
        """A fresh session.

        Raises:
            RunError: the sandbox is not entered or did not start, or there can be no new process.
        """
        session = ProcessSession(self._pool, self._tools, self.limits, [])
        try:
            await session.start()
        except asyncio.CancelledError:
            session.kill()
            raise
        return session


def _checked_level(level: int | None) -> int:
    """The level to use, found out if need be."""
    found = probe()
    if level is None:
        require_level(found.level)
        return found.level
    if level not in MEANING:
        raise InputError(f"sandbox levels are 1, 2 and 3, not {level}")
    if level > found.level:
        raise InputError(f"sandbox level {level} cannot be had here: {found.missing[level]}")
    return level
