r"""Chain of thought: the prompts, the paragraph that becomes a first thought, and the answer.

Two uses: the teacher's chain of thought lends its first paragraph to the agent (first-thought
prefix), and students without tools are trained on whole chains as a baseline, with or without
passages in the prompt. Teacher and student get the same prompt. The answer stands on a last line
`Final answer: …`; a boxed one is understood as well.
Not covered: which of several answers on one line is meant (`toolkit.grading` reads on from here).
Source: Kang et al. 2025, arXiv 2505.17612, section 4.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from toolkit.contracts import Identity, Passage
from toolkit.dialects.prompts import Prompts
from toolkit.dialects.turns import passages_turn

_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")
_FINAL = re.compile(
    r"^[ \t>#*_-]*(?:the[ ])?final answer[ \t*_]*(?:is\b[ \t]*:?|:)[ \t*_]*", re.IGNORECASE | re.MULTILINE
)
_BOX = re.compile(r"\\boxed\s*\{")


class ChainOfThought:
    """How a chain of thought is asked for; the same whatever dialect the agents speak.

    Args:
        templates_dir: a directory with the user's own templates. None: the shipped ones.

    Raises:
        InputError: a template is wrong.
    """

    name = "cot"
    version = "1"
    """Raised with every change of this module or of `passages_turn`; templates are hashed instead."""

    def __init__(self, templates_dir: Path | None = None) -> None:
        self._prompts = Prompts(templates_dir)
        for with_passages in (False, True):
            self.identity(with_passages=with_passages)
            self.system_prompt(with_passages=with_passages)

    def identity(self, *, with_passages: bool = False) -> Identity:
        """What changes the turns: name, version and the hash of the template used."""
        hashes = self._prompts.hashes([_template(with_passages)])
        return {"name": self.name, "version": self.version, "templates": hashes}

    def system_prompt(self, *, with_passages: bool = False) -> str:
        """System prompt; `with_passages` if the task turn comes with passages."""
        return self._prompts.render(_template(with_passages))

    def task_turn(self, question: str, passages: Sequence[Passage] | None = None) -> str:
        """User turn that puts the question, after the passages. None: without passages."""
        return question if passages is None else passages_turn(question, passages)


def first_paragraph(chain_of_thought: str) -> str:
    """The text up to the first blank line: what becomes the agent's first thought.

    Without surrounding white space; blank lines in front of all text do not count. Empty if there is
    no text.
    """
    return _BLANK_LINE.split(chain_of_thought.strip(), maxsplit=1)[0].rstrip()


def final_answer(chain_of_thought: str) -> str | None:
    r"""The answer that a chain of thought ends with, or None if it states none.

    The last line `Final answer: …` counts, or the line after it if it ends there; without such a line
    the last `\boxed{…}`. Of an answer line with a box only the box's content counts.
    """
    lines = list(_FINAL.finditer(chain_of_thought))
    if lines:
        rest = chain_of_thought[lines[-1].end() :].lstrip().split("\n", 1)[0]
        answer = _boxed(rest) or rest.strip(" \t\r*_")
        if answer:
            return answer
    return _boxed(chain_of_thought)


def _template(with_passages: bool) -> str:
    return "cot_passages" if with_passages else "cot"


def _boxed(text: str) -> str | None:
    """The content of the last box that is closed. None: there is none, or it is empty."""
    for box in reversed(list(_BOX.finditer(text))):
        depth, position = 1, box.end()
        while position < len(text) and depth:
            character = text[position]
            depth += (character == "{") - (character == "}")
            position += 2 if character == "\\" else 1
        if not depth:
            return text[box.end() : position - 1].strip() or None
    return None
