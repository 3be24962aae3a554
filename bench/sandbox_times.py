"""What each thing that a sandbox does takes, at every level that this machine has, beside what no design can beat.

All sandboxes are open at once and asked in turn, round after round, so that whatever else the machine does hits
them alike. Floors: a byte to another process and back, and bare forks of a process with the same libraries.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import statistics
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from bench.sandbox_peers import Program, program
from toolkit.contracts import Session
from toolkit.sandbox import DEFAULT_MODULES, Sandbox, probe

HEAVY = frozenset({"numpy", "sympy", "mpmath"})
LIGHT_MODULES = DEFAULT_MODULES - HEAVY | {"os"}
MODULES = {"light": LIGHT_MODULES, "numpy + sympy": DEFAULT_MODULES | {"os"}}
"""`os`, to end a session's process from inside."""
FORKS = 8
STATE = "import random\nx = 10\nitems = list(range(100))"
ACTION = "x += 1\nx"
CANDIDATE = "x += 1\nprint(x, random.random())"
_PER_ROUND = 50
_SESSIONS = 5
"""In each round; whether one has a processor to itself, which halves what an action takes, the kernel settles anew."""
Times = dict[str, list[float]]


async def echo(text: str) -> str:
    """The text."""
    return text


@dataclass(slots=True)
class Variant:
    """A sandbox that is measured."""

    level: int
    libraries: str
    times: Times = field(default_factory=dict)
    """Milliseconds by what was done."""

    @property
    def name(self) -> str:
        """As a heading."""
        return f"level {self.level}, {self.libraries}"

    def sandbox(self) -> Sandbox:
        """A fresh one."""
        return Sandbox({"echo": echo}, modules=MODULES[self.libraries], level=self.level)

    def note(self, what: str, started: float) -> None:
        """Add the time since `started`."""
        self.times.setdefault(what, []).append((time.perf_counter() - started) * 1e3)


def variants() -> list[Variant]:
    """Every level that can be had, the best first, each with and without the heavy libraries."""
    return [Variant(level, libraries) for level in range(probe().level, 0, -1) for libraries in MODULES]


async def measure(rounds: int) -> dict[str, Times]:
    """Milliseconds by variant or floor and by what was done; the first round is not kept."""
    measured = variants()
    floors: dict[str, Times] = {f"floor, {libraries}": {} for libraries in MODULES}
    for _ in range(max(3, rounds // 8)):
        for variant in measured:
            await _start(variant)
    async with contextlib.AsyncExitStack() as stack:
        byte = stack.enter_context(_ping_pong())
        forkers = {name: stack.enter_context(program("fork", *sorted(MODULES[name]))) for name in MODULES}
        entered = [(variant, await stack.enter_async_context(variant.sandbox())) for variant in measured]
        for turn in range(rounds + 1):
            first = turn % len(entered)  # what comes after the floors' forks is slower
            for variant, sandbox in entered[first:] + entered[:first]:
                await _round(variant, sandbox)
            for name, forker in forkers.items():
                _floor(floors[f"floor, {name}"], byte, forker)
            if turn == 0:
                for times in (*floors.values(), *(variant.times for variant in measured)):
                    for what in set(times) - {"start"}:
                        times[what].clear()
    return {variant.name: variant.times for variant in measured} | floors


async def _start(variant: Variant) -> None:
    started = time.perf_counter()
    async with variant.sandbox() as sandbox:
        await sandbox.open()
        variant.note("start", started)


async def _round(variant: Variant, sandbox: Sandbox) -> None:
    for _ in range(_SESSIONS):
        await _actions(variant, sandbox)
    base = await sandbox.open()
    for code in (STATE, *[ACTION] * 9):
        await base.run(code)
    await _sag(variant, base)
    await base.run("import os\nos._exit(1)")
    started = time.perf_counter()
    rebuilt = await base.run(ACTION)
    variant.note("rebuild after a kill", started)
    assert rebuilt.value == "20", rebuilt
    await base.close()


async def _actions(variant: Variant, sandbox: Sandbox) -> None:
    started = time.perf_counter()
    session = await sandbox.open()
    variant.note("open", started)
    await session.run(STATE)
    for what, code in (("action", ACTION), ("action with a tool call", "echo('text')")):
        for _ in range(_PER_ROUND):
            started = time.perf_counter()
            await session.run(code)
            variant.note(what, started)
    await session.close()


async def _sag(variant: Variant, base: Session) -> None:
    started = time.perf_counter()
    forks = await base.fork(FORKS)
    variant.note("fork of 8", started)
    forked = time.perf_counter()
    outcomes = await asyncio.gather(*(fork.run(CANDIDATE) for fork in forks))
    variant.note("run of 8", forked)
    variant.note("fork + run of 8", started)
    assert len({outcome.stdout for outcome in outcomes}) == 1, outcomes
    assert outcomes[0].stdout.startswith("20 "), outcomes
    ended = time.perf_counter()
    await asyncio.gather(*(fork.close() for fork in forks))
    variant.note("close of 8", ended)


@contextlib.contextmanager
def _ping_pong() -> Iterator[socket.socket]:
    """A socket whose other end, in another process, sends back each byte."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        while data := theirs.recv(1):
            theirs.send(data)
        os._exit(0)
    theirs.close()
    with ours:
        yield ours
    os.waitpid(pid, 0)


def _floor(times: Times, byte: socket.socket, forker: Program) -> None:
    for _ in range(_PER_ROUND):
        started = time.perf_counter()
        byte.send(b".")
        byte.recv(1)
        times.setdefault("action", []).append((time.perf_counter() - started) * 1e3)
    forked: dict[str, Any] = forker.ask(FORKS)
    times.setdefault("fork of 8", []).append(forked["fork_seconds"] * 1e3)
    times.setdefault("fork + run of 8", []).append(forked["seconds"] * 1e3)


def summary(times: dict[str, Times]) -> dict[str, dict[str, dict[str, float]]]:
    """Median and 95th percentile of each list, in milliseconds."""
    return {
        name: {what: {"p50": statistics.median(found), "p95": percentile(found, 0.95)} for what, found in row.items()}
        for name, row in times.items()
    }


def percentile(values: Collection[float], share: float) -> float:
    """The smallest value that at least `share` of all are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
