"""Each limit ends the action that goes beyond it, and the session goes on where it was before."""

import asyncio
from collections.abc import Mapping

import pytest

from toolkit.contracts import Tool
from toolkit.errors import InputError
from toolkit.sandbox import Limits, Outcome, Sandbox, probe

# `os` and `ctypes` stand for what hostile code reaches through an allowed library.
MODULES = ("ctypes", "math", "os", "time")


LEVELS = range(1, probe().level + 1)


def perform(
    *codes: str, limits: Limits | None = None, tools: Mapping[str, Tool] | None = None, level: int | None = None
) -> list[Outcome]:
    async def main() -> list[Outcome]:
        async with Sandbox(tools, limits, modules=MODULES, level=level) as sandbox:
            session = await sandbox.open()
            return [await session.run(code) for code in codes]

    return asyncio.run(main())


class Counter:
    """A tool that answers with the number of its calls."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self) -> int:
        """How often this was called."""
        self.calls += 1
        return self.calls

    def tool(self) -> dict[str, Tool]:
        return {"count": Tool("count", "count() -> int", "Counts.", self.__call__)}


def test_an_action_that_runs_too_long_is_stopped_and_the_session_goes_on() -> None:
    counter = Counter()
    *_, endless, after, last = perform(
        "x = count()",
        "y = 1\nraise ValueError",
        "x = 100\nwhile True:\n    pass",
        "(x, y)",
        "x = count()\nx",
        limits=Limits(step_timeout_s=0.3),
        tools=counter.tool(),
    )
    assert (endless.ok, endless.error_kind) == (False, "timeout")
    assert endless.error is not None
    assert "longer than 0.3 s" in endless.error
    assert after.value == "(1, 1)"
    assert (last.value, counter.calls) == ("2", 2)


def test_the_time_of_tool_calls_is_not_counted() -> None:
    async def slow() -> str:
        """Wait."""
        await asyncio.sleep(0.5)
        return "done"

    tools = {"slow": Tool("slow", "slow() -> str", "Waits.", slow)}
    (outcome,) = perform("slow()", limits=Limits(step_timeout_s=0.4), tools=tools)
    assert outcome.value == "'done'"
    assert outcome.tool_uses[0].latency_ms >= 490
    assert outcome.duration_ms >= 490


@pytest.mark.parametrize("code", ["x = 'a' * (1 << 30)", "x = []\nwhile True:\n    x.append('b' * 100_000)"])
def test_memory_beyond_the_limit_is_an_error_of_the_code(code: str) -> None:
    outcome, after = perform("y = 1\n" + code, "x = None\ny", limits=Limits(memory_mb=100))
    assert outcome.error_kind == "execution"
    assert "MemoryError" in str(outcome.error)
    assert after.value == "1"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os\nos._exit(7)", "exit status 7"),
        ("import ctypes\nctypes.string_at(0)", "SIGSEGV"),
        ("import os\nos.abort()", "SIG"),
        ("import os\nos.close(3)", "lost|ended"),
    ],
)
def test_a_session_survives_the_end_of_its_process(code: str, reason: str) -> None:
    _, crashed, after = perform("x = 5", "x = 6\n" + code, "x")
    assert (crashed.ok, crashed.error_kind) == (False, "sandbox")
    assert any(part in str(crashed.error) for part in reason.split("|"))
    assert after.value == "5"


@pytest.mark.parametrize("printed", [99, 100, 101, 5_000])
def test_output_beyond_the_limit_is_counted(printed: int) -> None:
    code = f"for _ in range({printed // 10}):\n    print('0123456789', end='')\nprint('x' * {printed % 10}, end='')"
    (outcome,) = perform(code, limits=Limits(output_chars=100))
    assert len(outcome.stdout) == min(printed, 100)
    assert len(outcome.stdout) + outcome.stdout_cut_chars == printed


def test_values_and_answers_beyond_the_limit_say_so() -> None:
    value, final = perform("'a' * 500", "final_answer('b' * 500)", limits=Limits(output_chars=100))
    assert value.value == "'" + "a" * 99 + "… (402 more characters)"
    assert final.final_answer == "b" * 100 + "… (400 more characters)"


def test_a_flood_of_tool_calls_is_stopped() -> None:
    counter = Counter()
    flood, after = perform("while True:\n    count()", "1", tools=counter.tool())
    assert (flood.error_kind, len(flood.tool_uses), counter.calls) == ("tool", 200, 200)
    assert after.ok


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("code", ["open('note.txt', 'w')", "open('/tmp/note.txt', mode='ab')", "open('x', 'r+')"])
def test_no_file_is_written_for_forks_would_share_it(code: str, level: int) -> None:
    (outcome,) = perform(code, level=level)
    assert "PermissionError: files cannot be written here; keep values in variables" in str(outcome.error)


def test_no_file_grows_by_other_ways_either() -> None:
    code = "import os\nfile = os.open('big', os.O_CREAT | os.O_WRONLY)\nos.write(file, b'x')"
    for level in LEVELS:
        assert perform(code, level=level)[0].error_kind == "execution"


def test_the_environment_of_the_host_is_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "s3cret")
    (outcome,) = perform("import os\n('SECRET_TOKEN' in os.environ, 's3cret' in str(os.environ))")
    assert outcome.value == "(False, False)"


def test_a_session_holds_no_descriptor_but_its_own() -> None:
    code = """
import os
def is_open(number):
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
[number for number in range(128) if is_open(number)]
"""
    (outcome,) = perform(code)
    assert outcome.value == "[0, 1, 2, 3]"


@pytest.mark.parametrize("limits", [Limits(step_timeout_s=0), Limits(memory_mb=-1), Limits(output_chars=0)])
def test_a_limit_that_allows_nothing_is_refused(limits: Limits) -> None:
    with pytest.raises(InputError, match="must be above 0"):
        Sandbox(limits=limits)
