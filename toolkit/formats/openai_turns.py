"""One assistant turn of an OpenAI chat and what answered it, as a step.

`code` writes the calls as `name(argument='value')` lines. `observation` is the results in
the order of the calls, then what users or systems said before the next assistant turn,
joined by newlines. A result belongs to the call with its `tool_call_id`; without an id to
the first call without a result (of that name, if it names one). Results whose call is not
in their turn are kept as observation and named as a loss.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from toolkit.errors import RecordError
from toolkit.formats.chat_content import Losses, Message, content_text, role_of
from toolkit.formats.json_values import describe, excerpt, json_text
from toolkit.formats.parsed import ParsedCall, ParsedStep
from toolkit.formats.tool_calls import read_call, render_calls

TOOL_ROLES = ("tool", "function")
SYSTEM_ROLES = ("system", "developer")

_READ = ("role", "content", "tool_calls", "function_call", "tool_call_id", "reasoning_content", "reasoning")


@dataclass(slots=True)
class Turn:
    """A message and, of an assistant's, those that follow it up to the next assistant's."""

    role: str
    place: str
    message: Message
    replies: list[Turn] = field(default_factory=list)


def split_turns(messages: list[Message], name: str) -> tuple[list[Turn], list[Turn]]:
    """The messages before the first assistant turn, and the assistant turns with their replies.

    Raises:
        RecordError: a role is missing or unknown.
    """
    opening: list[Turn] = []
    turns: list[Turn] = []
    for position, message in enumerate(messages):
        place = f"{name}[{position}]"
        turn = Turn(role_of(message, place), place, message)
        if turn.role == "assistant":
            turns.append(turn)
        elif turn.role == "user" or turn.role in SYSTEM_ROLES or turn.role in TOOL_ROLES:
            (turns[-1].replies if turns else opening).append(turn)
        else:
            expected = "system, developer, user, assistant, tool or function"
            raise RecordError(f'expected {place} to have the role {expected}, came "{excerpt(turn.role)}"')
    return opening, turns


def read_turn(turn: Turn, losses: Losses, *, is_last: bool) -> ParsedStep:
    """The step of an assistant turn.

    Raises:
        RecordError: a call names no function, or content is neither text nor parts.
    """
    _note_fields(turn, losses)
    text = content_text(turn.message.get("content"), turn.place, losses)
    step = ParsedStep(completion=text)
    faults = []
    for position, raw in enumerate(_raw_calls(turn)):
        call, fault = read_call(raw, f"{turn.place}.tool_calls[{position}]")
        step.tool_calls.append(call)
        faults += [fault] if fault else []
    if faults:
        step.error_kind, step.error = "parse", "; ".join(faults)
    step.code = render_calls(step.tool_calls)
    reasoning = turn.message.get("reasoning_content") or turn.message.get("reasoning")
    thoughts = [reasoning if isinstance(reasoning, str) else "", text if step.tool_calls else ""]
    step.thought = "\n\n".join(thought for thought in thoughts if thought) or None
    step.observation = _observe(step.tool_calls, turn.replies, losses)
    if any(call.result is None for call in step.tool_calls) and (turn.replies or not is_last):
        losses["tool call without a result"] = None
    return step


def _note_fields(turn: Turn, losses: Losses) -> None:
    """Name the fields that no column takes; the name of a tool's turn says which tool it was."""
    for name, value in turn.message.items():
        if name not in _READ and value not in (None, "", [], {}) and (name, turn.role in TOOL_ROLES) != ("name", True):
            losses[f'message field "{excerpt(name)}"'] = None


def _raw_calls(turn: Turn) -> list[object]:
    calls = turn.message.get("tool_calls")
    if calls is not None and not isinstance(calls, list):
        raise RecordError(f"expected {turn.place}.tool_calls to be a list, came {describe(calls)}")
    old = turn.message.get("function_call")
    return [call for call in [*(calls or []), old] if call is not None]


def _observe(calls: list[ParsedCall], replies: list[Turn], losses: Losses) -> str | None:
    """What the turn got back; puts each result to its call."""
    results: dict[int, str] = {}
    said: list[str] = []
    for reply in replies:
        _note_fields(reply, losses)
        if reply.role not in TOOL_ROLES:
            losses[f"{reply.role} turn in mid-conversation kept as observation"] = None
            said.append(content_text(reply.message.get("content"), reply.place, losses))
            continue
        text, result = _result(reply, losses)
        position = _answered(calls, reply.message)
        if position is None:
            losses["tool result without a call kept as observation"] = None
            said.append(text)
        else:
            results[position] = text
            calls[position].result = result
    texts = [*(results[position] for position in sorted(results)), *said]
    return "\n".join(texts) if texts else None


def _answered(calls: list[ParsedCall], message: Message) -> int | None:
    call_id, name = message.get("tool_call_id"), message.get("name")
    for position, call in enumerate(calls):
        if call.result is not None:
            continue
        if call.call_id == call_id if call_id else name in (None, "", call.name):
            return position
    return None


def _result(reply: Turn, losses: Losses) -> tuple[str, str]:
    """A tool's result as the agent was shown it, and as JSON. Structured content is its own JSON."""
    content = reply.message.get("content")
    parts = isinstance(content, list) and all(isinstance(part, dict) and "type" in part for part in content)
    if content is None or isinstance(content, str) or parts:
        text = content_text(content, reply.place, losses)
        return text, json_text(text)
    return json_text(content), json_text(content)
