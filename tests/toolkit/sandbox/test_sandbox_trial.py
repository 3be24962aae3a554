"""Candidates share what they read, and write nothing before one of them has won."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence

import pytest

from toolkit.contracts import Outcome, Session, Tool, Trial
from toolkit.errors import RunError
from toolkit.sandbox import Sandbox

MODULES = ("math", "time")


class World:
    """Two tools and a list of the calls that really reached them."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def tools(self) -> dict[str, Tool]:
        async def look(word: str) -> str:
            self.calls.append(f"look {word}")
            if word == "slow" and len(self.calls) == 1:
                await asyncio.sleep(60)
            if word == "nothing":
                raise LookupError("no such word")
            return f"{word} number {len(self.calls)}"

        async def send(text: str) -> str:
            self.calls.append(f"send {text}")
            return f"sent {text}"

        return {
            "look": Tool("look", "look(word: str) -> str", "", look, "read"),
            "send": Tool("send", "send(text: str) -> str", "", send, "write"),
        }


Then = Callable[[list[Session], list[Outcome]], Awaitable[list[Outcome]]]


def tried(codes: Sequence[str], then: Then | None = None) -> tuple[list[Outcome], list[str]]:
    """Outcomes of `codes` as candidates (or what `then` makes of them), and the calls that reached the tools."""
    world = World()

    async def main() -> list[Outcome]:
        async with Sandbox(world.tools(), modules=MODULES) as sandbox:
            session = await sandbox.open()
            await session.run("x = 1")
            trial, forks = Trial(), await session.fork(len(codes))
            runs = (fork.run(code, trial) for fork, code in zip(forks, codes, strict=True))
            outcomes = await asyncio.gather(*runs)
            return outcomes if then is None else await then(forks, outcomes)

    return asyncio.run(main()), world.calls


def test_equal_reads_of_candidates_are_made_once() -> None:
    outcomes, calls = tried(["look('a')", "look(word='a')", "look('a') + '!'", "look('b')"])
    assert sorted(calls) == ["look a", "look b"]
    assert len({str(outcome.value).rstrip("!'") for outcome in outcomes[:3]}) == 1
    assert sorted(use.cached for outcome in outcomes[:3] for use in outcome.tool_uses) == [False, True, True]


def test_a_failed_read_fails_for_all_alike() -> None:
    outcomes, calls = tried(["look('nothing')"] * 3)
    assert calls == ["look nothing"]
    assert [(outcome.error_kind, outcome.error) for outcome in outcomes] == [("tool", outcomes[0].error)] * 3


def test_reads_of_another_trial_are_made_again() -> None:
    async def again(forks: list[Session], outcomes: list[Outcome]) -> list[Outcome]:
        return [await forks[0].run("look('a')", Trial())]

    _, calls = tried(["look('a')"], again)
    assert calls == ["look a", "look a"]


def test_a_candidate_that_would_write_is_held_before_the_call() -> None:
    outcomes, calls = tried(["print(x)\nsend('hello')\nprint('after')", "x + 1"])
    assert calls == []
    assert (outcomes[0].ok, outcomes[0].error_kind) == (False, "none")
    assert outcomes[0].held is not None
    assert (outcomes[0].held.name, outcomes[0].held.arguments) == ("send", {"text": "hello"})
    assert outcomes[1].value == "2"


def test_the_held_winner_writes_once_and_goes_on_with_its_state() -> None:
    async def win(forks: list[Session], outcomes: list[Outcome]) -> list[Outcome]:
        await forks[1].close()
        done = await forks[0].resume()
        return [done, await forks[0].run("y, x")]

    (done, after), calls = tried(["x = 5\ny = send('a')\nsend('b')\nprint('done')", "send('loser')"], win)
    assert calls == ["send a", "send b"]
    assert (done.ok, done.stdout, [use.name for use in done.tool_uses]) == (True, "done\n", ["send", "send"])
    assert after.value == "('sent a', 5)"


def test_a_held_session_runs_nothing_else() -> None:
    async def misuse(forks: list[Session], outcomes: list[Outcome]) -> list[Outcome]:
        with pytest.raises(RunError, match="holds an action"):
            await forks[0].run("1")
        with pytest.raises(RunError, match="holds an action"):
            await forks[0].fork(2)
        return [await forks[0].resume()]

    (done,), calls = tried(["send('a')"], misuse)
    assert (done.ok, calls) == (True, ["send a"])


def test_a_held_action_whose_process_was_lost_begins_again_and_calls_nothing_twice() -> None:
    world = World()

    async def main() -> tuple[Outcome, Outcome, Outcome]:
        # Without namespaces a process knows its number.
        async with Sandbox(world.tools(), modules=["os"], level=1) as sandbox:
            session = await sandbox.open()
            pid = (await session.run("import os\nx = 5\nos.getpid()")).value
            held = await session.run("x += 1\nseen = look('a')\ny = send('b')\n(x, seen, y)", Trial())
            os.kill(int(str(pid)), signal.SIGKILL)
            await asyncio.sleep(0.2)
            return held, await session.resume(), await session.run("x, y")

    held, done, after = asyncio.run(main())
    assert held.held is not None
    assert (done.error, done.value) == (None, "(6, 'a number 1', 'sent b')")
    assert [use.name for use in done.tool_uses] == ["look", "send"]
    assert after.value == "(6, 'sent b')"
    assert world.calls == ["look a", "send b"]


def test_nothing_to_resume_is_said() -> None:
    async def misuse(forks: list[Session], outcomes: list[Outcome]) -> list[Outcome]:
        with pytest.raises(RunError, match="holds no action"):
            await forks[0].resume()
        return []

    tried(["1"], misuse)


def test_when_the_one_that_asks_gives_up_another_asks() -> None:
    world = World()

    async def main() -> Outcome:
        async with Sandbox(world.tools(), modules=MODULES) as sandbox:
            trial, first, second = Trial(), await sandbox.open(), await sandbox.open()
            asking = asyncio.create_task(first.run("look('slow')", trial))
            while not world.calls:
                await asyncio.sleep(0.001)
            waiting = asyncio.create_task(second.run("look('slow')", trial))
            await asyncio.sleep(0.05)
            asking.cancel()
            return await waiting

    assert asyncio.run(main()).value == "'slow number 2'"
    assert world.calls == ["look slow", "look slow"]
