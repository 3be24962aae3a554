"""The messages of a chat record: their roles, and their content as text.

Text parts are put together without a separator, as chat templates render them; a part
that is not text is left out and named as a loss.
"""

from __future__ import annotations

from toolkit.errors import RecordError
from toolkit.formats.json_values import describe, excerpt

Message = dict[str, object]

Losses = dict[str, None]
"""An ordered set of phrases: each kind of loss is named once a record."""

_TEXT_PARTS = ("text", "input_text", "output_text")


def messages_of(record: dict[str, object], *names: str) -> tuple[str, list[Message]]:
    """The first of the fields `names` that is there, and its messages.

    Raises:
        RecordError: none is there, or it is not a list of objects, or it is empty.
    """
    name = next((name for name in names if record.get(name) is not None), None)
    if name is None:
        expected = " or ".join(f'"{name}"' for name in names)
        raise RecordError(f"expected {expected} with a list of messages, came {describe(record)}")
    return name, objects(record[name], name)


def objects(value: object, name: str) -> list[Message]:
    """`value` if it is a list of objects with at least one in it.

    Raises:
        RecordError: it is not.
    """
    if not isinstance(value, list) or not value:
        raise RecordError(f"expected {name} to be a list of objects, came {describe(value)}")
    for position, item in enumerate(value):
        if not isinstance(item, dict):
            raise RecordError(f"expected {name}[{position}] to be an object, came {describe(item)}")
    return value


def role_of(message: Message, place: str) -> str:
    """The message's role.

    Raises:
        RecordError: it is missing or not text.
    """
    role = message.get("role")
    if not isinstance(role, str):
        raise RecordError(f"expected {place} to have a role, came {describe(message)}")
    return role


def content_text(content: object, place: str, losses: Losses) -> str:
    """The text of a message; "" for null.

    Raises:
        RecordError: `content` is neither text nor a list of parts.
    """
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if not isinstance(content, list):
        raise RecordError(f"expected {place}.content to be text or a list of parts, came {describe(content)}")
    return "".join(_part_text(part, place, losses) for part in content)


def _part_text(part: object, place: str, losses: Losses) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        raise RecordError(f"expected the parts of {place}.content to be objects, came {describe(part)}")
    kind, text = part.get("type", "text"), part.get("text")
    if kind in _TEXT_PARTS and (text is None or isinstance(text, str)):
        return text or ""
    if not isinstance(kind, str) or kind in _TEXT_PARTS:
        raise RecordError(f"expected the parts of {place}.content to have a type and a text, came {describe(part)}")
    losses[f"{excerpt(kind)} content part"] = None
    return ""
