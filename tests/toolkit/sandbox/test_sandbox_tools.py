"""Tools of the host, called from a session."""

import asyncio
import time
from collections.abc import Callable, Mapping

import pytest

from toolkit.contracts import Outcome
from toolkit.errors import InputError
from toolkit.sandbox import Sandbox

MODULES = ("decimal", "fractions", "math")


Play = Callable[..., list[Outcome]]


def perform(*codes: str, tools: Mapping[str, Callable[..., object]], timeout_s: float = 10.0) -> list[Outcome]:
    async def main() -> list[Outcome]:
        async with Sandbox(tools, modules=MODULES, tool_timeout_s=timeout_s) as sandbox:
            session = await sandbox.open()
            return [await session.run(code) for code in codes]

    return asyncio.run(main())


@pytest.mark.parametrize(
    "value",
    ["'a\\nb'", "''", "12", "-2.5", "10 ** 40", "True", "None", "[1, [2, {'k': []}]]", "{'a': 'é 🎉'}", "'\\x00'"],
)
def test_json_values_pass_unchanged_in_both_directions(play: Play, value: str) -> None:
    (outcome,) = play(f"echo({value}) == {value}")
    assert (outcome.error, outcome.value) == (None, "True")


@pytest.mark.parametrize(
    ("value", "arrives"),
    [("(1, 2)", "[1, 2]"), ("{1: 'a'}", "{'1': 'a'}"), ("fractions.Fraction(1, 2)", "0.5")],
)
def test_values_that_are_nearly_json_become_json(play: Play, value: str, arrives: str) -> None:
    (outcome,) = play(f"import fractions\necho({value})")
    assert outcome.value == arrives


def test_numbers_of_numpy_and_sympy_arrive_as_pythons(play: Play) -> None:
    pytest.importorskip("numpy", reason="numpy is not installed")
    pytest.importorskip("sympy", reason="sympy is not installed")
    code = "import numpy as np, sympy as sp\necho([np.int64(3), np.arange(2), sp.Integer(4), sp.Float(0.5)])"
    assert play(code)[0].value == "[3, [0, 1], 4, 0.5]"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("echo({1})", "TypeError: echo(): an argument is a set"),
        ("echo(float('inf'))", "ValueError: echo(): an argument is inf"),
        ("echo('x' * 1_000_000)", "ValueError: echo(): the arguments are too long"),
        ("echo(list(range(20_000)))", "ValueError: echo(): the arguments hold more than 10,000 values"),
        ("x = []\nx.append(x)\necho(x)", "or 32 levels of them"),
        ("echo(1 << 20_000)", "ValueError: echo(): an argument is an integer of 20,001 bits"),
        ("echo()", "TypeError: echo(): missing a required argument: 'value'; it is called as echo("),
        ("echo(1, tiems=2)", "TypeError: echo(): got an unexpected keyword argument 'tiems'"),
    ],
)
def test_a_call_that_cannot_be_made_says_why(play: Play, code: str, error: str) -> None:
    failed, after = play(code, "echo(1)")
    assert (failed.ok, failed.error_kind) == (False, "tool")
    assert error in str(failed.error)
    assert after.value == "1"


def test_calls_are_recorded_with_their_arguments_by_name(play: Play) -> None:
    (outcome,) = play("echo('a', times=2)\necho(value='b')\ntry:\n    echo()\nexcept TypeError:\n    pass")
    assert [(use.name, use.arguments, use.result) for use in outcome.tool_uses] == [
        ("echo", {"value": "a", "times": 2}, ["a", "a"]),
        ("echo", {"value": "b"}, "b"),
        ("echo", {}, None),
    ]
    assert [use.error is None for use in outcome.tool_uses] == [True, True, False]
    assert all(use.latency_ms > 0 and not use.cached for use in outcome.tool_uses)


@pytest.mark.parametrize("raised", [ValueError("bad"), KeyError("bad"), FileNotFoundError("bad"), TimeoutError("bad")])
def test_an_exception_of_a_tool_is_raised_in_the_action(raised: Exception) -> None:
    def fail() -> None:
        raise raised

    name = type(raised).__name__
    uncaught, caught = perform(
        "x = 1\nfail()", f"try:\n    fail()\nexcept {name} as e:\n    print(x, e)", tools={"fail": fail}
    )
    assert uncaught.error_kind == "tool"
    assert str(uncaught.error).startswith(f"line 2: {name}: ")
    assert (caught.error_kind, caught.stdout) == ("none", f"1 {raised}\n")


def test_an_exception_that_python_does_not_know_keeps_its_name() -> None:
    class QuotaExceededError(Exception):
        pass

    def fail() -> None:
        raise QuotaExceededError("come back tomorrow")

    (outcome,) = perform("fail()", tools={"fail": fail})
    assert outcome.error == "line 1: ToolError: QuotaExceededError: come back tomorrow\n    fail()"
    assert outcome.tool_uses[0].error == "QuotaExceededError: come back tomorrow"


@pytest.mark.parametrize("result", [{1, 2}, object(), float("nan"), b"bytes"])
def test_a_result_that_json_cannot_hold_is_an_error_of_the_tool(result: object) -> None:
    (outcome,) = perform("give()", tools={"give": lambda: result})
    assert outcome.error_kind == "tool"
    assert "not a JSON value" in str(outcome.error)


def test_text_of_a_tool_that_utf8_cannot_hold_arrives_with_question_marks() -> None:
    def fail() -> None:
        raise ValueError("a\ud800")

    (outcome,) = perform(
        "try:\n    fail()\nexcept ValueError as e:\n    x = str(e)\nx + give()",
        tools={"fail": fail, "give": lambda: "\udfff"},
    )
    assert outcome.value == "'a??'"
    assert [use.error or use.result for use in outcome.tool_uses] == ["ValueError: a?", "?"]


def test_a_tool_that_hangs_fails_in_the_action() -> None:
    async def hang() -> None:
        await asyncio.sleep(60)

    hung, after = perform("hang()", "1", tools={"hang": hang}, timeout_s=0.2)
    assert "TimeoutError: hang gave no answer within 0.2 s" in str(hung.error)
    assert after.ok


def test_async_tools_of_32_sessions_run_at_the_same_time() -> None:
    async def main() -> list[Outcome]:
        everyone = asyncio.Barrier(32)

        async def meet(name: str) -> str:
            """Wait until all 32 are here."""
            async with everyone:
                return f"met {name}"

        async with Sandbox({"meet": meet}, modules=MODULES, tool_timeout_s=20) as sandbox:
            sessions = await asyncio.gather(*(sandbox.open() for _ in range(32)))
            return await asyncio.gather(*(s.run(f"meet('{i}')") for i, s in enumerate(sessions)))

    assert [outcome.value for outcome in asyncio.run(main())] == [f"'met {i}'" for i in range(32)]


def test_plain_functions_do_not_hold_up_the_event_loop() -> None:
    async def main() -> int:
        async with Sandbox({"block": lambda: time.sleep(0.5)}, modules=MODULES) as sandbox:
            session = await sandbox.open()
            running, ticks = asyncio.create_task(session.run("block()")), 0
            while not running.done():
                await asyncio.sleep(0.01)
                ticks += 1
            return ticks

    assert asyncio.run(main()) >= 10


def test_functions_without_a_readable_signature_are_called_all_the_same() -> None:
    (outcome,) = perform("highest(3, 9, 4)", tools={"highest": max})
    assert outcome.value == "9"
    assert outcome.tool_uses[0].arguments == {"args": [3, 9, 4]}


@pytest.mark.parametrize("name", ["final_answer", "print", "two words", "class", ""])
def test_a_name_that_hides_something_or_cannot_be_called_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="tool name"):
        Sandbox({name: max})
