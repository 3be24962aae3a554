"""Structured tool calls of chat records, and how they are written as an action.

Invariant: arguments stay as the model wrote them. Text that is not a JSON object is kept
as `{"_raw": text}` and the step is a parse error, which is what the model did.
"""

from __future__ import annotations

import keyword

from toolkit.errors import RecordError
from toolkit.formats.json_values import decode, describe, excerpt, json_text
from toolkit.formats.parsed import ParsedCall

FINAL_ANSWER = "final_answer"
"""The tool whose call ends a rollout, here as in smolagents."""

Fault = str | None


def read_call(call: object, place: str) -> tuple[ParsedCall, Fault]:
    """One OpenAI tool call, `{id, function: {name, arguments}}` or flat `{id, name, arguments}`.

    The fault says why the arguments are no JSON object, or is None.

    Raises:
        RecordError: there is no function name.
    """
    if not isinstance(call, dict):
        raise RecordError(f"expected {place} to be an object, came {describe(call)}")
    function = call.get("function", call)
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(function, dict) or not isinstance(name, str) or not name:
        raise RecordError(f"expected {place} to name a function, came {describe(function)}")
    call_id = call.get("id")
    arguments, fault = _arguments(function.get("arguments"))
    return ParsedCall(name, arguments, call_id=call_id if isinstance(call_id, str) else None), fault


def _arguments(value: object) -> tuple[str, Fault]:
    """Arguments as the text of a JSON object; servers send "" or null for a call without any."""
    if value is None or value == "":
        return "{}", None
    if isinstance(value, dict):
        return json_text(value), None
    if not isinstance(value, str):
        return json_text({"_raw": value}), f"expected arguments to be a JSON object, came {describe(value)}"
    try:
        parsed = decode(value)
    except RecordError as error:
        return json_text({"_raw": value}), f"arguments {excerpt(value)!r}: {error.reason}"
    if isinstance(parsed, dict):
        return value, None
    return json_text({"_raw": value}), f"expected arguments to be a JSON object, came {describe(parsed)}"


def render_call(name: str, arguments: str) -> str:
    """The call as one line of Python, `name(argument='value')`; names Python does not allow go through `**`."""
    values = decode(arguments)
    assert isinstance(values, dict)
    plain = {key: value for key, value in values.items() if key.isidentifier() and not keyword.iskeyword(key)}
    odd = {key: value for key, value in values.items() if key not in plain}
    parts = [f"{key}={value!r}" for key, value in plain.items()]
    return f"{name}({', '.join([*parts, f'**{odd!r}'] if odd else parts)})"


def render_calls(calls: list[ParsedCall]) -> str | None:
    """One line a call, in order. None without any call."""
    return "\n".join(render_call(call.name, call.arguments) for call in calls) or None


def final_argument(call: ParsedCall) -> object:
    """The one argument of a call of `final_answer`; None if there is another number of them."""
    values = decode(call.arguments)
    return next(iter(values.values())) if isinstance(values, dict) and len(values) == 1 else None
