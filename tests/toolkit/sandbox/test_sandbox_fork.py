"""Forks start from the same state and do not see each other, the original, or the tools a second time."""

import asyncio
from collections.abc import Mapping

import psutil
import pytest

from toolkit.contracts import Outcome, Tool
from toolkit.errors import RunError
from toolkit.sandbox import Limits, Sandbox, probe

MODULES = ("itertools", "math", "os", "random", "sys", "time")
LEVELS = range(1, probe().level + 1)


def forked(
    before: list[str],
    candidates: list[str],
    after: str,
    tools: Mapping[str, Tool] | None = None,
    timeout_s: float = 5,
    level: int | None = None,
) -> tuple[list[Outcome], Outcome]:
    """Run `before`, each candidate in a fork of its own, then `after` in the original."""

    async def main() -> tuple[list[Outcome], Outcome]:
        async with Sandbox(tools, Limits(step_timeout_s=timeout_s), modules=MODULES, level=level) as sandbox:
            session = await sandbox.open()
            for code in before:
                await session.run(code)
            forks = await session.fork(len(candidates))
            outcomes = await asyncio.gather(*(f.run(code) for f, code in zip(forks, candidates, strict=True)))
            return outcomes, await session.run(after)

    return asyncio.run(main())


@pytest.mark.parametrize("level", LEVELS)
def test_three_candidates_that_count_up_from_ten_all_print_eleven(level: int) -> None:
    outcomes, after = forked(["total = 10"], ["total += 1\nprint(total)"] * 3, "total += 1\nprint(total)", level=level)
    assert [outcome.stdout for outcome in outcomes] == ["11\n"] * 3
    assert after.stdout == "11\n"


PLACES = """
kinds = object(), 1.5 + len('a'), [1], {2: 3}, lambda: 4, *map(bytes, range(0, 600, 16))
many = [object() for _ in range(700)], [(1, 2, object()) for _ in range(50)], [bytes(30) for _ in range(500)]
[hex(id(x)) for x in kinds], [hash(tuple(map(id, some))) for some in many]
"""


@pytest.mark.parametrize("level", LEVELS)
def test_sessions_and_forks_begin_with_the_same_memory_down_to_the_addresses_of_new_objects(level: int) -> None:
    async def main() -> list[list[str | None]]:
        async with Sandbox(modules=MODULES, level=level, workers=1) as sandbox:
            sessions = [await sandbox.open() for _ in range(5)]
            new = [(await session.run(PLACES)).value for session in sessions]
            # At level 1 forks are replays, which have lived before.
            forks = await sessions[0].fork(5) if level > 1 else sessions[1:2]
            return [new, [(await fork.run(PLACES)).value for fork in forks]]

    for places in asyncio.run(main()):
        assert len(set(places)) == 1
        assert str(places[0]).count("0x") == 43


@pytest.mark.parametrize("level", LEVELS)
def test_how_soon_an_action_follows_leaves_no_trace_in_memory(level: int) -> None:
    async def main() -> list[str | None]:
        async with Sandbox(modules=MODULES, level=level, workers=1) as sandbox:
            places = []
            for pause_s in (0.0, 0.0, 0.003, 0.0005, 0.0):  # awaited awake, or asleep
                session = await sandbox.open()
                for _ in range(8):
                    await asyncio.sleep(pause_s)
                    await session.run("x = [1]")
                places.append((await session.run(PLACES)).value)
            return places

    assert len(set(asyncio.run(main()))) == 1


def test_how_soon_an_action_follows_does_not_move_the_collection_of_garbage() -> None:
    async def main() -> list[str | None]:
        async with Sandbox(modules=["gc"], workers=1) as sandbox:
            collections = []
            for pause_s in (0.0, 0.003, 0.0, 0.003):
                session = await sandbox.open()
                await session.run("import gc\ngc.set_threshold(1)")
                for _ in range(6):
                    await asyncio.sleep(pause_s)
                    await session.run("x = [1]")
                collections.append((await session.run("gc.get_stats()[0]['collections']")).value)
            return collections

    assert len(set(asyncio.run(main()))) == 1


@pytest.mark.parametrize(
    ("before", "step", "expected"),
    [
        ("import itertools\nc = itertools.count(5)\nx = next(c)", "next(c)", "6"),
        ("items = {'a': [1]}", "items['a'].append(2)\nitems", "{'a': [1, 2]}"),
        ("import random\nrandom.seed(3)\nx = random.random()", "random.random()", "0.5442292252959519"),
        ("def f(seen=[]):\n    seen.append(1)\n    return len(seen)\nx = f()", "f()", "2"),
    ],
)
@pytest.mark.parametrize("level", LEVELS)
def test_no_kind_of_state_leaks_between_forks(before: str, step: str, expected: str, level: int) -> None:
    outcomes, after = forked([before], [step] * 3, step, level=level)
    assert [outcome.value for outcome in outcomes] == [expected] * 3
    assert after.value == expected


def test_a_losing_candidate_leaves_nothing_behind() -> None:
    (failed, defined, endless), after = forked(
        ["x = 1"],
        ["x = 2\nraise ValueError", "y = 3\ndel x", "x = 4\nwhile True:\n    pass"],
        "(x, 'y' in globals())",
        timeout_s=0.5,
    )
    assert (failed.error_kind, defined.ok, endless.error_kind) == ("execution", True, "timeout")
    assert after.value == "(1, False)"


def test_a_fork_holds_what_tools_answered_and_calls_none() -> None:
    calls: list[str] = []

    async def look_up(word: str) -> str:
        """Look a word up."""
        calls.append(word)
        if word == "nothing":
            raise LookupError("no such word")
        return f"{word} number {len(calls)}"

    tools = {"look_up": Tool("look_up", "look_up(word: str) -> str", "", look_up)}
    outcomes, _ = forked(
        ["a = look_up('first')", "try:\n    look_up('nothing')\nexcept LookupError as e:\n    b = str(e)"],
        ["(a, b)"] * 3,
        "1",
        tools,
    )
    assert [outcome.value for outcome in outcomes] == ["('first number 1', 'no such word')"] * 3
    assert calls == ["first", "nothing"]
    assert all(outcome.tool_uses == () for outcome in outcomes)


def test_many_sessions_that_fork_at_once_are_all_forked_and_none_is_rebuilt() -> None:
    async def main() -> list[set[str | None]]:
        async with Sandbox(modules=MODULES, workers=1) as sandbox:
            sessions = [await sandbox.open() for _ in range(12)]
            for session in sessions:
                await session.run("import time\nx = time.perf_counter_ns()")
            forks = await asyncio.gather(*(session.fork(4) for session in sessions))
            return [
                {(await each.run("x")).value for each in (session, *some)}
                for session, some in zip(sessions, forks, strict=True)
            ]

    assert [len(values) for values in asyncio.run(main())] == [1] * 12


def test_forks_can_be_forked_and_outlive_the_original() -> None:
    async def main() -> list[str]:
        async with Sandbox(modules=MODULES) as sandbox:
            session = await sandbox.open()
            await session.run("x = [1]")
            (fork,) = await session.fork(1)
            await session.close()
            await fork.run("x.append(2)")
            inner = await fork.fork(2)
            await fork.run("x.append(3)")
            return [str((await each.run("x")).value) for each in (fork, *inner)]

    assert asyncio.run(main()) == ["[1, 2, 3]", "[1, 2]", "[1, 2]"]


def test_a_fork_keeps_counting_actions_where_the_original_was() -> None:
    (outcome,), after = forked(["1 / 0", "def f():\n    return 1 / 0"], ["\nf()"], "\nf()")
    assert outcome.error == after.error
    assert "line 2 of action 2, in f" in str(after.error)


def test_a_state_that_cannot_be_rebuilt_is_said_to_be_so() -> None:
    async def echo(text: str) -> str:
        """The text."""
        return text

    tools = {"echo": Tool("echo", "echo(text: str) -> str", "", echo)}
    (outcome,), after = forked(
        ["import time\nx = echo(str(time.perf_counter_ns()))"], ["len(x) > 0"], "len(x) > 0", tools, level=1
    )
    assert (outcome.ok, outcome.error_kind) == (False, "sandbox")
    assert "action 1, run again to rebuild the session, failed: it called echo differently" in str(outcome.error)
    assert after.value == "True"


def test_many_that_are_rebuilt_at_once_take_longer_than_one_may_and_come_back_all_the_same() -> None:
    # Below level 2 each fork runs the record again; together they take several times the limit on two cores.
    busy = "import time\nwhile time.process_time() < 0.3:\n    pass\nx = 1"
    outcomes, _ = forked([busy], ["x"] * 12, "x", timeout_s=1, level=1)
    assert [outcome.value for outcome in outcomes] == ["1"] * 12


TELL_TALES = [
    "{object() for _ in range(9)}",
    "class A:\n    pass\n[A(), A.__init__, lambda: 0]",
    "{A(), A(), A()}",
    "id(object())",
    "hash('text'), hash(object())",
    "random.random(), random.gauss(0, 1)",
]


@pytest.mark.parametrize("code", TELL_TALES)
def test_equal_code_gives_equal_text_in_every_fork_and_in_every_run(code: str) -> None:
    before = ["import random\nclass A:\n    pass", "random.gauss(0, 1)"]
    (first, *others), _ = forked(before, [code] * 4, code)
    again, _ = forked(before, [code] * 4, code)
    assert first.ok
    assert {each.value for each in (*others, *again)} == {first.value}


def test_the_winners_process_goes_on_and_is_not_run_again() -> None:
    async def main() -> list[Outcome]:
        async with Sandbox(modules=MODULES) as sandbox:
            session = await sandbox.open()
            # What a replay would not bring back.
            await session.run("import os, time\nx = time.perf_counter_ns(), os.urandom(8)")
            seen = await session.run("x")
            winner = (await session.fork(2))[0]
            await session.close()
            return [seen, await winner.run("x")]

    seen, kept = asyncio.run(main())
    assert kept.value == seen.value


PATCH = """
import os, sys, time
for module in list(sys.modules.values()):
    if hasattr(module, 'fork_into'):
        module.fork_into = """


@pytest.mark.parametrize(
    "spoil",
    [
        "import os\nos.fork = os._exit",
        PATCH + "print",
        PATCH + "lambda channels: [1, 2]",
        PATCH + "lambda channels: time.sleep(60)",
        PATCH + "lambda channels: [os.fork() or time.sleep(60), os.fork() or time.sleep(60)]",
    ],
)
def test_a_base_that_spoils_its_forks_gets_forks_all_the_same(spoil: str) -> None:
    outcomes, after = forked(["x = 10\nimport sys", spoil], ["x += 1\nx"] * 2, "x", timeout_s=0.5)
    assert [outcome.value for outcome in outcomes] == ["11", "11"]
    assert after.value == "10"


def test_forty_forks_are_forty_sessions() -> None:
    outcomes, after = forked(["x = []"], [f"x.append({n})\nx" for n in range(40)], "x")
    assert [outcome.value for outcome in outcomes] == [f"[{n}]" for n in range(40)]
    assert after.value == "[]"


def test_a_closed_session_cannot_be_forked() -> None:
    async def main() -> None:
        async with Sandbox(modules=MODULES) as sandbox:
            session = await sandbox.open()
            await session.close()
            await session.fork(2)

    with pytest.raises(RunError, match="closed session"):
        asyncio.run(main())


def test_a_base_that_fails_at_its_fortieth_fork_leaves_none_of_the_first() -> None:
    async def main() -> tuple[int, list[Outcome]]:
        async with Sandbox(modules=MODULES, limits=Limits(step_timeout_s=1), workers=1) as sandbox:
            session = await sandbox.open()
            await session.run("x = 7")
            spoilt = await session.run(
                "import os, sys, time\ncalls = []\n"
                "def twice(channels):\n    calls.append(1)\n"
                "    return real(channels) if len(calls) == 1 else time.sleep(60)\n"
                "for module in list(sys.modules.values()):\n    if hasattr(module, 'fork_into'):\n"
                "        real = real if 'real' in globals() else module.fork_into\n        module.fork_into = twice"
            )
            assert spoilt.ok
            before = len(psutil.Process().children(recursive=True))
            forks = await session.fork(40)
            outcomes = [await fork.run("x") for fork in forks]
            await asyncio.gather(*(fork.close() for fork in forks))
            return len(psutil.Process().children(recursive=True)) - before, outcomes

    left, outcomes = asyncio.run(main())
    assert [outcome.value for outcome in outcomes] == ["7"] * 40
    assert left <= 0
