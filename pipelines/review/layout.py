"""The labelling page: question, gold and final answer, one card a step, a verdict on the whole.

Invariant: `QUESTIONS` and the page say the same; a test compares them. `LAYOUT` is part of what makes two
projects of one title the same, so every change of it is a change for projects that exist.
Not covered: `<Chat>`, which only the Enterprise edition can show; `<Repeater>` makes the cards.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from importlib import resources

STARS = 5
"""Of the rating; one star is 0, all are 1."""
INDEX = "{{idx}}"
"""Stands in the page for the number of a step."""


@dataclass(frozen=True, slots=True)
class Question:
    """One thing that people are asked on the page."""

    name: str
    """`from_name` of the answer; ends in `_{{idx}}` if it is asked of every step."""
    to_name: str
    kind: str
    """`type` of the answer: choices, number, rating or textarea."""
    choices: tuple[str, ...] = ()

    @property
    def of_steps(self) -> bool:
        """Whether it is asked of every step."""
        return self.name.endswith(INDEX)

    @property
    def value_key(self) -> str:
        """Where the answer stands in the `value` of a result."""
        return "text" if self.kind == "textarea" else self.kind

    def pattern(self) -> re.Pattern[str]:
        """Matches the names of its answers, with the step in the group `step`."""
        return re.compile(re.escape(self.name).replace(re.escape(INDEX), r"(?P<step>\d{1,9})"))


STEP_VERDICT = Question(f"step_{INDEX}", f"code_{INDEX}", "choices", ("correct", "wrong", "unsure"))
STEP_EDIT = Question(f"edit_{INDEX}", f"code_{INDEX}", "textarea")
FIRST_WRONG = Question("first_wrong_step", "question", "number")
VERDICT = Question("verdict", "question", "choices", ("accepted", "rejected", "unsure"))
RATING = Question("rating", "question", "rating")
COMMENT = Question("comment", "question", "textarea")
QUESTIONS = (STEP_VERDICT, STEP_EDIT, FIRST_WRONG, VERDICT, RATING, COMMENT)


def layout() -> str:
    """The page, in Label Studio's XML."""
    return resources.files(__package__).joinpath("layout.xml").read_text(encoding="utf-8")


def same_layout(one: str, other: str) -> bool:
    """Whether two pages differ in spelling only."""
    try:
        return ET.canonicalize(one, strip_text=True) == ET.canonicalize(other, strip_text=True)
    except ET.ParseError:
        return False
