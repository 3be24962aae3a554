"""The sandbox's first form: one operating system process a session, with resource limits and nothing more.

It keeps honest mistakes from hurting: loops, memory, crashes, endless output, leftovers. It is level 1 and confines
nothing: code that means harm can read and change what its user can. Invariant: leaving the `async with` leaves no
process, descriptor or file behind. Source of the design: a forked interpreter, as measured for this project.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Self

from toolkit.contracts import Limits
from toolkit.errors import InputError, RunError
from toolkit.sandbox.frames import frame_limit
from toolkit.sandbox.host_tools import AnyTool, HostTools
from toolkit.sandbox.modules import DEFAULT_MODULES, importable, library_paths
from toolkit.sandbox.process import SessionProcess
from toolkit.sandbox.session import ProcessSession
from toolkit.sandbox.worker import Worker


class ProcessSandbox:
    r"""A place to run model-written code that does no harm on purpose.

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

    Raises:
        InputError: a tool's name, a module or a limit will not do.
    """

    level: int = 1

    def __init__(
        self,
        tools: Mapping[str, AnyTool] | None = None,
        limits: Limits | None = None,
        *,
        modules: Collection[str] = DEFAULT_MODULES,
        seed: int = 0,
        tool_timeout_s: float = 120.0,
    ) -> None:
        self.limits = limits or Limits()
        for name in ("step_timeout_s", "memory_mb", "output_chars"):
            if getattr(self.limits, name) <= 0:
                raise InputError(f"limit {name} must be above 0, not {getattr(self.limits, name)}")
        self.modules = importable(modules)
        """What code may import here."""
        self._tools = HostTools(tools or {}, tool_timeout_s)
        self._frame_bytes = frame_limit(self.limits.output_chars)
        self._config: dict[str, object] = {
            "modules": sorted(self.modules),
            "library_paths": library_paths(self.modules),
            "tools": self._tools.documentation(),
            "memory_mb": self.limits.memory_mb,
            "output_chars": self.limits.output_chars,
            "frame_bytes": self._frame_bytes,
            "seed": seed,
        }
        self._worker: Worker | None = None

    async def __aenter__(self) -> Self:
        """Start the worker, without waiting for its imports."""
        self._worker = Worker(self._config, self._frame_bytes)
        return self

    async def __aexit__(self, *error: object) -> None:
        """End every process."""
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.stop()

    async def open(self) -> ProcessSession:
        """A fresh session.

        Raises:
            RunError: the sandbox is not entered or did not start, or there can be no new process.
        """
        session = ProcessSession(self._spawn, self._tools, self.limits, [])
        try:
            await session.start()
        except asyncio.CancelledError:
            session.kill()
            raise
        return session

    async def _spawn(self) -> SessionProcess:
        if self._worker is None:
            raise RunError("the sandbox is not running; open sessions inside `async with sandbox:`")
        if self._worker.lost:
            self._worker = Worker(self._config, self._frame_bytes)
        return await self._worker.spawn()
