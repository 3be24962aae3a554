"""Processes to kill: the real command line, started, ready to go, and shot at a random moment.

A process first imports what it needs and says so; its random life begins when it is told to
go. Otherwise most of them would die while Python is still loading.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from crash_invariants import EPISODES, STEPS

_HERE = Path(__file__).parent
DEADLINE_S = 120.0
_COMMAND = """
import sys
from importlib import import_module
from toolkit.cli.main import COMMANDS, run
import_module(COMMANDS[sys.argv[1]].target.partition(":")[0])
print("ready", flush=True)
sys.stdin.readline()
sys.exit(run(sys.argv[1:]))
"""
_READER = f"""
import select, sys, time
from pathlib import Path
sys.path.insert(0, {str(_HERE)!r})
from crash_invariants import NOTHING, look
from toolkit.lake.lake import open_lake
path = Path(sys.argv[1])
kept_open, before, looks = open_lake(path), NOTHING, 0
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0.2)[0]:
    seen = look(kept_open if looks % 2 else open_lake(path))
    seen.must_follow(before)
    before, looks = seen, looks + 1
print(looks)
"""


class Process:
    """One interpreter that waits for its word."""

    def __init__(self, script: str, arguments: Sequence[object]) -> None:
        self.arguments = [str(argument) for argument in arguments]
        command = [sys.executable, "-c", script, *self.arguments]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def wait_until_ready(self) -> None:
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise AssertionError(self._process.communicate(timeout=DEADLINE_S)[1])

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def is_done(self) -> bool:
        return self._process.poll() is not None

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)

    def end(self) -> tuple[int, str]:
        """Exit code (negative: the signal) and what it printed."""
        out, err = self._process.communicate(timeout=DEADLINE_S)
        return self._process.returncode, out + err


def command(*arguments: object) -> Process:
    """`toolkit ARGUMENTS`, not yet told to go."""
    return Process(_COMMAND, arguments)


def reader(lake: Path) -> Process:
    """Looks at the lake again and again until it is told to go; prints how often it looked."""
    return Process(_READER, [lake])


def duration_s(*arguments: object) -> float:
    """How long a command takes when nobody disturbs it; it must succeed."""
    process = command(*arguments)
    process.wait_until_ready()
    started = time.monotonic()
    process.go()
    code, said = process.end()
    assert code == 0, said
    return time.monotonic() - started


def write_episodes(path: Path) -> Path:
    """A file of ReAct episodes whose questions are its own."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(EPISODES):
            turns = [("user", f"{path.stem}: question {number}?")]
            for step in range(STEPS - 1):
                turns.append(("assistant", f"Thought: look {step}\nAction: search[{path.stem} {number} {step}]"))
                turns.append(("user", f"Observation: {'a passage about it. ' * 20}{number}"))
            turns.append(("assistant", f"Thought: known\nAction: finish[{number}]"))
            turns.append(("user", "Observation: Episode finished, reward = True"))
            messages = [{"role": role, "content": content} for role, content in turns]
            file.write(json.dumps({"messages": messages}) + "\n")
    return path
