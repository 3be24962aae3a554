"""A sandbox with much to do: many sessions at once, 1,000 that live, 10,000 one after the other, sag in 64 of them.

Invariant: what was there before is there after; processes, descriptors and temporary files are counted. Memory is the
proportional set size of all processes, in which a page that forks share counts once. Not covered: page tables
and sockets in the kernel, which no process's numbers show.
"""

from __future__ import annotations

import asyncio
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from bench.sandbox_times import ACTION, CANDIDATE, FORKS, MODULES, STATE, percentile
from toolkit.contracts import Session
from toolkit.sandbox import Sandbox

_SECOND = 1.0
_AT_ONCE = 32
_IDLE = 21


def memory_mb() -> float:
    """Proportional set size of all processes below this one."""
    total_kb = 0
    for process in psutil.Process().children(recursive=True):
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                total_kb += int(line.split()[1])
    return total_kb / 1024


def leftovers() -> dict[str, int]:
    """What a sandbox could leave behind."""
    me = psutil.Process()
    files = sum(1 for _ in Path(tempfile.gettempdir()).iterdir())
    return {"processes": len(me.children(recursive=True)), "descriptors": me.num_fds(), "temporary files": files}


def raise_descriptors(needed: int) -> str | None:
    """Let this process have `needed` descriptors, if its hard limit allows. None: all is well; else what to do."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        return f"needs {needed:,} open files, the limit is {hard:,}: raise it with `ulimit -Hn {needed}` as root"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    return None


async def several(libraries: str, counts: Sequence[int]) -> dict[int, float]:
    """Actions a second, by the number of sessions that run them back to back."""
    found = {}
    async with Sandbox(modules=MODULES[libraries]) as sandbox:
        for count in counts:
            sessions = await _opened(sandbox, count)
            until = time.perf_counter() + _SECOND
            done = await asyncio.gather(*(_act_until(session, until) for session in sessions))
            found[count] = sum(done) / _SECOND
            await _close(sessions)
    return found


async def _act_until(session: Session, until: float) -> int:
    done = 0
    while time.perf_counter() < until:
        await session.run(ACTION)
        done += 1
    return done


async def idle_memory(libraries: str) -> float:
    """Megabytes that one more idle session takes, which has run an action."""
    async with Sandbox(modules=MODULES[libraries], workers=1) as sandbox:
        await _opened(sandbox, 1)
        before = memory_mb()
        await _opened(sandbox, _IDLE - 1)
        return (memory_mb() - before) / (_IDLE - 1)


async def live(libraries: str, count: int) -> dict[str, Any]:
    """Open `count` sessions, give each a state of its own, ask all of them for it, close them."""
    problem = raise_descriptors(count + 200)
    if problem is not None:
        return {"skipped": problem}
    found: dict[str, Any] = {"sessions": count, "before": leftovers()}
    async with Sandbox(modules=MODULES[libraries]) as sandbox:
        await (await sandbox.open()).close()
        started = time.perf_counter()
        sessions = []
        while len(sessions) < count:
            sessions += await asyncio.gather(*(sandbox.open() for _ in range(min(_AT_ONCE, count - len(sessions)))))
        found["open_s"], started = time.perf_counter() - started, time.perf_counter()
        await asyncio.gather(*(session.run(f"x = {number}") for number, session in enumerate(sessions)))
        outcomes = await asyncio.gather(*(session.run("x") for session in sessions))
        found["ask_twice_s"] = time.perf_counter() - started
        found["right"] = sum(outcome.value == str(number) for number, outcome in enumerate(outcomes))
        found["memory_mb"], started = memory_mb(), time.perf_counter()
        await _close(sessions)
        found["close_s"] = time.perf_counter() - started
    found["after"] = leftovers()
    return found


async def one_after_the_other(libraries: str, count: int) -> dict[str, Any]:
    """Open, use and close `count` sessions; what the zygotes' memory is after a tenth of them, and at the end."""
    found: dict[str, Any] = {"sessions": count, "before": leftovers()}
    async with Sandbox(modules=MODULES[libraries]) as sandbox:
        await (await sandbox.open()).close()
        found["entered"] = leftovers()
        started = time.perf_counter()
        for number in range(count):
            session = await sandbox.open()
            outcome = await session.run(f"x = {number}\nx")
            assert outcome.value == str(number), outcome
            await session.close()
            if number == count // 10:
                found["early_mb"] = memory_mb()
        found["seconds"] = time.perf_counter() - started
        found["late_mb"] = memory_mb()
        found["left"] = leftovers()
    found["after"] = leftovers()
    return found


async def sag_load(libraries: str, sessions: int, steps: int) -> dict[str, Any]:
    """All sessions go through `steps` at once: fork 8, run all, keep the first, close the others."""
    problem = raise_descriptors(sessions * (FORKS + 1) * 2 + 200)
    if problem is not None:
        return {"skipped": problem}
    async with Sandbox(modules=MODULES[libraries]) as sandbox:
        bases = await _opened(sandbox, sessions)
        await asyncio.gather(*(base.run(STATE) for base in bases))
        started = time.perf_counter()
        spent = await asyncio.gather(*(_steps(base, steps) for base in bases))
        seconds = time.perf_counter() - started
    flat = [each for found in spent for each in found]
    return {
        "sessions": sessions,
        "steps": len(flat),
        "seconds": seconds,
        "candidates_per_s": len(flat) * FORKS / seconds,
        "p50_ms": percentile(flat, 0.5),
        "p95_ms": percentile(flat, 0.95),
    }


async def _steps(base: Session, steps: int) -> list[float]:
    spent = []
    for step in range(steps):
        started = time.perf_counter()
        forks = await base.fork(FORKS)
        outcomes = await asyncio.gather(*(fork.run(CANDIDATE) for fork in forks))
        spent.append((time.perf_counter() - started) * 1e3)
        assert len({outcome.stdout for outcome in outcomes}) == 1, outcomes
        assert outcomes[0].stdout.startswith(f"{11 + step} "), outcomes
        await _close([base, *forks[1:]])
        base = forks[0]
    await base.close()
    return spent


async def _opened(sandbox: Sandbox, count: int) -> list[Session]:
    """Sessions that have run an action."""
    sessions = await asyncio.gather(*(sandbox.open() for _ in range(count)))
    for session in sessions:
        await session.run(STATE)
    return list(sessions)


async def _close(sessions: Sequence[Session]) -> None:
    await asyncio.gather(*(session.close() for session in sessions))
