"""The thought and the code in a turn of a smolagents CodeAgent, as the library finds them.

Two ways of speaking: ```` ```py … ```<end_code> ```` up to 1.13 and `<code>…</code>` in
1.2x; both libraries join several blocks with a blank line. Text after the last block
stays in the completion only.
Source: `parse_code_blobs` of smolagents 1.13.0 and 1.26.0.
"""

from __future__ import annotations

import re
from typing import Literal

from toolkit.errors import RecordError
from toolkit.formats.json_values import decode

Speech = Literal["smolagents", "smolagents-1.13"]

_TAGS = (re.compile(r"<code>"), "</code>")
_FENCES = (re.compile(r"```(?:python|py)?\n"), "\n```")
_THOUGHT = re.compile(r"\s*Thoughts?:[ \t]*")


def split_turn(completion: str) -> tuple[str | None, str | None]:
    """Thought and code; None where there is none.

    The thought is what stands before the first block, without the labels `Thought:` and `Code:`.
    """
    if completion.startswith("{") and (structured := _structured(completion)) is not None:
        return structured
    blocks = _blocks(completion, *_TAGS) or _blocks(completion, *_FENCES)
    before = completion[: blocks[0][0]] if blocks else completion
    label = _THOUGHT.match(before)
    thought = before[label.end() if label else 0 :]
    if blocks:
        thought = _without_code_label(thought)
    code = "\n\n".join(completion[start:end].strip() for _, start, end in blocks)
    # 1.2x adds the closing tag also to a turn that never opened one.
    return thought.strip().removesuffix("</code>").rstrip() or None, code or None


def _blocks(text: str, opening: re.Pattern[str], closing: str) -> list[tuple[int, int, int]]:
    """Of each block where its tag, its code and its closing tag begin.

    What the libraries match with `opening(.*?)closing`, but in linear time: these texts are hostile.
    """
    blocks: list[tuple[int, int, int]] = []
    after = 0
    while (tag := opening.search(text, after)) and (end := text.find(closing, tag.end())) >= 0:
        blocks.append((tag.start(), tag.end(), end))
        after = end + len(closing)
    return blocks


def _without_code_label(thought: str) -> str:
    text = thought.rstrip()
    return text.removesuffix("Code:") if text.endswith(("\nCode:", " Code:")) or text == "Code:" else text


def _structured(completion: str) -> tuple[str | None, str | None] | None:
    """A turn of `use_structured_outputs_internally`: a JSON object with thought and code. None: it is none."""
    try:
        turn = decode(completion)
    except RecordError:
        return None
    assert isinstance(turn, dict)
    thought, code = turn.get("thought"), turn.get("code")
    return (thought if isinstance(thought, str) else None), (code if isinstance(code, str) else None)


def speech_of(completions: list[str]) -> Speech | None:
    """How the first turn with a code tag speaks; 1.2x adds a missing closing tag itself. None: there is none."""
    for completion in completions:
        if "<code>" in completion or "</code>" in completion:
            return "smolagents"
        if "```" in completion or "<end_code>" in completion:
            return "smolagents-1.13"
    return None
