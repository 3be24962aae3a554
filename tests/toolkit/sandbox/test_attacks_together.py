"""Attacks that take several sessions, the host's eyes, or the death of a keeper or zygote."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest
from attacks import PRELUDE

from toolkit.errors import RunError
from toolkit.sandbox import Limits, Outcome, Sandbox, probe

MODULES = ("ctypes", "errno", "os", "socket", "struct", "sys", "time")
CONFINED = [
    pytest.param(level, marks=pytest.mark.skipif(probe().level < level, reason=f"no level {level} here"))
    for level in (3, 2)
]
DEAF = f"{PRELUDE}\nchild('channel').Channel.request = lambda self: time.sleep(1e6)"
GREEDY = f"""{PRELUDE}
def fork_into(channels):
    for _ in channels:
        if child('siblings').fork_sibling() == 0:
            time.sleep(1e6)
    return []
child('session').fork_into = fork_into
"""


OTHERS: set[psutil.Process] = set()
"""Children that were there before the sandbox: those of other tests of this run."""


def inside(level: int, play: Callable[[Sandbox], Awaitable[None]], timeout_s: float = 3.0) -> None:
    OTHERS.clear()
    OTHERS.update(psutil.Process().children(recursive=True))

    async def main() -> None:
        async with Sandbox(modules=MODULES, level=level, workers=1, limits=Limits(timeout_s, 100)) as sandbox:
            await play(sandbox)

    asyncio.run(main())


def alive() -> list[psutil.Process]:
    """The sandbox's processes, without the dead that nobody has buried yet."""
    return [process for process in set(psutil.Process().children(recursive=True)) - OTHERS if is_alive(process)]


def is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):  # it may end between any two looks at it
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("level", CONFINED)
def test_fork_orders_that_nobody_reads_do_not_keep_sessions_from_starting(level: int) -> None:
    async def play(sandbox: Sandbox) -> None:
        deaf = [await sandbox.open() for _ in range(6)]
        for session in deaf:
            assert (await session.run(DEAF)).ok
        orders = [asyncio.create_task(session.fork(32)) for session in deaf]
        await asyncio.sleep(0.2)
        assert not any(order.done() for order in orders)
        assert (await (await sandbox.open()).run("1 + 1")).value == "2"
        for order in orders:
            order.cancel()
        await asyncio.gather(*orders, return_exceptions=True)

    inside(level, play, timeout_s=60)


@pytest.mark.parametrize("level", CONFINED)
def test_forks_that_a_session_keeps_for_itself_are_ended(level: int) -> None:
    async def play(sandbox: Sandbox) -> None:
        session = await sandbox.open()
        before = len(alive())
        assert (await session.run(GREEDY)).ok
        for _ in range(3):
            for fork in await session.fork(10):
                await fork.close()
        await until(lambda: len(alive()) <= before)
        assert (await session.run("x")).value == "'before'"

    inside(level, play)


@pytest.mark.parametrize("level", CONFINED)
def test_sessions_share_no_memory_and_no_standard_input(level: int) -> None:
    async def play(sandbox: Sandbox) -> None:
        first, second = await sandbox.open(), await sandbox.open()
        writing = (
            "import os\ntry:\n    os.write(os.open('/proc/self/fd/0', os.O_RDWR), b'x')\nexcept OSError:\n    pass"
        )
        assert (await first.run(writing)).ok
        assert (await second.run("import os\nos.read(0, 9)")).value == "b''"
        flags = "ctypes.c_size_t(4096), 3, 0x22, -1, 0"
        mapping = (
            f"{PRELUDE}\nlibc.mmap.restype = ctypes.c_void_p\nat = libc.mmap(0, {flags})\nctypes.memset(at, 65, 3)"
        )
        assert (await first.run(mapping)).ok
        one, other = await first.fork(2)
        assert (await one.run("_ = ctypes.memset(at, 66, 3)")).ok
        assert [(await s.run("ctypes.string_at(at, 3)")).value for s in (first, one, other)] == [
            "b'AAA'", "b'BBB'", "b'AAA'",
        ]  # fmt: skip

    inside(level, play)


def _memory(process: psutil.Process) -> bytes:
    """All that a process can read of itself, as far as the kernel shows it to us."""
    found = []
    with open(f"/proc/{process.pid}/maps") as maps, open(f"/proc/{process.pid}/mem", "rb") as memory:
        for line in maps:
            span, rights, *_ = line.split()
            if "r" in rights and "[v" not in line:
                start, end = (int(number, 16) for number in span.split("-"))
                memory.seek(start)
                found.append(memory.read(end - start))
    return b"".join(found)


@pytest.mark.parametrize("level", CONFINED)
def test_no_secret_of_the_host_is_in_the_memory_of_its_sandbox(level: int, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = secrets.token_hex(16)
    monkeypatch.setenv("CANARY_TOKEN", secret)

    async def play(sandbox: Sandbox) -> None:
        session = await sandbox.open()
        assert (await session.run(f"planted = '{'ab' * 20}'")).ok
        looked_at = [process for process in alive() if process.name() != "bwrap"]
        assert len(looked_at) == 3, "keeper, zygote and session"
        try:
            memories = [_memory(process) for process in looked_at]
        except PermissionError:
            pytest.skip("this user may not read the memory of its own confined processes")
        assert [b"ab" * 20 in memory for memory in memories].count(True) == 1
        assert not any(secret.encode() in memory for memory in memories)

    inside(level, play)


@pytest.mark.parametrize("level", CONFINED)
@pytest.mark.parametrize("victim", ["keeper", "zygote"])
def test_a_killed_keeper_or_zygote_takes_honest_and_hostile_sessions_along(level: int, victim: str) -> None:
    async def play(sandbox: Sandbox) -> None:
        before = {process.pid for process in alive()}
        kept, hostile = await sandbox.open(), await sandbox.open()
        assert (await kept.run("x = 'kept'")).ok
        assert (await hostile.run(GREEDY)).ok
        honest_forks, hostile_forks = await kept.fork(3), await hostile.fork(3)
        looping = asyncio.create_task(hostile_forks[0].run("while True: pass"))
        tree = alive()
        (keeper,) = [p for p in tree if p.name() != "bwrap" and p.parent() not in set(tree) - _wrappers(tree)]
        zygote = min(keeper.children(), key=lambda process: process.pid)
        {"keeper": keeper, "zygote": zygote}[victim].send_signal(signal.SIGKILL)
        assert (await looping).error_kind in ("sandbox", "timeout")
        await until(lambda: not any(is_alive(process) for process in tree if process.pid not in before))
        assert (await kept.run("x")).value == "'kept'"
        assert (await honest_forks[1].run("x")).value == "'kept'"

    inside(level, play)


def _wrappers(processes: list[psutil.Process]) -> set[psutil.Process]:
    return {process for process in processes if process.name() == "bwrap"}


HOSTILE = (
    "while True: pass",
    "os._exit(3)",
    "ctypes.string_at(0)",
    "while True:\n    try:\n        child('siblings').fork_sibling()\n    except OSError:\n        pass",
    "os.write(3, b'\\xff' * 4)",
    "a = [0]\nwhile True: a += a",
    "child('session').fork_into = lambda channels: [1, os.getppid(), os.getpid()]",
    "child('session').fork_into = lambda channels: os._exit(1)",
    GREEDY,
)


@pytest.mark.parametrize("level", CONFINED)
def test_honest_sessions_are_right_in_the_middle_of_hostile_ones(level: int) -> None:
    async def be_hostile(sandbox: Sandbox, number: int) -> None:
        session = await sandbox.open()
        await session.run(PRELUDE)
        for turn in range(3):
            await session.run(HOSTILE[(number + turn) % len(HOSTILE)])
            for fork in await session.fork(3):
                await fork.run("x")
                await fork.close()
        await session.close()

    async def be_honest(sandbox: Sandbox, number: int) -> list[Outcome]:
        session = await sandbox.open()
        await session.run(f"import os\ntoken = os.urandom(8).hex()\nx = {number}")
        first = await session.run("token")
        outcomes = []
        for _ in range(5):
            forks = await session.fork(3)
            for fork in forks:
                await fork.run("x += 1")
                outcomes.append(await fork.run("(x, token)"))
                await fork.close()
        assert [outcome.value for outcome in outcomes] == [f"({number + 1}, {first.value})"] * 15
        await session.close()
        return outcomes

    async def play(sandbox: Sandbox) -> None:
        await (await sandbox.open()).close()
        before, open_files = len(alive()), psutil.Process().num_fds()
        async with asyncio.TaskGroup() as group:
            for number in range(9):
                group.create_task(be_hostile(sandbox, number))
            for number in range(4):
                group.create_task(be_honest(sandbox, number))
        await until(lambda: len(alive()) == before and psutil.Process().num_fds() == open_files)

    inside(level, play, timeout_s=1.5)


@pytest.mark.parametrize("level", CONFINED)
def test_a_fork_that_is_made_after_the_answer_does_not_stay(level: int) -> None:
    late = """
def fork_into(channels):
    os.write(3, frame('{"action": 2, "forked": []}'))
    until = time.perf_counter() + $DELAY
    while time.perf_counter() < until:
        pass
    try:
        if child('siblings').fork_sibling() == 0:
            time.sleep(1e6)
    except OSError:
        pass
    time.sleep(1e6)
child('session').fork_into = fork_into
"""

    async def play(sandbox: Sandbox) -> None:
        await (await sandbox.open()).close()
        before = len(alive())
        for attempt in range(75):
            session = await sandbox.open()
            assert (await session.run(PRELUDE)).ok
            assert (await session.run(late.replace("$DELAY", str(attempt * 1.5e-5)))).ok
            (fork,) = await session.fork(1)
            # Nobody is buried now, which would end strays as well. The session may sit there until its next action.
            await until(lambda: len(alive()) <= before + 2)
            await fork.close()
            await session.close()

    inside(level, play)


@pytest.mark.skipif(os.geteuid() == 0, reason="the limit does not bind root; test_attacks_unprivileged.py runs this")
@pytest.mark.parametrize("level", CONFINED)
def test_a_user_who_can_have_no_more_processes_is_told_at_once(level: int) -> None:
    async def play(sandbox: Sandbox) -> None:
        session = await sandbox.open()
        for process in alive():
            process.rlimit(psutil.RLIMIT_NPROC, (1, 1))
        async with asyncio.timeout(10):
            with pytest.raises(RunError, match="Resource temporarily unavailable"):
                await sandbox.open()
        assert (await session.run("1 + 1")).value == "2"

    inside(level, play)


@pytest.mark.parametrize("level", CONFINED)
def test_a_session_that_names_the_zygote_as_its_fork_and_dies_harms_nobody(level: int) -> None:
    lying = PRELUDE + (
        'zygote = os.getppid() + 1\nforged = frame(\'{"action": 1, "forked": [%d]}\' % zygote)\n'
        "child('session').fork_into = lambda channels: (os.write(3, forged), os._exit(0))"
    )

    async def play(sandbox: Sandbox) -> None:
        neighbour = await sandbox.open()
        token = (await neighbour.run("import os\ntoken = os.urandom(8).hex()\ntoken")).value
        for _ in range(20):
            liar = await sandbox.open()
            assert (await liar.run(lying)).ok
            for fork in await liar.fork(1):
                await fork.close()
            await liar.close()
        assert (await neighbour.run("token")).value == token

    inside(level, play)


@pytest.mark.parametrize("level", CONFINED)
def test_an_order_to_fork_that_is_given_up_leaves_no_late_answer(level: int) -> None:
    slow = f"{PRELUDE}\nsession = child('session')\ntrue = session.fork_into\n"
    slow += "session.fork_into = lambda channels: time.sleep(0.3) or true(channels)"

    async def play(sandbox: Sandbox) -> None:
        session = await sandbox.open()
        assert (await session.run(slow)).ok
        before = len(alive())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await session.fork(3)
        assert (await session.run("x")).value == "'before'"
        await until(lambda: len(alive()) == before)

    inside(level, play)


@pytest.mark.skipif(probe().level < 2, reason="no level 2 here")
def test_forks_that_were_never_made_do_not_count_as_work_of_their_zygote() -> None:
    async def zygotes(sandbox: Sandbox) -> list[int]:
        """How many of four new sessions each zygote has; at level 2 a session sees its own as its parent."""
        opened = [await sandbox.open() for _ in range(4)]
        parents = Counter([(await session.run("import os\nos.getppid()")).value for session in opened])
        for session in opened:
            await session.close()
        return sorted(parents.values())

    async def main() -> list[int]:
        async with Sandbox(modules=MODULES, workers=2, level=2) as sandbox, asyncio.timeout(20):
            while await zygotes(sandbox) != [2, 2]:
                pass  # the second one is still starting
            hostile = await sandbox.open()
            assert (await hostile.run(PRELUDE + "child('session').fork_into = lambda channels: ['x']")).ok
            for _ in range(3):
                for fork in await hostile.fork(4):
                    await fork.close()
            await hostile.close()
            return await zygotes(sandbox)

    assert asyncio.run(main()) == [2, 2]


def test_a_closed_sandbox_refuses_forks_of_its_sessions(tmp_path: Path) -> None:
    async def main() -> None:
        async with Sandbox(modules=MODULES) as sandbox:
            session = await sandbox.open()
            await session.run("x = 1")
        with pytest.raises(RunError):
            await session.fork(2)

    descriptors = len(os.listdir("/proc/self/fd"))
    asyncio.run(main())
    assert len(os.listdir("/proc/self/fd")) == descriptors
