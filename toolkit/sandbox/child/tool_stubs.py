"""The host's tools as functions of the session: a call is sent to the host and waits for its answer.

Invariant: arguments and results are JSON values. What a tool raises in the host is raised here as an
exception that is both a `ToolError` and, where it was a common built-in one, that one.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

from .channel import Channel, FrameTooLargeError

_DEPTH = 32
_VALUES = 10_000
_INTEGER_BITS = 10_000
_BUILTIN = (
    TypeError, ValueError, LookupError, KeyError, IndexError, RuntimeError, TimeoutError, ArithmeticError,
    ZeroDivisionError, OverflowError, NotImplementedError, OSError, FileNotFoundError, PermissionError, ConnectionError,
)  # fmt: skip


class ToolError(Exception):
    """A tool failed, or was called in a way that it does not understand."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


_ERRORS: dict[str, type[ToolError]] = {base.__name__: type(base.__name__, (ToolError, base), {}) for base in _BUILTIN}


def tool_error(name: str, message: str) -> ToolError:
    """The exception to raise for one called `name` in the host."""
    if name in _ERRORS:
        return _ERRORS[name](message)
    return ToolError(message if name == "ToolError" else f"{name}: {message}")


def stub(name: str, documentation: str, channel: Channel, action: Callable[[], int]) -> Callable[..., object]:
    """The function `name`; `action` gives the number of the action that is running."""

    def call(*args: object, **kwargs: object) -> object:
        try:
            plain = _Plain()
            message: dict[str, object] = {
                "action": action(),
                "call": name,
                "args": [plain(value) for value in args],
                "kwargs": {key: plain(value) for key, value in kwargs.items()},
            }
            channel.send(message)
        except FrameTooLargeError as error:
            raise tool_error("ValueError", f"{name}(): the arguments are too long: {error}") from None
        except (TypeError, ValueError) as error:
            raise tool_error(type(error).__name__, f"{name}(): {error}") from None
        reply: dict[str, Any] = channel.receive()
        if "error" in reply:
            raise tool_error(reply["error"], reply["message"])
        return reply["result"]

    call.__name__ = call.__qualname__ = name
    call.__doc__ = documentation
    return call


class _Plain:
    """Turns values into JSON values and counts them; numbers and arrays of numpy and sympy become Python's."""

    def __init__(self) -> None:
        self._left = _VALUES

    def __call__(self, value: object, depth: int = _DEPTH) -> object:
        self._left -= 1
        if depth == 0 or self._left < 0:
            raise ValueError(f"the arguments hold more than {_VALUES:,} values, or {_DEPTH} levels of them")
        if value is None or isinstance(value, str | bool):
            return value
        if isinstance(value, list | tuple):
            return [self(item, depth - 1) for item in value]
        if isinstance(value, dict):
            return {str(key): self(item, depth - 1) for key, item in value.items()}
        if hasattr(value, "tolist"):
            return self(value.tolist(), depth - 1)
        if isinstance(value, numbers.Integral):
            return _integer(int(value))
        if isinstance(value, numbers.Real) or getattr(value, "is_Float", False):
            return _finite(float(value))  # type: ignore[arg-type]
        kind = type(value).__name__
        raise TypeError(f"an argument is a {kind}; tools take text, numbers, True, False, None, lists and dicts")


def _integer(value: int) -> int:
    if value.bit_length() > _INTEGER_BITS:
        raise ValueError(
            f"an argument is an integer of {value.bit_length():,} bits, at most {_INTEGER_BITS:,} are taken"
        )
    return value


def _finite(value: float) -> float:
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError(f"an argument is {value}, which JSON cannot hold")
    return value
