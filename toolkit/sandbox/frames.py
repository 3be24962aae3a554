"""What a session's process may say: a call of a tool, the report of an action, or that it has forked.

Everything that comes from it was written by hostile code, for all the host knows. Invariant: what passes here is
one of three shapes with values of the stated types, sizes and depths, and holds no text that UTF-8 cannot hold.
Not covered: whether it is true. A session that forges its report deceives only about itself.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from typing import Literal, NoReturn

HEADER = struct.Struct(">I")
"""Length of the frame's body in bytes."""
ERROR_CHARS = 4_100
"""Longest error text."""
_NOTE_CHARS = 100
"""What a note on cut text may add to the limit."""
# The session's own program keeps to less: 32 levels, 10,000 values.
_DEPTH = 40
_VALUES = 20_000
_KINDS: dict[str, Literal["none", "execution", "tool"]] = {"none": "none", "execution": "execution", "tool": "tool"}


class MalformedFrameError(Exception):
    """The frame is none that the session's program sends; the message says why."""


@dataclass(frozen=True, slots=True)
class Call:
    """The action calls a tool and waits."""

    name: str
    args: list[object]
    kwargs: dict[str, object]


@dataclass(frozen=True, slots=True)
class Report:
    """The action has ended."""

    stdout: str
    cut_chars: int
    value: str | None
    answer: str | None
    error_kind: Literal["none", "execution", "tool"]
    error: str | None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


_ENCODER = json.JSONEncoder(separators=(",", ":"))
_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def frame_limit(output_chars: int) -> int:
    """Longest frame body that a session may send, in bytes: printed text, value, answer; or a call."""
    return (1 << 18) + 16 * output_chars


def frame_of(message: dict[str, object]) -> bytes:
    """A message as it is sent to a session."""
    body = _ENCODER.encode(message).encode()
    return HEADER.pack(len(body)) + body


def read_frame(body: bytes, *, action: int, output_chars: int) -> Call | Report:
    """Check and read one frame that was sent while action number `action` ran.

    Raises:
        MalformedFrameError: not JSON, another action's, an unknown shape, too long or too deep.
    """
    message = _message(body, action)
    if "call" in message:
        _check_values(message)
        return _call(message)
    return _report(message, output_chars)


def read_forked(body: bytes, *, action: int, count: int) -> list[int]:
    """Check and read the process ids of at most `count` forks that were made after action number `action`.

    Raises:
        MalformedFrameError: anything else.
    """
    message = _message(body, action)
    forked = message.get("forked")
    if len(message) != 2 or not isinstance(forked, list) or len(forked) > count:
        raise MalformedFrameError("it was to fork and sent something else")
    if not all(type(pid) is int and 0 < pid < 1 << 31 for pid in forked) or len(set(forked)) != len(forked):
        raise MalformedFrameError("it sent process ids that are none")
    return forked


def _message(body: bytes, action: int) -> dict[str, object]:
    try:
        message = _DECODER.decode(body.decode())
    except (ValueError, RecursionError):  # a UnicodeDecodeError is a ValueError
        raise MalformedFrameError("it sent something that is not JSON") from None
    if not isinstance(message, dict) or type(message.get("action")) is not int or message["action"] != action:
        raise MalformedFrameError("it sent a message that belongs to no running action")
    return message


def _call(message: dict[str, object]) -> Call:
    name, args, kwargs = message["call"], message.get("args"), message.get("kwargs")
    if len(message) != 4 or not isinstance(name, str) or not isinstance(args, list) or not isinstance(kwargs, dict):
        raise MalformedFrameError("it sent a tool call of an unknown shape")
    return Call(name, args, kwargs)


def _report(message: dict[str, object], output_chars: int) -> Report:
    stdout = _text(message, "stdout", output_chars)
    error = _text(message, "error", ERROR_CHARS)
    kind, cut = message.get("error_kind"), message.get("cut_chars")
    if (
        len(message) != 7
        or stdout is None
        or type(cut) is not int
        or not 0 <= cut < 1 << 63
        or not isinstance(kind, str)
        or kind not in _KINDS
        or (kind == "none") != (error is None)
    ):
        raise MalformedFrameError("it sent a report of an unknown shape")
    value = _text(message, "value", output_chars + _NOTE_CHARS)
    answer = _text(message, "answer", output_chars + _NOTE_CHARS)
    return Report(stdout, cut, value, answer, _KINDS[kind], error)


def _text(message: dict[str, object], key: str, limit: int) -> str | None:
    text = message.get(key)
    if text is not None and not (isinstance(text, str) and len(text) <= limit):
        raise MalformedFrameError(f"it sent a report whose {key!r} is no text of at most {limit:,} characters")
    if text is not None:
        _check_text(text)
    return text


def _check_values(message: dict[str, object]) -> None:
    left: list[tuple[object, int]] = [(message, 0)]
    values = 0
    while left:
        value, depth = left.pop()
        if isinstance(value, str):
            _check_text(value)
        elif isinstance(value, float) and not math.isfinite(value):  # 1e999
            raise MalformedFrameError("it sent a number that JSON cannot hold")
        elif isinstance(value, list | dict):
            values += len(value)
            if depth == _DEPTH or values > _VALUES:
                raise MalformedFrameError(f"it sent more than {_VALUES:,} values, or {_DEPTH} levels of them")
            if isinstance(value, dict):
                left.extend((key, depth + 1) for key in value)
                value = list(value.values())
            left.extend((item, depth + 1) for item in value)


def _check_text(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise MalformedFrameError("it sent text that UTF-8 cannot hold") from None
