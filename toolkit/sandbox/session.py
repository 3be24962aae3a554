"""A session: one interpreter whose state lasts from action to action, and outlives its process.

Its forks are forks of its process. Where there is no process to fork, after one was lost or was too hostile to
fork, a new one runs the record of all actions again with the recorded answers of tools; no tool is called twice.
Actions that ended with an exception are part of it, since what they did before is part of the state; the one that
lost the process is not.

Invariant: `run` never raises for what the code does. Not covered: state that depends on clocks or on `os.urandom`
comes back different; an action that then calls other tools than before makes the session fail as `sandbox`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from toolkit.contracts import Limits, Outcome, Session, ToolUse, Trial
from toolkit.errors import RunError
from toolkit.sandbox.frames import Call, MalformedFrameError, Report, frame_of, read_frame
from toolkit.sandbox.host_tools import CALLS, HeldError, HostTools
from toolkit.sandbox.process import LossKind, ProcessLostError, SessionProcess

Answer = Callable[[Call], Awaitable[bytes]]
_PATIENCE = 6
"""How many times its limit an action may take when it is run again: others are at it, too, where many rebuild."""


@dataclass(slots=True)
class Action:
    """One action that was run, with all that is needed to run it again."""

    number: int
    code: str
    answered: list[tuple[Call, bytes]] = field(default_factory=list)
    """Calls of tools in order, each with the frame that answered it."""


class Processes(Protocol):
    """Where sessions have their processes from."""

    @property
    def can_fork(self) -> bool:
        """Whether a session's process can be forked."""
        ...

    async def spawn(self) -> SessionProcess:
        """A process in which nothing was run yet."""
        ...

    async def fork(self, base: SessionProcess, action: int, count: int, timeout_s: float) -> list[SessionProcess]:
        """Forks of `base`, whose newest action has the number `action`; perhaps fewer than `count`."""
        ...


class Clock:
    """Time that an action has used, without its calls of tools."""

    def __init__(self) -> None:
        self._used = 0.0
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """So far."""
        return self._used + (time.perf_counter() - self._since if self._since is not None else 0.0)

    def stop(self) -> None:
        """Do not count from now on."""
        self._used, self._since = self.seconds, None

    def start(self) -> None:
        """Count from now on."""
        self._since = time.perf_counter()


@dataclass(slots=True)
class Performance:
    """An action on its way."""

    action: Action
    trial: Trial | None = None
    """None: it runs for good."""
    uses: list[ToolUse] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)
    call: Call | None = None
    """The call that waits for its answer. None: it waits for none."""


class ProcessSession:
    """One session of a `ProcessSandbox`; `toolkit.contracts.Session` says how to use it."""

    def __init__(self, processes: Processes, tools: HostTools, limits: Limits, record: list[Action]) -> None:
        self._processes = processes
        self._tools = tools
        self._limits = limits
        self._record = record
        self._number = record[-1].number if record else 0
        self._process: SessionProcess | None = None
        self._turn = asyncio.Lock()
        self._held: Performance | None = None
        """The action in the middle of which the process waits."""
        self._closed = False

    async def start(self) -> None:
        """Have a process in the recorded state; what is lost on the way shows in the next `run`.

        Raises:
            RunError: there can be no new process.
        """
        async with self._turn:
            with contextlib.suppress(_RebuildError):
                await self._ready()

    async def run(self, code: str, trial: Trial | None = None) -> Outcome:
        """Run one action, as a candidate if there is a `trial`; waits for the one before it.

        Raises:
            RunError: an action is held; resume it, or close the session.
        """
        async with self._turn:
            if self._held is not None:
                raise RunError("the session holds an action; resume it, or close the session")
            self._number += 1
            return await self._lead(Performance(Action(self._number, code), trial))

    async def resume(self) -> Outcome:
        """Go on with the held action, which has won.

        Raises:
            RunError: no action is held.
        """
        async with self._turn:
            performance, self._held = self._held, None
            if performance is None:
                raise RunError("the session holds no action")
            performance.trial = None
            if self._process is None or self._process.lost:
                # A new one begins with the action, and hears again what was answered.
                performance.call, performance.clock = None, Clock()
            return await self._lead(performance)

    async def fork(self, n: int) -> list[Session]:
        """`n` sessions that start from this one's state and do not see each other; this one can go on as well.

        Raises:
            RunError: there can be no new process.
        """
        forks: list[ProcessSession] = []
        try:
            async with self._turn:
                if self._closed:
                    raise RunError("a closed session cannot be forked")
                if self._held is not None:
                    raise RunError("a session that holds an action cannot be forked; resume it first")
                with contextlib.suppress(ProcessLostError, _RebuildError):
                    forks += await self._fork_process(n)
                forks += [self._copy() for _ in range(n - len(forks))]
            await asyncio.gather(*(fork.start() for fork in forks))
        except BaseException:
            for fork in forks:
                fork.kill()
            raise
        return list(forks)

    async def _fork_process(self, n: int) -> list[ProcessSession]:
        """Sessions whose processes are forks of this one's; none where processes cannot be forked."""
        if not self._processes.can_fork:
            return []
        process = await self._ready()
        return [
            self._copy(fork)
            for fork in await self._processes.fork(process, self._number, n, self._limits.step_timeout_s)
        ]

    def _copy(self, process: SessionProcess | None = None) -> ProcessSession:
        copy = ProcessSession(self._processes, self._tools, self._limits, list(self._record))
        copy._number, copy._process = self._number, process
        return copy

    def kill(self) -> None:
        """End the process without waiting for it; no more actions run."""
        self._closed = True
        if self._process is not None:
            self._process.kill()

    async def close(self) -> None:
        """End the session's process, in the middle of an action if need be."""
        self.kill()
        if self._process is not None:
            await self._process.gone()

    async def _ready(self) -> SessionProcess:
        """The process, after all recorded actions."""
        if self._closed:
            raise RunError("the session is closed")
        if self._process is not None and not self._process.lost:
            return self._process
        process = self._process = await self._processes.spawn()
        if self._closed:
            process.kill()
        for action in self._record:
            try:
                await self._perform(process, Performance(action), _repeating(action), patience=_PATIENCE)
            except ProcessLostError as error:
                raise _RebuildError(
                    f"action {action.number}, run again to rebuild the session, failed: {error}"
                ) from error
        return process

    async def _lead(self, performance: Performance) -> Outcome:
        """Bring an action to its end, or to where it is held."""
        action, started = performance.action, time.perf_counter()
        try:
            process = await self._ready()
            started = time.perf_counter()
            answer = self._answering(performance)
            if performance.call is None:
                answer = _repeating(action, then=answer)
            report = await self._perform(process, performance, answer)
        except HeldError as held:
            self._held = performance
            return Outcome(ok=False, tool_uses=tuple(performance.uses), held=held.use, duration_ms=_since(started))
        except (ProcessLostError, RunError) as error:
            return self._lost(error, performance.uses, started)
        self._record.append(action)
        return Outcome(
            ok=report.error is None,
            stdout=report.stdout,
            stdout_cut_chars=report.cut_chars,
            value=report.value,
            is_final=report.answer is not None,
            final_answer=report.answer,
            error_kind=report.error_kind,
            error=report.error,
            tool_uses=tuple(performance.uses),
            duration_ms=_since(started),
        )

    async def _perform(
        self, process: SessionProcess, performance: Performance, answer: Answer, *, patience: float = 1
    ) -> Report:
        action, clock, limit_s = performance.action, performance.clock, patience * self._limits.step_timeout_s
        try:
            if performance.call is None:
                process.send(frame_of({"action": action.number, "code": action.code}))
            while True:
                if performance.call is not None:
                    reply = await answer(performance.call)
                    performance.call = None
                    process.send(reply)
                clock.start()
                body = await process.receive(limit_s - clock.seconds)
                clock.stop()
                frame = read_frame(body, action=action.number, output_chars=self._limits.output_chars)
                if isinstance(frame, Report):
                    return frame
                performance.call = frame
        except MalformedFrameError as error:
            process.fail(str(error))
            raise ProcessLostError("sandbox", str(error)) from error
        except HeldError:
            raise
        except BaseException:
            # Nobody will wait for this action any more, so nobody may find it half done.
            process.kill()
            raise

    def _lost(self, error: ProcessLostError | RunError, uses: list[ToolUse], started: float) -> Outcome:
        kind: LossKind = "sandbox"
        if self._closed:
            message = "the session is closed"
        elif isinstance(error, RunError):
            message = str(error)
        else:
            kind = error.kind
            reason = f"it ran longer than {self._limits.step_timeout_s:g} s" if kind == "timeout" else str(error)
            message = f"the action was stopped: {reason}. Variables are as they were before it."
        return Outcome(ok=False, error_kind=kind, error=message, tool_uses=tuple(uses), duration_ms=_since(started))

    def _answering(self, performance: Performance) -> Answer:
        action = performance.action

        async def answer(call: Call) -> bytes:
            if len(action.answered) >= CALLS:
                raise ProcessLostError("tool", f"it called tools more than {CALLS} times")
            use, frame = await self._tools.answer(call, performance.trial)
            performance.uses.append(use)
            action.answered.append((call, frame))
            return frame

        return answer


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000


class _RebuildError(RunError):
    """The recorded actions, run again, did not come to their end."""


def _repeating(action: Action, then: Answer | None = None) -> Answer:
    """Answers as they were given; after the last one, those of `then`."""
    left = deque(action.answered)

    async def answer(call: Call) -> bytes:
        if not left and then is not None:
            return await then(call)
        if not left or left[0][0] != call:
            raise MalformedFrameError(f"it called {call.name} differently than the first time")
        return left.popleft()[1]

    return answer
