"""Reads a turn: the thought, and the one block of code that is run.

Idea: accept what can only mean one thing, and answer everything else with advice.

- Accepted: no thought; no `Thought:` or `Code:` label, or a bold one; a fence labelled `py`,
  `python`, `python3`, or not at all; code directly after a line `Code:`, up to a closing mark or
  the end; a closing fence at the end of the last line of code; text behind the block (ignored);
  blocks in other languages before it (part of the thought).
- Cut off: everything from a line that begins with `Observation:` outside of a block. The model
  invented it, and an answer built on it must not count.
- Errors: two blocks (which one was meant is not certain, and the second was written without seeing
  the first one's output), a block without end, an empty one, no block at all.

Invariants: never raises, whatever the text; time is linear in its length; no Python is parsed here,
for model-written text could exhaust the host's parser, so syntax errors are the sandbox's to report.
Not covered: code that holds a closing mark on a line of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.contracts import ParsedAction


@dataclass(frozen=True, slots=True)
class Marks:
    """What stands before and after code."""

    opening: re.Pattern[str]
    """Group `label`: the language, empty if it is not named."""
    closing: re.Pattern[str]
    open_text: str
    """The opening mark as advice shows it."""
    close_text: str
    """The closing mark as advice shows it."""


FENCES = Marks(
    opening=re.compile(r"```(?P<label>[\w+#.-]*)[ \t\r]*(?:\n|\Z)"),
    closing=re.compile(r"(?:\n|(?<=\n))[ \t]*```(?:<end_code>)?[ \t\r]*(?=\n|\Z)|```\s*\Z"),
    open_text="```py",
    close_text="```",
)
TAGS = Marks(
    opening=re.compile(r"<(?P<label>code)>\n?"),
    closing=re.compile(r"\n?</code>"),
    open_text="<code>",
    close_text="</code>",
)

_PYTHON = frozenset({"py", "python", "python3", "code"})
_OBSERVATION = re.compile(r"^Observation:", re.MULTILINE)
_BARE = re.compile(r"^[ \t]*\*{0,2}Code:\*{0,2}[ \t\r]*\n(?!\s*(?:```|<code>))", re.MULTILINE)
_THOUGHT = re.compile(r"\s*\*{0,2}Thoughts?\*{0,2}:\*{0,2}[ \t]*")
_CODE_LABEL = re.compile(r"(?:\A|\s)\*{0,2}Code\*{0,2}:\*{0,2}\s*\Z")
_ANSWER = re.compile(r"final[ _]answer", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Block:
    start: int
    label: str
    code: str
    is_closed: bool


def parse_turn(completion: str, marks: Sequence[Marks]) -> ParsedAction:
    """Thought and code of a turn, or advice.

    Args:
        completion: the whole turn, a forced beginning included.
        marks: those of the dialect first; the others are tried where the first do not occur.
    """
    used = next((mark for mark in marks if mark.opening.search(completion)), marks[0])
    blocks, end = _blocks(completion, used)
    turn = completion[:end]
    python = [block for block in blocks if block.label in _PYTHON]
    bare = _bare(turn, used)
    if bare is not None and not any(block.is_closed for block in python):
        chosen = [bare]
    else:
        chosen = python or [block for block in blocks if not block.label]
    if len(chosen) == 1 and chosen[0].is_closed and chosen[0].code.strip():
        return ParsedAction(_thought(turn[: chosen[0].start]), chosen[0].code)
    said = turn[: blocks[0].start] if blocks else turn
    advice = _advice(chosen, blocks, marks[0], said, was_cut=end < len(completion))
    return ParsedAction(_thought(said), None, advice)


def _blocks(text: str, marks: Marks) -> tuple[list[_Block], int]:
    """The blocks in their order, and where the turn ends: before the first invented observation."""
    blocks: list[_Block] = []
    position = 0
    while True:
        opened = marks.opening.search(text, position)
        invented = _OBSERVATION.search(text, position, opened.start() if opened else len(text))
        if invented:
            return blocks, invented.start()
        if opened is None:
            return blocks, len(text)
        closed = marks.closing.search(text, opened.end())
        code = text[opened.end() : closed.start() if closed else len(text)]
        blocks.append(_Block(opened.start(), opened["label"].lower(), code, closed is not None))
        if closed is None:
            return blocks, len(text)
        position = closed.end()


def _bare(turn: str, marks: Marks) -> _Block | None:
    """Code that follows a line `Code:` without an opening mark."""
    label = _BARE.search(turn)
    if label is None:
        return None
    closed = marks.closing.search(turn, label.end())
    code = turn[label.end() : closed.start() if closed else len(turn)].strip("\r\n")
    return _Block(label.start(), "", code, is_closed=True)


def _thought(text: str) -> str | None:
    code_label = _CODE_LABEL.search(text)
    text = text[: code_label.start()] if code_label else text
    label = _THOUGHT.match(text)
    return text[label.end() if label else 0 :].strip() or None


def _advice(chosen: list[_Block], blocks: list[_Block], marks: Marks, said: str, *, was_cut: bool) -> str:
    if len(chosen) > 1:
        return (
            f"There are {len(chosen)} code blocks, but a turn has one, so nothing was run. Put everything that "
            "belongs together into one block, or write the first block only and wait for its observation."
        )
    if chosen and not chosen[0].is_closed:
        return (
            f"The code block has no end, so nothing was run: the turn was cut off at its token limit, or the closing "
            f"{marks.close_text} is missing. Write shorter code and end it with {marks.close_text}."
        )
    if chosen:
        return "The code block is empty, so nothing was run. Write the Python code of this step into it."
    if blocks:
        return (
            f"The block is labelled {blocks[0].label[:20]}, but only Python is run. "
            f"Write Python code and open the block with {marks.open_text}."
        )
    if was_cut:
        return (
            "There is no code block, so nothing was run, and the observation that you wrote yourself does not count. "
            "Write the code and end your turn; then you are shown what it really prints."
        )
    if _ANSWER.search(said):
        return (
            "The answer stands outside of a code block, so it does not count. "
            f"To give it, call final_answer inside a block that begins with {marks.open_text}."
        )
    return (
        f"There is no code block, so nothing was run. After the thought, write one that begins with {marks.open_text}."
    )
