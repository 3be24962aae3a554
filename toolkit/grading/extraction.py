r"""The answer inside a prediction: what is boxed, what follows `The answer is`, what stands between dollars.

Idea: a model says more than the answer; the most explicit mark wins, and the last of its kind.
Invariant: a text that is nothing but an answer comes back as it is.
Not covered: answers spread over several sentences.
"""

from __future__ import annotations

import re

MAX_PREDICTION_CHARS = 2_000
"""Longer predictions are read from here to their end, where an answer stands; it bounds the time of every step."""

_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_BETWEEN_BOXES = re.compile(r"[\s$.,;]*(?:and|or)?[\s$]*")
_MARKER = re.compile(
    r"(?:answers?\b(?:[^.:=\n]{0,60}?\s)??(?:\*\*)?\s*(?:(?:is|are|was|equals)\b|:|=)|####)\s*:?\s*(?:\*\*)?\s*",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"\n\s*\n|[.!](?:\*\*)?\s+(?=[A-Z])")
_WHOLE = re.compile(r"(?:\$\$?(?P<dollar>[^$]+)\$\$?|\\\((?P<round>.+)\\\)|\\\[(?P<square>.+)\\\])[.\s]*", re.DOTALL)
_WRAPPERS = "*`'\" \t\r\n"


def stated_answer(prediction: str) -> str:
    r"""The part of `prediction` that states the answer, without `\boxed`, introduction, dollars and quotes."""
    text = prediction[-MAX_PREDICTION_CHARS:]
    boxed = _boxed(text)
    if boxed is not None:
        return boxed.strip()
    introduced = list(_MARKER.finditer(text))
    if introduced:
        text = _SENTENCE_END.split(text[introduced[-1].end() :], maxsplit=1)[0]
    text = text.strip(_WRAPPERS)
    whole = _WHOLE.fullmatch(text)
    return (whole["dollar"] or whole["round"] or whole["square"]).strip() if whole else text


def _boxed(text: str) -> str | None:
    """The last box and those joined to it by `and`, `or` or a comma, separated by commas. None: there is no box."""
    boxes: list[str] = []
    following: int | None = None
    for found in reversed(list(_BOX.finditer(text))):
        end = _group_end(text, found.end())
        if following is not None and not _BETWEEN_BOXES.fullmatch(text, end + 1, following):
            break
        boxes.append(text[found.end() : end])
        following = found.start()
    return ", ".join(reversed(boxes)) if boxes else None


def _group_end(text: str, position: int) -> int:
    """Where the brace group that begins before `position` closes; the end of the text if it never does."""
    depth = 1
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 1
        elif character in "{}":
            depth += 1 if character == "{" else -1
            if depth == 0:
                break
        position += 1
    return position
