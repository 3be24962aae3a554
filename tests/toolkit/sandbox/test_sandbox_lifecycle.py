"""Whatever happens, nothing is left behind, and equal code gives equal outcomes."""

import ast
import asyncio
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

import toolkit.sandbox.child
from toolkit.contracts import Outcome
from toolkit.errors import InputError, RunError
from toolkit.sandbox import Limits, Sandbox, probe, require_level

Play = Callable[..., list[Outcome]]
MODULES = ("math", "os", "random", "time")


def leftovers() -> tuple[int, int, int]:
    """Child processes, open descriptors, and temporary files."""
    me = psutil.Process()
    return (
        len(me.children(recursive=True)),
        me.num_fds(),
        len(list(Path(tempfile.gettempdir()).iterdir())),
    )


@pytest.fixture
def own_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of other processes do not count."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("own_tmp")
def test_two_hundred_sessions_leave_nothing_behind() -> None:
    async def lead_a_life(sandbox: Sandbox, number: int) -> None:
        session = await sandbox.open()
        await session.run("x = 1")
        if number % 3 == 0:
            for fork in await session.fork(2):
                await fork.close()
        if number % 10 == 0:
            await session.run("import os\nos._exit(1)")
            await session.run("1")
        if number % 7 != 0:
            await session.close()

    async def main() -> tuple[int, int, int]:
        async with Sandbox(modules=MODULES, workers=1) as sandbox:
            await (await sandbox.open()).close()
            during = leftovers()
            for start in range(0, 200, 20):
                await asyncio.gather(*(lead_a_life(sandbox, number) for number in range(start, start + 20)))
            open_sessions = len([n for n in range(200) if n % 7 == 0])
            assert leftovers()[:2] == (during[0] + open_sessions, during[1] + open_sessions)
            return during

    before = leftovers()
    asyncio.run(main())
    assert leftovers() == before


@pytest.mark.usefixtures("own_tmp")
def test_cancellation_in_the_middle_of_actions_leaves_nothing_behind() -> None:
    async def hang() -> None:
        """Wait."""
        await asyncio.sleep(60)

    async def main() -> None:
        async with Sandbox({"hang": hang}, modules=MODULES) as sandbox:
            sessions = [await sandbox.open() for _ in range(4)]
            async with asyncio.timeout(0.3), asyncio.TaskGroup() as group:
                for number, session in enumerate(sessions):
                    group.create_task(session.run("while True: pass" if number % 2 else "hang()"))
                for _ in range(4):
                    group.create_task(sandbox.open())

    before = leftovers()
    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert leftovers() == before


@pytest.mark.usefixtures("own_tmp")
@pytest.mark.parametrize("wait_s", [0.0, 0.03, 0.2])
def test_leaving_early_leaves_nothing_behind(wait_s: float) -> None:
    async def main() -> None:
        async with Sandbox(modules=MODULES):
            await asyncio.sleep(wait_s)
            raise ZeroDivisionError

    before = leftovers()
    with pytest.raises(ZeroDivisionError):
        asyncio.run(main())
    assert leftovers() == before


@pytest.mark.usefixtures("own_tmp")
def test_a_sandbox_can_be_left_while_a_library_hangs_in_its_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hanging_library_for_test.py").write_text("import time\ntime.sleep(1e6)\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    async def main() -> None:
        async with Sandbox(modules=["hanging_library_for_test"]) as sandbox:
            opening = asyncio.create_task(sandbox.open())
            await asyncio.sleep(0.5)
            opening.cancel()

    before = leftovers()
    asyncio.run(asyncio.wait_for(main(), 8))
    assert leftovers() == before


@pytest.mark.usefixtures("own_tmp")
def test_processes_that_a_session_started_go_with_it() -> None:
    # Only root can start any. Each one leaves the session's process group.
    code = (
        "import os, time\nfor _ in range(3):\n"
        "    if os.fork() == 0:\n        os.setsid()\n        os.fork()\n        time.sleep(60)"
    )

    async def main() -> None:
        before = len(psutil.Process().children(recursive=True))
        async with Sandbox(modules=MODULES, level=1) as sandbox:
            session = await sandbox.open()
            await session.run(code)
            await session.close()
            async with asyncio.timeout(5):
                while len(psutil.Process().children(recursive=True)) > before + 2:  # keeper and zygote
                    await asyncio.sleep(0.02)

    before = leftovers()
    asyncio.run(main())
    assert leftovers() == before


def test_a_cancelled_action_is_as_if_it_had_never_run() -> None:
    async def main() -> Outcome:
        async with Sandbox(modules=MODULES) as sandbox:
            session = await sandbox.open()
            await session.run("x = 1")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await session.run("x = 2\nwhile True: pass")
            return await session.run("x")

    assert asyncio.run(main()).value == "1"


def test_closing_ends_the_action_that_runs() -> None:
    async def main() -> list[Outcome]:
        async with Sandbox(modules=MODULES) as sandbox:
            session = await sandbox.open()
            running = asyncio.create_task(session.run("while True: pass"))
            await asyncio.sleep(0.1)
            await session.close()
            await session.close()
            return [await running, await session.run("1")]

    for outcome in asyncio.run(main()):
        assert (outcome.error_kind, outcome.error) == ("sandbox", "the session is closed")


def test_actions_of_one_session_wait_for_each_other() -> None:
    async def main() -> list[Outcome]:
        async with Sandbox(modules=MODULES) as sandbox:
            session = await sandbox.open()
            await session.run("x = 0")
            return await asyncio.gather(*(session.run("x += 1\nx") for _ in range(5)))

    assert [outcome.value for outcome in asyncio.run(main())] == ["1", "2", "3", "4", "5"]


def test_sessions_outlive_their_worker() -> None:
    async def main() -> list[Outcome]:
        async with Sandbox(modules=MODULES, level=1, workers=1) as sandbox:
            first, second = await sandbox.open(), await sandbox.open()
            await first.run("x = 'kept'")
            killed = await second.run("import os\nos.kill(os.getppid(), 9)\nwhile True: pass")
            return [killed, await first.run("x"), await (await sandbox.open()).run("1")]

    killed, kept, fresh = asyncio.run(main())
    assert killed.error_kind == "sandbox"
    assert (kept.value, fresh.value) == ("'kept'", "1")


@pytest.mark.usefixtures("own_tmp")
@pytest.mark.parametrize("level", range(1, probe().level + 1))
def test_a_killed_keeper_takes_everything_along_and_sessions_come_back(level: int) -> None:
    others = psutil.Process().children(recursive=True)

    async def main() -> tuple[int, list[Outcome]]:
        async with Sandbox(modules=MODULES, level=level, workers=1) as sandbox:
            first, second = await sandbox.open(), await sandbox.open()
            await first.run("x = 'kept'")
            (fork,) = await first.fork(1)
            busy = [asyncio.create_task(each.run("while True: pass")) for each in (second, fork)]
            await asyncio.sleep(0.1)
            started = psutil.Process().children(recursive=True)
            victims = [each for each in started if each not in others]
            max(victims, key=lambda each: len(each.children())).kill()
            lost = await asyncio.gather(*busy)
            left = psutil.wait_procs(victims, timeout=5)[1]
            return len(left), [*lost, await first.run("x"), await fork.run("x")]

    before = leftovers()
    left, (*lost, kept, forked) = asyncio.run(main())
    assert left == 0
    assert [outcome.error_kind for outcome in lost] == ["sandbox", "sandbox"]
    assert (kept.value, forked.value) == ("'kept'", "'kept'")
    assert leftovers() == before


SPINNING = """
import asyncio, sys
from toolkit.sandbox import Sandbox

async def main():
    async with Sandbox(modules=["math"], level=int(sys.argv[1]), workers=1) as sandbox:
        session = await sandbox.open()
        forks = await session.fork(2)
        actions = [asyncio.create_task(each.run("while True: pass")) for each in (session, *forks)]
        print("ready", flush=True)
        await asyncio.gather(*actions)

asyncio.run(main())
"""


@pytest.mark.parametrize("level", range(1, probe().level + 1))
def test_sessions_and_forks_end_when_host_and_keeper_are_killed_together(level: int) -> None:
    command = [sys.executable, "-c", SPINNING, str(level)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"ready\n"
        below = psutil.Process(program.pid).children(recursive=True)
        keeper = max(below, key=lambda each: len(each.children()))
        program.kill()
        keeper.kill()
    _, left = psutil.wait_procs(below, timeout=10)
    for process in left:
        process.kill()
    assert left == []


CHANCE = [
    "import random\n[random.random(), random.Random().random(), random.sample(range(99), 3)]",
    "random.seed()\nrandom.random()",
    "{'alpha', 'beta', 'gamma', 'delta'}, hash('text')",
    "class A: pass\nprint(A(), A.__init__)",
]
NUMPY_CHANCE = [
    "import numpy as np\n[np.random.rand(), np.random.default_rng().random(), np.random.RandomState().rand()]",
    "import sympy\nsympy.core.random.rng.random()",
]


def told(outcomes: list[Outcome]) -> list[tuple[str, str | None, str | None]]:
    return [(each.stdout, each.value, each.error) for each in outcomes]


def test_equal_code_gives_equal_outcomes_in_two_sessions_and_in_two_sandboxes(play: Play) -> None:
    pytest.importorskip("numpy", reason="numpy is not installed")
    pytest.importorskip("sympy", reason="sympy is not installed")
    codes = CHANCE + NUMPY_CHANCE

    async def main() -> list[Outcome]:
        async with Sandbox() as sandbox:
            session = await sandbox.open()
            return [await session.run(code) for code in codes]

    first = told(play(*codes))
    assert told(play(*codes)) == first
    assert told(asyncio.run(main())) == first
    assert all(error is None for _, _, error in first)


def test_another_seed_gives_other_chance() -> None:
    async def draw(seed: int) -> Outcome:
        async with Sandbox(modules=MODULES, seed=seed) as sandbox:
            return await (await sandbox.open()).run(CHANCE[0])

    assert asyncio.run(draw(1)).value != asyncio.run(draw(2)).value


def test_level_1_is_refused_unless_it_is_asked_for() -> None:
    assert Sandbox(modules=MODULES, level=1).level == 1
    assert Sandbox(modules=MODULES).level == probe().level >= 2
    require_level(1, unsafe=True)
    require_level(2)
    with pytest.raises(InputError, match="level 1: a separate process with resource limits only.*--sandbox unsafe"):
        require_level(1)


@pytest.mark.parametrize(
    ("modules", "message"),
    [(["math", "no_such_module_here"], "not installed"), (["os.path"], "give 'os' instead")],
)
def test_a_module_that_cannot_be_allowed_is_refused(modules: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Sandbox(modules=modules)


def test_a_library_of_the_users_own_can_be_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_library_for_test.py").write_text("import os\nvalue = 7\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    async def main() -> Outcome:
        async with Sandbox(modules=["own_library_for_test"]) as sandbox:
            return await (await sandbox.open()).run("import own_library_for_test as o\no.value")

    assert asyncio.run(main()).value == "7"


@pytest.mark.usefixtures("own_tmp")
@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("raise OSError('no licence found')", "OSError: no licence found"),
        ("class Panic(BaseException): pass\nraise Panic('why it failed')", "Panic: why it failed"),
        ("raise SystemExit('not here')", "SystemExit: not here"),
        ("raise ValueError('\\udc80' + '\\U0001f600' * 3000)", "ValueError: \\?\U0001f600"),
        ("import os\nos._exit(3)", "its process ended"),
    ],
    ids=["error", "panic", "exit", "long and odd", "no word"],
)
def test_a_library_that_fails_to_load_is_told_and_nothing_is_left(
    code: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_library_for_test.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))

    async def main() -> None:
        async with Sandbox(modules=["broken_library_for_test"]) as sandbox:
            await sandbox.open()

    before = leftovers()
    with pytest.raises(RunError, match=f"did not start: {told}"):
        asyncio.run(main())
    assert leftovers() == before


def test_sessions_are_opened_inside_the_sandbox_only() -> None:
    with pytest.raises(RunError, match="async with"):
        asyncio.run(Sandbox(modules=MODULES).open())


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
def test_running_out_of_descriptors_is_told_and_the_sandbox_goes_on() -> None:
    import resource

    async def main() -> Outcome:
        async with Sandbox(modules=MODULES, limits=Limits()) as sandbox:
            first = await sandbox.open()
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) - 1, hard))
            try:
                with pytest.raises(RunError, match="open files"):
                    await sandbox.open()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            await (await sandbox.open()).run("1")
            return await first.run("2")

    assert asyncio.run(main()).value == "2"


def test_a_session_opens_while_many_descriptors_are_on_their_way_elsewhere() -> None:
    ours, theirs = socket.socketpair()

    async def main() -> Outcome:
        for _ in range(5):
            socket.send_fds(ours, [b"."], [0] * 60)
        async with Sandbox(modules=MODULES) as sandbox:
            return await (await sandbox.open()).run("1")

    with ours, theirs:
        assert asyncio.run(main()).value == "1"


def test_the_child_program_imports_the_standard_library_only() -> None:
    modules = list(Path(str(toolkit.sandbox.child.__file__)).parent.glob("*.py"))
    assert len(modules) > 5
    for module in modules:
        for node in ast.walk(ast.parse(module.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [str(node.module)]
            assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
