"""The thirty actions in the sandbox, in plain `exec` and in smolagents' LocalPythonExecutor, in turn.

Correct is an action that prints exactly what it must. `exec` and smolagents are timed inside their processes, the
sandbox as its caller sees it. Not covered: how well the peers confine; `exec` does not, and smolagents' own
documentation calls its executor no security boundary.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from bench import sandbox_programs
from bench.actions import ACTIONS
from toolkit.sandbox import Sandbox


class Program:
    """A program of `bench.sandbox_programs` in a process of its own."""

    def __init__(self, *arguments: str, interpreter: str = sys.executable) -> None:
        self._process = subprocess.Popen(
            [interpreter, "-P", str(Path(str(sandbox_programs.__file__))), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, message: object) -> dict[str, Any]:
        """Send one line and wait for the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(map(str, self._process.args[1:]))} ended: {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


@contextlib.contextmanager
def program(*arguments: str, interpreter: str = sys.executable) -> Iterator[Program]:
    """A program that ends with the block."""
    running = Program(*arguments, interpreter=interpreter)
    try:
        yield running
    finally:
        running.close()


async def compare(modules: Collection[str], smolagents: str | None, repeats: int) -> dict[str, dict[str, Any]]:
    """By executor and action: whether it was right in every repeat, and the median of its milliseconds.

    Args:
        modules: What actions may import; loaded before the first one.
        smolagents: An interpreter that has smolagents. None: leave it out.
        repeats: How often all actions run, each time in fresh processes, because libraries keep caches.
    """
    found: dict[str, dict[str, list[tuple[bool, float]]]] = {}
    names = sorted(set(modules) - {"__future__"})
    async with Sandbox(modules=modules) as sandbox:
        for _ in range(repeats):
            session = await sandbox.open()
            with contextlib.ExitStack() as stack:
                peers = {"exec": stack.enter_context(program("exec", *names))}
                if smolagents is not None:
                    peers["smolagents"] = stack.enter_context(program("smolagents", *names, interpreter=smolagents))
                for action in ACTIONS:
                    outcome = await session.run(action.code)
                    runs = {"sandbox": (outcome.stdout == action.prints, outcome.duration_ms)}
                    for name, peer in peers.items():
                        answer = peer.ask(action.code)
                        runs[name] = (answer["printed"] == action.prints, answer["seconds"] * 1e3)
                    for name, run in runs.items():
                        found.setdefault(name, {}).setdefault(action.name, []).append(run)
            await session.close()
    return {
        executor: {
            action: {"right": all(right for right, _ in runs), "ms": statistics.median(ms for _, ms in runs)}
            for action, runs in actions.items()
        }
        for executor, actions in found.items()
    }
