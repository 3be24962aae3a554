"""A session has libraries when its code asks for them; that it moved to another process for them does not show."""

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from toolkit.contracts import Outcome, Tool, Trial
from toolkit.sandbox import Limits, Sandbox, probe

LIBRARY = "library_for_test"
MODULES = ("os", "random", "sys", "time", LIBRARY)
LEVELS = range(1, probe().level + 1)
HAS_IT = f"import sys\n'{LIBRARY}' in sys.modules"
USE_IT = f"import {LIBRARY}\n{LIBRARY}.VALUE"


class World:
    """Two tools and the calls that reached them."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def tools(self) -> dict[str, Tool]:
        async def look(word: str) -> str:
            self.calls.append(f"look {word}")
            return f"{word} number {len(self.calls)}"

        async def send(text: str) -> str:
            self.calls.append(f"send {text}")
            return f"sent {text}"

        return {
            "look": Tool("look", "look(word: str) -> str", "", look, "read"),
            "send": Tool("send", "send(text: str) -> str", "", send, "write"),
        }


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is installed, and in no standard library."""
    (tmp_path / f"{LIBRARY}.py").write_text("VALUE = 42\n")
    monkeypatch.syspath_prepend(str(tmp_path))


def inside(
    play: Callable[[Sandbox], Awaitable[list[Outcome]]], world: World | None = None, level: int | None = None
) -> list[Outcome]:
    """What `play` makes of a sandbox."""

    async def main() -> list[Outcome]:
        limits = Limits(step_timeout_s=5)
        async with Sandbox(world and world.tools(), limits, modules=MODULES, level=level) as sandbox:
            return await play(sandbox)

    return asyncio.run(main())


@pytest.mark.parametrize("level", LEVELS)
def test_an_import_keeps_all_state_and_calls_no_tool_twice(level: int) -> None:
    world = World()

    async def play(sandbox: Sandbox) -> list[Outcome]:
        session = await sandbox.open()
        codes = ["import random\na = look('a')\nx = random.random()", HAS_IT, f"b = look('b')\nimport {LIBRARY}\nb"]
        codes += [f"({LIBRARY}.VALUE, a, x, random.random())", HAS_IT]
        return [await session.run(code) for code in codes]

    _, before, moved, state, after = inside(play, world, level)
    assert (before.value, moved.value, after.value) == ("False", "'b number 2'", "True")
    assert world.calls == ["look a", "look b"]
    assert [use.result for use in moved.tool_uses] == ["b number 2"]

    async def straight(sandbox: Sandbox) -> list[Outcome]:
        session = await sandbox.open([USE_IT])
        code = f"import random, {LIBRARY}\nx = random.random()\n({LIBRARY}.VALUE, 'a number 1', x, random.random())"
        return [await session.run(HAS_IT), await session.run(code)]

    has_it, same = inside(straight, level=level)
    assert has_it.value == "True"
    assert state.value == same.value


def test_code_that_catches_everything_gets_its_library_just_the_same() -> None:
    async def play(sandbox: Sandbox) -> list[Outcome]:
        session = await sandbox.open()
        code = f"try:\n    import {LIBRARY}\nexcept BaseException as e:\n    x = e\nelse:\n    x = {LIBRARY}.VALUE\nx"
        return [await session.run(code)]

    assert inside(play)[0].value == "42"


def test_a_library_that_is_not_allowed_is_refused_without_a_move() -> None:
    async def play(sandbox: Sandbox) -> list[Outcome]:
        session = await sandbox.open()
        await session.run("import time\nx = time.perf_counter_ns()")
        first = await session.run("x")
        return [await session.run("import numpy"), first, await session.run("x")]

    refused, first, again = inside(play)
    assert "import of 'numpy' is not allowed here; allowed: library_for_test, os" in str(refused.error)
    assert first.value == again.value


def test_a_lost_session_comes_back_with_its_library() -> None:
    async def play(sandbox: Sandbox) -> list[Outcome]:
        session = await sandbox.open()
        codes = [f"import os, {LIBRARY}\ny = {LIBRARY}.VALUE", "os._exit(1)", f"y + {LIBRARY}.VALUE", HAS_IT]
        return [await session.run(code) for code in codes]

    _, lost, after, has_it = inside(play)
    assert (lost.error_kind, after.value, has_it.value) == ("sandbox", "84", "True")


def test_candidates_that_name_a_library_fork_from_one_state_that_has_it() -> None:
    async def play(sandbox: Sandbox) -> list[Outcome]:
        session = await sandbox.open()
        await session.run("import time\nx = time.perf_counter_ns()")
        codes = [f"import {LIBRARY}\n(x, {LIBRARY}.VALUE)", "import sys\n(x, 42)"]
        forks = await session.fork(2, codes)
        return [*[await fork.run(code) for fork, code in zip(forks, codes, strict=True)], await forks[1].run(HAS_IT)]

    first, second, has_it = inside(play)
    # Replays would have read the clock once more.
    assert first.value == second.value
    assert has_it.value == "True"


def test_a_candidate_moves_alone_where_nobody_knew() -> None:
    async def play(sandbox: Sandbox) -> list[Outcome]:
        session = await sandbox.open()
        await session.run("x = 1")
        forks = await session.fork(2)
        run = await asyncio.gather(forks[0].run(f"x += 1\nimport {LIBRARY}\nx"), forks[1].run("x"))
        return [*run, await session.run("x"), await session.run(HAS_IT)]

    moved, other, base, has_it = inside(play)
    assert (moved.value, other.value, base.value, has_it.value) == ("2", "1", "1", "False")


def test_a_held_action_that_has_won_may_import_after_its_tool_has_written() -> None:
    world = World()

    async def play(sandbox: Sandbox) -> list[Outcome]:
        session = await sandbox.open()
        code = f"a = look('a')\ns = send('b')\nimport {LIBRARY}\n(a, s, send('c'), {LIBRARY}.VALUE)"
        held = await session.run(code, Trial())
        return [held, await session.resume()]

    held, done = inside(play, world)
    assert held.held is not None
    assert done.value == "('a number 1', 'sent b', 'sent c', 42)"
    assert world.calls == ["look a", "send b", "send c"]
    assert [use.name for use in done.tool_uses] == ["look", "send", "send"]


@pytest.mark.parametrize("need", [{"needs": LIBRARY}, {"needs": 1}, {"needs": "os", "call": "look"}])
def test_a_forged_need_ends_only_the_session_that_sent_it(need: dict[str, object]) -> None:
    async def play(sandbox: Sandbox) -> list[Outcome]:
        hostile, neighbour = await sandbox.open(), await sandbox.open()
        await neighbour.run("x = 'unharmed'")
        await hostile.run("x = 'before'")
        frame = json.dumps({"action": 2, **need}).encode()
        frame = struct.pack(">I", len(frame)) + frame
        attack = f"import os\nx = 'after'\nn = os.write(3, {frame!r})\nwhile True: pass"
        return [await hostile.run(attack), await hostile.run("x"), await neighbour.run("x")]

    forged, after, neighbour = inside(play)
    assert (forged.ok, forged.error_kind) == (False, "sandbox")
    assert (after.value, neighbour.value) == ("'before'", "'unharmed'")
