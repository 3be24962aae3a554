"""What `@tool` makes of a function, and which functions it refuses."""

import asyncio
from collections.abc import Callable
from typing import Any, Literal, Optional

import pytest

from toolkit.contracts import Tool
from toolkit.errors import InputError
from toolkit.sandbox import Sandbox
from toolkit.tools import tool


@tool
def distance(
    start: str, goals: list[str], unit: Literal["km", "miles"] = "km", *, rounded: bool = False
) -> float | None:
    """Distance by road.

    Args:
        start: A town.
        goals: Other towns, in order.
        unit: Of the result.
    """
    return len(start) + len(goals) + (0.0 if rounded else 0.5)


@tool(effect="pure")
async def double(number: int) -> int:
    """Twice the number."""
    await asyncio.sleep(0)
    return 2 * number


def called(each: Tool, *args: object, **kwargs: object) -> object:
    async def main() -> object:
        return await each.call(*args, **kwargs)

    return asyncio.run(main())


def test_the_prompt_sees_name_signature_and_docstring() -> None:
    assert distance.name == "distance"
    assert distance.signature == (
        "distance(start: str, goals: list[str], unit: Literal['km', 'miles'] = 'km', *, rounded: bool = False)"
        " -> float | None"
    )
    assert distance.description.splitlines() == [
        "Distance by road.",
        "",
        "Args:",
        "    start: A town.",
        "    goals: Other towns, in order.",
        "    unit: Of the result.",
    ]


def test_the_effect_is_read_unless_said_otherwise() -> None:
    assert (distance.effect, double.effect) == ("read", "pure")


def test_plain_and_async_functions_are_called_alike() -> None:
    assert called(distance, "ab", ["c"], rounded=True) == 3.0
    assert called(double, number=4) == 8


def test_arguments_are_converted_to_the_declared_types() -> None:
    assert called(double, "21") == called(double, 21.0) == 42


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (("many",), "number is 'many': input should be a valid integer"),
        ((1.5,), "number is 1.5: input should be a valid integer"),
        ((), "missing a required argument: 'number'"),
        ((1, 2), "too many positional arguments"),
    ],
)
def test_arguments_that_do_not_fit_are_told_with_the_signature(args: tuple[object, ...], problem: str) -> None:
    with pytest.raises(TypeError, match=problem) as caught:
        called(double, *args)
    assert str(caught.value).endswith("call it as double(number: int) -> int")


def test_the_model_reads_the_signature_when_it_calls_a_tool_wrongly() -> None:
    async def main() -> tuple[str, object]:
        async with Sandbox({"double": double}, modules=["math"]) as sandbox:
            session = await sandbox.open()
            wrong, right = await session.run("double('many')"), await session.run("double('21')")
            assert right.tool_uses[0].arguments == {"number": "21"}
            return str(wrong.error), right.value

    error, value = asyncio.run(main())
    assert error.startswith("line 1: TypeError: number is 'many': input should be a valid integer")
    assert "double(number: int) -> int" in error
    assert value == "42"


def test_a_long_text_is_cut_and_says_so() -> None:
    @tool(result_chars=10)
    def recite(n: int) -> str:
        """N letters."""
        return "x" * n

    assert called(recite, 10) == "x" * 10
    assert called(recite, 1_500) == "x" * 10 + "\n… (cut: 1,490 more characters)"


def test_a_long_list_is_an_error_because_half_of_it_would_mislead() -> None:
    @tool(result_chars=10)
    def count(n: int) -> list[int]:
        """Numbers from 0."""
        return list(range(n))

    assert called(count, 3) == [0, 1, 2]
    with pytest.raises(ValueError, match="count returned 12 characters of JSON, at most 10 are handed on"):
        called(count, 4)


def test_a_result_that_json_cannot_hold_is_refused() -> None:
    @tool
    def members() -> list[str]:
        """Names."""
        return {"a"}

    with pytest.raises(TypeError, match="members returned a set that is not a JSON value"):
        called(members)


def no_hint(city, year: int = 2020) -> int:
    """Inhabitants."""
    return 1


def no_return(city: str):
    """Inhabitants."""


def no_docstring(city: str) -> int:
    return 1


def many(*cities: str) -> int:
    """Inhabitants."""
    return 1


def any_option(**options: str) -> int:
    """Inhabitants."""
    return 1


def takes_set(cities: set[str]) -> int:
    """Inhabitants."""
    return 1


def takes_numbers_as_keys(cities: dict[int, str]) -> int:
    """Inhabitants."""
    return 1


def returns_bytes(city: str) -> bytes:
    """Inhabitants."""
    return b""


def odd_default(city: str = object()) -> int:
    """Inhabitants."""
    return 1


def unknown_hint(city: "Town") -> int:  # noqa: F821
    """Inhabitants."""
    return 1


def final_answer(answer: str) -> str:
    """Answer."""
    return answer


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (no_hint, "tool no_hint: parameter city has no type hint; write city: str"),
        (no_return, "tool no_return: the return type is missing; write -> str"),
        (no_docstring, 'tool no_docstring: the docstring is missing; write """'),
        (many, r"tool many: parameter \*cities takes anything; name each parameter"),
        (any_option, r"tool any_option: parameter \*\*options takes anything"),
        (takes_set, r"tool takes_set: parameter cities is set\[str\], which JSON cannot hold; write str, int"),
        (takes_numbers_as_keys, "tool takes_numbers_as_keys: parameter cities is dict"),
        (returns_bytes, "tool returns_bytes: the return type is bytes, which JSON cannot hold"),
        (odd_default, "tool odd_default: the default of parameter city is a object"),
        (unknown_hint, "tool unknown_hint: a type hint cannot be resolved: name 'Town' is not defined"),
        (final_answer, "tool final_answer would hide the agent's own final_answer; rename the function"),
        (lambda: 1, "a tool needs a name that code can call, not '<lambda>'"),
    ],
)
def test_a_function_that_cannot_be_a_tool_is_refused_with_what_to_write(
    function: Callable[..., object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        tool(function)


def test_a_name_of_pythons_own_is_refused() -> None:
    def sum(numbers: list[float]) -> float:
        """Total."""
        return 0.0

    with pytest.raises(
        InputError, match="tool sum would hide Python's own sum; rename the function, for example my_sum"
    ):
        tool(sum)


def test_an_unknown_effect_is_refused() -> None:
    with pytest.raises(InputError, match="effect must be one of pure, read, write, not 'none'"):
        tool(effect="none")(no_return)


@pytest.mark.parametrize(
    "hint",
    [str, int, float, bool, None, list, dict, Any, Optional[int], list[dict[str, Any]], Literal["a", 1, None]],  # noqa: UP045
)
def test_every_json_type_may_be_declared(hint: Any) -> None:
    def take(value: Any) -> Any:
        """The value."""
        return value

    take.__annotations__ = {"value": hint, "return": hint}
    assert tool(take).name == "take"
