"""Where a chat template puts each text of a conversation, and what it puts around them.

Found by rendering marks in place of the texts, once for each sequence of roles. Invariant: `fill` proves the
layout on the real texts: what it says equals, character for character, what the template renders. White space that
a template strips (Llama-3, Gemma) and reasoning that it drops from earlier turns (Qwen3) are followed; any other
change of a text is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from jinja2 import TemplateError

from toolkit.errors import InputError

_MARK = re.compile(r"\s*MARK(\d{4})KRAM\s*")
_SPACE = " \n "


class Piece(NamedTuple):
    """The template's own text, and the message that follows it."""

    literal: str
    message: int | None
    """None: nothing follows."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How one sequence of roles is rendered."""

    pieces: tuple[Piece, ...]
    stripped: dict[int, tuple[bool, bool]]
    """By message: whether white space at its beginning and at its end is stripped."""

    def texts(self, contents: Sequence[str]) -> list[str]:
        """The contents as this layout shows them, as far as white space goes."""
        shown = []
        for number, content in enumerate(contents):
            left, right = self.stripped[number]
            content = content.lstrip() if left else content
            shown.append(content.rstrip() if right else content)
        return shown

    def fill(self, texts: Sequence[str]) -> str:
        """The whole rendering with these texts."""
        return "".join(piece.literal + ("" if piece.message is None else texts[piece.message]) for piece in self.pieces)


class TemplateRefusal(Exception):
    """The template raises for these roles, or leaves a message out."""


def render(tokenizer: Any, messages: Sequence[dict[str, str]], *, ask: bool) -> str:
    """What the template makes of `messages`; with `ask` it goes on to the assistant's turn.

    Raises:
        TemplateRefusal: it raises.
    """
    try:
        text: str = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=ask)
    except (TemplateError, ValueError, TypeError, KeyError) as error:
        raise TemplateRefusal(f"the chat template refuses the messages: {error}") from error
    return text


def find_layout(tokenizer: Any, roles: Sequence[str], *, ask: bool) -> Layout:
    """The layout of `roles`.

    Raises:
        TemplateRefusal: the template raises, or a message is left out, or shown twice.
    """
    pieces = _split(_marked(tokenizer, roles, "", ask=ask), roles)
    spaced = _marked(tokenizer, roles, _SPACE, ask=ask)
    stripped = {}
    for number in range(len(roles)):
        mark = _mark(number)
        stripped[number] = (f"{_SPACE}{mark}" not in spaced, f"{mark}{_SPACE}" not in spaced)
    return Layout(pieces, stripped)


def _marked(tokenizer: Any, roles: Sequence[str], space: str, *, ask: bool) -> str:
    marked = [{"role": role, "content": f"{space}{_mark(number)}{space}"} for number, role in enumerate(roles)]
    return render(tokenizer, marked, ask=ask)


def _mark(number: int) -> str:
    return f"MARK{number:04}KRAM"


def _split(text: str, roles: Sequence[str]) -> tuple[Piece, ...]:
    pieces, position, seen = [], 0, []
    for found in re.finditer(r"MARK(\d{4})KRAM", text):
        pieces.append(Piece(text[position : found.start()], int(found.group(1))))
        seen.append(int(found.group(1)))
        position = found.end()
    for number, role in enumerate(roles):
        if seen.count(number) != 1:
            how = "leaves out" if number not in seen else "repeats"
            raise TemplateRefusal(f"the chat template {how} the text of message {number + 1} (role {role!r})")
    return (*pieces, Piece(text[position:], None))


def shown_texts(layout: Layout, contents: Sequence[str], roles: Sequence[str], rendered: str) -> list[str]:
    """The texts as `rendered`, the template's rendering of `contents`, shows them.

    Raises:
        InputError: a text is changed otherwise than by stripped white space or dropped reasoning.
    """
    texts = layout.texts(contents)
    if layout.fill(texts) == rendered:
        return texts
    position = 0
    for index, piece in enumerate(layout.pieces):
        if not rendered.startswith(piece.literal, position):
            raise InputError(f"the chat template does not put {piece.literal[-40:]!r} before message {index + 1}")
        position += len(piece.literal)
        if piece.message is None:
            continue
        number, text = piece.message, texts[piece.message]
        after = layout.pieces[index + 1]
        if roles[number] == "assistant" and not rendered.startswith(text + after.literal, position):
            text = _kept_end(text, after.literal, rendered, position)
        if not rendered.startswith(text, position):
            raise InputError(
                f"the chat template changes the text of message {number + 1} (role {roles[number]!r}): "
                f"expected {text[:60]!r}, got {rendered[position : position + 60]!r}"
            )
        texts[number] = text
        position += len(text)
    return texts


def _kept_end(text: str, after: str, rendered: str, position: int) -> str:
    """What is left of an assistant's text without the reasoning at its beginning."""
    end = rendered.find(after, position) if after else len(rendered)
    while end >= 0:
        if text.endswith(rendered[position:end]):
            return rendered[position:end]
        end = rendered.find(after, end + 1)
    return text
