"""A turn of a conversation, with what training must know about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Turn:
    """One message."""

    role: str
    content: str
    weight: float = 0.0
    """Loss weight of the words and of the token that ends the turn; of the assistant's turns only."""
    prefix_chars: int = 0
    """Leading characters of `content` that were injected and are not trained."""
    is_ended: bool = True
    """Whether the model ended the turn itself. If not (it was cut off), the token that ends it is not trained."""


def folded(turns: Sequence[Turn]) -> list[Turn]:
    """The same conversation without a system turn: its text stands at the head of the first user's turn.

    For templates that refuse a system turn or leave it out, such as those of Gemma.
    """
    if not turns or turns[0].role != "system":
        return list(turns)
    system, *rest = turns
    if not rest or rest[0].role != "user":
        return [Turn("user", system.content), *rest]
    return [Turn("user", f"{system.content}\n\n{rest[0].content}"), *rest[1:]]
