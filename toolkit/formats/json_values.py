"""JSON texts of strangers into values and back, without silent change.

Invariant: a value that `decode` returns holds only what JSON can say (no NaN, no lone
surrogate, nesting at most `MAX_DEPTH`) with every integer exact, so `json_text` can
write it again. orjson alone would turn integers beyond 64 bits into floats.
Not covered: of a repeated key the last value counts, as in every common parser.
"""

from __future__ import annotations

import json
import math
import re

import orjson

from toolkit.errors import RecordError

MAX_DEPTH = 100
"""Lists and objects may stand inside each other this deep; real records need fewer than 20."""

_DIGITS_AS_ZERO = bytes(ord("0") if chr(byte).isdigit() and byte < 128 else ord(" ") for byte in range(256))
_LONG_INTEGER = b"0" * 19
_NOT_JSON = re.compile(r"-?(?:NaN|Infinity)")


def decode(text: bytes | str) -> object:
    """The value of one JSON text in UTF-8, without byte order mark.

    Raises:
        RecordError: what was expected, the column (in characters, from 1) and what came.
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise RecordError(_decode_message(data, error)) from error
    # Ten times faster than a regular expression.
    if _LONG_INTEGER in data.translate(_DIGITS_AS_ZERO):
        value = _exact(data)
    # Counting brackets is cheap and settles nearly every record; only the rest is walked.
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH and depth(value) > MAX_DEPTH:
        raise RecordError(f"expected lists and objects nested at most {MAX_DEPTH} deep, came {depth(value)}")
    return value


def _exact(data: bytes) -> object:
    """`data`, which orjson found to be JSON, with integers as long as a float can be (308 digits).

    Raises:
        RecordError: the nesting is deeper than Python's stack.
    """
    try:
        return json.loads(data)
    except RecursionError as error:
        raise RecordError(f"expected lists and objects nested at most {MAX_DEPTH} deep") from error


def _decode_message(data: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as broken:
        column = len(data[: broken.start].decode("utf-8", "replace")) + 1
        return f"expected UTF-8, column {column} holds the byte 0x{data[broken.start]:02x}"
    place = f"line {error.lineno}, column {error.colno}" if error.lineno > 1 else f"column {error.colno}"
    near = text[max(0, error.pos - 20) : error.pos + 20]
    found = _NOT_JSON.search(text, max(0, error.pos - 1), error.pos + 9)
    reason = f"{found.group()} is not JSON" if found else error.msg
    return f"expected JSON, {place}: {reason}, near {near!r}"


def depth(value: object) -> int:
    """How deep lists and objects stand inside each other; 0 for a scalar."""
    level = [value] if isinstance(value, (list, dict)) else []
    levels = 0
    while level:
        levels += 1
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (list, dict))
        ]
    return levels


def json_text(value: object) -> str:
    """JSON text of `value`: keys in their order, no spaces, Unicode kept.

    Raises:
        RecordError: `value` holds NaN, an infinity, a lone surrogate or something JSON cannot express.
    """
    try:
        return orjson.dumps(value).decode() if isinstance(value, str) else _dump(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise RecordError(f"expected a value that JSON can express, came {describe(value)}: {error}") from error


def _dump(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text.encode()  # raises UnicodeEncodeError, a ValueError, on a lone surrogate
    return text


def describe(value: object) -> str:
    """`value` in a few words for an error message, at most about 60 characters."""
    if isinstance(value, dict):
        keys = ", ".join(f'"{key}"' for key in list(value)[:4])
        return f"an object with {excerpt(keys)}" if value else "an empty object"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    if isinstance(value, str):
        return f'the string "{excerpt(value)}"'
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"the number {excerpt(str(value))}"


def excerpt(text: str, limit: int = 40) -> str:
    """The first `limit` characters of `text` on one line, with an ellipsis if there are more.

    Characters that a terminal would act on are replaced: the text is a stranger's.
    """
    flat = " ".join(text[:limit].split())
    safe = "".join(character if character.isprintable() else "\ufffd" for character in flat)
    return f"{safe}…" if len(text) > limit else safe


def number(value: object, name: str) -> float:
    """A JSON number, or a truth value as 1 or 0, as a float.

    Raises:
        RecordError: `value` is neither, or beyond the range of a float.
    """
    try:
        if isinstance(value, (int, float)) and math.isfinite(value):
            return float(value)
    except OverflowError:
        pass
    raise RecordError(f"expected {name} to be a number, came {describe(value)}")


def count(value: object, name: str) -> int:
    """A JSON integer from 0 to 2**63 - 1.

    Raises:
        RecordError: `value` is anything else.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
        return value
    raise RecordError(f"expected {name} to be a number of tokens, came {describe(value)}")
