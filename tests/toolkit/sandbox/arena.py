"""Where attacks are run: a sandbox with a neighbour in it, on a host that has something to lose.

After each attack the surroundings are looked at from the host: the neighbour goes on in its very process, the canary
file is as it was, no process and no descriptor is left that was not there before.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
from pathlib import Path
from string import Template

import psutil
from attacks import MODULES, PRELUDE, Attack

from toolkit.sandbox import Limits, Outcome, Sandbox
from toolkit.sandbox.session import ProcessSession

SECRET = "CANARY_TOKEN"
_LEFT_S = 10.0
"""How long ended processes may take to vanish."""


def echo(value: object) -> object:
    """The value as it arrived."""
    return value


class Arena:
    """Entered once for many attacks at one level."""

    def __init__(self, level: int, place: Path, limits: Limits, extra_modules: tuple[str, ...] = ()) -> None:
        self.level = level
        self.canary = place / "canary"
        self.text = secrets.token_hex(16)
        self.canary.write_text(self.text)
        (place / "canary_module.py").write_text("x = 1\n")
        self._before = set(place.iterdir())
        self.secret = secrets.token_hex(16)
        os.environ[SECRET] = self.secret
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self._abstract = socket.socket(socket.AF_UNIX)
        self._abstract.bind(f"\0{secrets.token_hex(8)}")
        self._abstract.listen()
        self.sandbox = Sandbox({"echo": echo}, limits, modules=[*MODULES, *extra_modules], level=level, workers=1)

    async def enter(self) -> None:
        """Start, with a neighbour."""
        await self.sandbox.__aenter__()
        self._neighbour = await self.sandbox.open()
        told = await self._neighbour.run("import os\ntoken = os.urandom(8).hex()\n(os.getpid(), token)")
        self._pid, self._token = map(str.strip, (told.value or "").strip("()").split(","))

    async def leave(self) -> None:
        """End everything."""
        await self.sandbox.__aexit__()
        self._tcp.close()
        self._abstract.close()
        os.environ.pop(SECRET, None)

    def code(self, attack: Attack) -> str:
        """The attack's code with what it is to look for."""
        return Template(attack.code).safe_substitute(
            CANARY=self.canary,
            PLACE=self.canary.parent,
            PORT=self._tcp.getsockname()[1],
            ABSTRACT=repr(self._abstract.getsockname()),
            NEIGHBOUR=self._pid,
            # Whole, it would stand in the memory of whoever looks for it.
            HALVES=json.dumps([self.secret[:16], self.secret[16:]]),
        )

    async def attack(self, attack: Attack) -> str:
        """Run it and look around; what is not as it must be, or nothing."""
        processes, descriptors = self.left()
        hostile = await self.sandbox.open()
        assert (await hostile.run(PRELUDE)).ok
        outcome = await hostile.run(self.code(attack))
        problems = [_unexpected(outcome, attack.outcome if self.level > 1 else str(attack.at_1))]
        told = [str(outcome)]
        if attack.forks:
            for fork in await hostile.fork(attack.forks):
                assert isinstance(fork, ProcessSession)
                told.append(str(await fork.run("x")))
                await fork.close()
        after = await hostile.run("x")
        if attack.keeps_state and after.value != "'before'":
            problems.append(f"its own state is lost: {after}")
        await hostile.close()
        problems += [await self._harm(), await self._left_beyond(processes, descriptors)]
        if self.text in str(told) or self.secret in str(told):
            problems.append("a secret got out")
        return "; ".join(problem for problem in problems if problem)

    async def _harm(self) -> str:
        neighbour = await self._neighbour.run("token")
        if neighbour.value != self._token:
            return f"the neighbour was harmed: {neighbour}"
        if self.canary.read_text() != self.text or set(self.canary.parent.iterdir()) != self._before:
            return "files of the host were changed"
        return ""

    def left(self) -> tuple[int, int]:
        """Processes and descriptors that the host has."""
        me = psutil.Process()
        return len(me.children(recursive=True)), me.num_fds()

    async def _left_beyond(self, processes: int, descriptors: int) -> str:
        try:
            async with asyncio.timeout(_LEFT_S):
                while self.left()[0] > processes or self.left()[1] > descriptors:
                    await asyncio.sleep(0.01)
        except TimeoutError:
            return f"left behind: {self.left()} processes and descriptors, {(processes, descriptors)} were there before"
        return ""


def _unexpected(outcome: Outcome, expected: str) -> str:
    if expected == "any":
        return ""
    if expected == "blocked":
        return "" if outcome.ok and outcome.stdout == "blocked\n" else f"not blocked: {outcome}"
    came = "fine" if outcome.ok else outcome.error_kind
    return "" if came in expected.split("|") else f"{expected} was expected: {outcome}"
