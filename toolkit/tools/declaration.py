"""`@tool`: a typed, documented Python function becomes something that model-written code may call.

    @tool
    def population(city: str, year: int = 2020) -> int:
        'Number of inhabitants of a city, which is given by its English name.'
        ...

Name, signature and docstring go into the prompt as they are. Invariant: what the function receives has the types
that it declares, and what it returns is a JSON value of bounded size; all else is an error that the model can read.
Not covered: whether the docstring is any good. The model acts on it, so write it for the model.
"""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import contextvars
import inspect
import json
import types
import typing
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Literal, NoReturn, overload

from pydantic import TypeAdapter, ValidationError

from toolkit.contracts import Effect, Tool
from toolkit.errors import InputError

RESULT_CHARS = 20_000
"""Characters of a result that are handed on, unless the tool sets its own limit."""
Function = Callable[..., object]

# Plain functions mostly wait for something; the event loop's own pool has only a handful of threads.
_THREADS = ThreadPoolExecutor(max_workers=64, thread_name_prefix="tool")


@overload
def tool(function: Function, /) -> Tool: ...


@overload
def tool(*, effect: Effect = "read", result_chars: int = RESULT_CHARS) -> Callable[[Function], Tool]: ...


def tool(
    function: Function | None = None, /, *, effect: Effect = "read", result_chars: int = RESULT_CHARS
) -> Tool | Callable[[Function], Tool]:
    """Declare a function as a tool, as `@tool` or `@tool(effect="pure")`.

    Plain functions run in a thread, async ones in the event loop. Arguments are converted to the declared types as
    pydantic does it ("5" is accepted as an int). A text result longer than `result_chars` is cut and says so; any
    other result that is longer, as JSON, is an error.

    Args:
        function: With type hints that JSON can hold, and a docstring.
        effect: `pure`: depends on its arguments only; `read`: looks at the world; `write`: changes it.
        result_chars: Longest result, in characters.

    Raises:
        InputError: a hint or the docstring is missing, a hint is none of JSON's types, or the name is taken; the
            message says what to write.
    """
    if function is None:
        return partial(_declare, effect=effect, result_chars=result_chars)
    return _declare(function, effect=effect, result_chars=result_chars)


def _declare(function: Function, *, effect: Effect, result_chars: int) -> Tool:
    name = getattr(function, "__name__", type(function).__name__)
    _check_name(name)
    if effect not in typing.get_args(Effect):
        raise InputError(f"tool {name}: effect must be one of {', '.join(typing.get_args(Effect))}, not {effect!r}")
    signature = _json_signature(name, function)
    description = inspect.getdoc(function)
    if not description:
        raise InputError(f'tool {name}: the docstring is missing; write """What it returns.""" for the model to read')
    shown = f"{name}{signature}"
    arguments = Arguments(shown, signature)

    async def call(*args: object, **kwargs: object) -> object:
        bound = arguments.bind(args, kwargs)
        return _fitted(name, await _run(function, bound), result_chars)

    call.__name__, call.__module__ = name, function.__module__
    call.__signature__ = signature  # type: ignore[attr-defined]
    made = Tool(name, shown, description, call, effect)
    collected = _collected.get()
    if collected is not None:
        collected.append(made)
    return made


_collected: contextvars.ContextVar[list[Tool] | None] = contextvars.ContextVar("_collected", default=None)


@contextlib.contextmanager
def declared() -> Iterator[list[Tool]]:
    """Every tool that is declared while it is entered, also one whose name another one then takes."""
    tools: list[Tool] = []
    token = _collected.set(tools)
    try:
        yield tools
    finally:
        _collected.reset(token)


class Arguments:
    """Turns the arguments of a call into those that the function declares."""

    def __init__(self, shown: str, signature: inspect.Signature) -> None:
        self._shown = shown
        self._signature = signature
        self._types = {name: TypeAdapter(each.annotation) for name, each in signature.parameters.items()}

    def bind(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> inspect.BoundArguments:
        """The converted arguments.

        Raises:
            TypeError: they do not fit the signature, which the message holds.
        """
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            self._refuse(str(error))
        for name, value in bound.arguments.items():
            try:
                bound.arguments[name] = self._types[name].validate_python(value)
            except ValidationError as error:
                problem = error.errors(include_url=False, include_context=False)[0]["msg"]
                self._refuse(f"{name} is {value!r:.100}: {problem[0].lower()}{problem[1:]}")
        return bound

    def _refuse(self, problem: str) -> NoReturn:
        raise TypeError(f"{problem}; call it as {self._shown}") from None


async def _run(function: Function, bound: inspect.BoundArguments) -> object:
    if inspect.iscoroutinefunction(function):
        waiting: Awaitable[object] = function(*bound.args, **bound.kwargs)
        return await waiting
    call = partial(contextvars.copy_context().run, function, *bound.args, **bound.kwargs)
    return await asyncio.get_running_loop().run_in_executor(_THREADS, call)


def _fitted(name: str, result: object, limit: int) -> object:
    if isinstance(result, str):
        if len(result) <= limit:
            return result
        return f"{result[:limit]}\n… (cut: {len(result) - limit:,} more characters)"
    try:
        length = len(json.dumps(result, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"{name} returned a {type(result).__name__} that is not a JSON value: {error}") from None
    if length > limit:
        raise ValueError(
            f"{name} returned {length:,} characters of JSON, at most {limit:,} are handed on; ask for less"
        )
    return result


def _check_name(name: str) -> None:
    if not name.isidentifier():
        raise InputError(f"a tool needs a name that code can call, not {name!r}; write it with `def`")
    if name == "final_answer" or hasattr(builtins, name):
        whose = "the agent's own final_answer" if name == "final_answer" else f"Python's own {name}"
        raise InputError(f"tool {name} would hide {whose}; rename the function, for example my_{name}")


def _json_signature(name: str, function: Function) -> inspect.Signature:
    signature = inspect.signature(function)
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError, SyntaxError) as error:
        raise InputError(f"tool {name}: a type hint cannot be resolved: {error}") from error
    parameters = []
    for each in signature.parameters.values():
        if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
            stars = "*" if each.kind == each.VAR_POSITIONAL else "**"
            raise InputError(
                f"tool {name}: parameter {stars}{each.name} takes anything; name each parameter, or take a list or dict"
            )
        if each.name not in hints:
            raise InputError(
                f"tool {name}: parameter {each.name} has no type hint; write {each.name}: str, or what it is"
            )
        _check_hint(name, f"parameter {each.name}", hints[each.name])
        _check_default(name, each)
        parameters.append(each.replace(annotation=hints[each.name]))
    if "return" not in hints:
        raise InputError(f"tool {name}: the return type is missing; write -> str, or what it returns")
    _check_hint(name, "the return type", hints["return"])
    returned = None if hints["return"] is types.NoneType else hints["return"]
    return signature.replace(parameters=parameters, return_annotation=returned)


def _check_default(name: str, parameter: inspect.Parameter) -> None:
    if parameter.default is parameter.empty:
        return
    try:
        json.dumps(parameter.default, allow_nan=False)
    except (TypeError, ValueError):
        raise InputError(
            f"tool {name}: the default of parameter {parameter.name} is a {type(parameter.default).__name__}; "
            "write a text, a number, True, False, None, a list or a dict"
        ) from None


def _check_hint(name: str, what: str, hint: Any) -> None:
    if not _is_json(hint):
        shown = getattr(hint, "__name__", None) if isinstance(hint, type) else None
        raise InputError(
            f"tool {name}: {what} is {shown or hint}, which JSON cannot hold; write str, int, float, bool, None, "
            "list[...], dict[str, ...], Literal[...] or a union of them"
        )


def _is_json(hint: Any) -> bool:
    if hint in (str, int, float, bool, types.NoneType, list, dict, Any):
        return True
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return all(value is None or isinstance(value, str | int | bool) for value in arguments)
    if origin is dict:
        return arguments[0] is str and _is_json(arguments[1])
    return origin in (list, typing.Union, types.UnionType) and all(_is_json(argument) for argument in arguments)
