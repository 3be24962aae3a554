"""The steps that lead from a question to its answer, for a teacher that may only say what it has read.

A plan is a list of operations. `#1`, `#2`, … stand for the results of earlier operations, in
sub-questions, queries, subjects, expressions, values and labels. Three operations suffice for
Minipedia and for MuSiQue, whose `question_decomposition` becomes lookups without `subject`,
`attribute` and `sentence`:

    {"op": "lookup", "question": "Who wrote Leaving Suna?", "query": "author of Leaving Suna",
     "title": "Leaving Suna", "answer": "Miku Ropa", "subject": "Leaving Suna", "attribute": "author",
     "sentence": "Its author is Miku Ropa."}
    {"op": "compute", "expression": "round(#1 / #2, 2)", "answer": "3.14"}
    {"op": "compare", "values": ["#1", "#2"], "labels": ["River Desa", "#3"], "choose": "max", "answer": "River Desa"}

Invariants: a reference points at an earlier operation; the last operation's answer answers the
question; an `expression` is Python that needs no names but `abs` and `round`; a lookup's `answer` stands
verbatim in the passage called `title`, inside `sentence` where that is given.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

REFERENCE = re.compile(r"#(\d+)")
"""Stands for the result of an operation, numbered from 1."""


class _Operation(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    def referenced(self) -> list[int]:
        """The numbers of the operations that this one needs."""
        raise NotImplementedError


class Lookup(_Operation):
    """Find one value by searching and reading."""

    op: Literal["lookup"] = "lookup"
    question: str = Field(min_length=1)
    """The sub-question in words, such as "Who founded #1?"."""
    query: str = Field(min_length=1)
    """What to search for; made of the question's words and earlier results only."""
    title: str = Field(min_length=1)
    """Title of the passage in which the value stands. Not known to one who only reads the question."""
    answer: str = Field(min_length=1)
    """The value, verbatim as in the passage."""
    subject: str | None = None
    """What it is a value of: a name, or `#n`. None: the sub-question says it all."""
    attribute: str | None = None
    """Which value of the subject, as `kind.attribute`. None: the sub-question says it all."""
    sentence: str | None = None
    """The sentence of the passage that states the value. None: not annotated."""

    def referenced(self) -> list[int]:
        """Those in sub-question, query and subject."""
        return references(f"{self.question} {self.query} {self.subject}")


class Compute(_Operation):
    """Calculate a number from earlier results and from numbers of the question."""

    op: Literal["compute"] = "compute"
    expression: str = Field(min_length=1)
    """Python, such as `#1 + #2` or `round(#1 / 12, 2)`."""
    answer: str = Field(min_length=1)
    """The result; decimals without trailing zeros."""

    def referenced(self) -> list[int]:
        """Those in the expression."""
        return references(self.expression)


class Compare(_Operation):
    """Choose the label whose value is greatest or smallest."""

    op: Literal["compare"] = "compare"
    values: tuple[str, ...] = Field(min_length=2)
    """Numbers or references to numbers; no two are equal."""
    labels: tuple[str, ...] = Field(min_length=2)
    """What each value belongs to: a name, or a reference to a name."""
    choose: Literal["max", "min"]
    """Which value wins; of years, `max` is the later one."""
    answer: str = Field(min_length=1)
    """The winner's label."""

    @model_validator(mode="after")
    def _aligned(self) -> Compare:
        if len(self.values) != len(self.labels):
            raise ValueError(f"{len(self.values)} values cannot belong to {len(self.labels)} labels")
        return self

    def referenced(self) -> list[int]:
        """Those in values and labels."""
        return references(" ".join((*self.values, *self.labels)))


Operation = Annotated[Lookup | Compute | Compare, Field(discriminator="op")]


class Plan(BaseModel):
    """Operations in an order in which each needs only earlier ones."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    operations: tuple[Operation, ...] = Field(min_length=1)
    """The last one's answer is the plan's."""

    @model_validator(mode="after")
    def _ordered(self) -> Plan:
        for position, operation in enumerate(self.operations, start=1):
            for number in operation.referenced():
                if not 0 < number < position:
                    raise ValueError(f"operation {position} refers to #{number}, which is not an earlier one")
        return self

    @property
    def answer(self) -> str:
        """The answer of the last operation."""
        return self.operations[-1].answer

    @property
    def lookups(self) -> tuple[Lookup, ...]:
        """The lookups, in order."""
        return tuple(operation for operation in self.operations if isinstance(operation, Lookup))


def references(text: str) -> list[int]:
    """The numbers n of all `#n` in `text`, in order of appearance."""
    return [int(number) for number in REFERENCE.findall(text)] if "#" in text else []


def stands_in(value: str, text: str) -> bool:
    """Whether `value` occurs in `text` as a whole: not as a part of a longer word or number."""
    start = text.find(value)
    while start >= 0:
        end = start + len(value)
        if not (_continues(value[0], text[:start][-2:][::-1]) or _continues(value[-1], text[end : end + 2])):
            return True
        start = text.find(value, start + 1)
    return False


def _continues(edge: str, beyond: str) -> bool:
    """Whether the word or number with `edge` at its end goes on in `beyond`, read away from it."""
    if edge.isdigit() and beyond[:1] in (".", ","):
        beyond = beyond[1:]
        return beyond.isdigit()
    return edge.isalnum() and beyond[:1].isalnum()
