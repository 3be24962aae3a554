"""`aggregate`: look up several numbers, then calculate with them.

Six calculations: sum, average, difference, ratio, years between two events, and the age of a person
in the year of an event. Invariants: no result is zero or negative, and none hangs on how a tie is rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from toolkit.tasks.minipedia.comparisons import MEASURES
from toolkit.tasks.minipedia.draws import Draws
from toolkit.tasks.minipedia.entity import Entity
from toolkit.tasks.minipedia.kind import Attribute, KindName
from toolkit.tasks.minipedia.kinds import KINDS
from toolkit.tasks.minipedia.operands import Operand, Operands, texts
from toolkit.tasks.minipedia.question import Proposal, Question, decimal_answers, listed, number_answers
from toolkit.tasks.minipedia.steps import Library, Steps, sentence

Calculation = Literal["total", "mean", "gap", "ratio", "span", "age"]

_WEIGHTS: tuple[tuple[Calculation, int], ...] = (
    ("total", 25), ("mean", 15), ("gap", 25), ("ratio", 10), ("span", 15), ("age", 10),
)  # fmt: skip
_ROUND = (" Round to two decimals.", " Give the answer to two decimals.")
_SPANS = (
    "How many years lie between {a} and {b}?",
    "How many years passed between {a} and {b}?",
    "What is the number of years between {a} and {b}?",
)
_EVENTS = [
    (kind.name, attribute, attribute.event)
    for kind in KINDS.values()
    for attribute in kind.attributes
    if attribute.event is not None
]


@dataclass(frozen=True, slots=True)
class _Age:
    """A person's age in the year of something that the person did."""

    kind: KindName
    person: str
    year: str
    questions: tuple[str, ...]


_AGES = (
    _Age("company", "founder", "founded", (
        "What age did the founder of {s} reach in the year in which {s} was founded?",
        "How old did the founder of {s} turn in the year of its founding?",
    )),
    _Age("book", "author", "published", (
        "What age did the author of {s} reach in the year in which {s} was published?",
        "How old did the author of {s} turn in the year of its publication?",
    )),
    _Age("bridge", "designer", "opened", (
        "What age did the designer of {s} reach in the year in which {s} was opened?",
        "How old did the designer of {s} turn in the year of its opening?",
    )),
    _Age("mountain", "climber", "climbed", (
        "What age did the first person to climb {s} reach in the year of the climb?",
        "How old did the first person to climb {s} turn in the year of the first ascent?",
    )),
)  # fmt: skip


class Aggregates:
    """The family of calculations with looked-up numbers."""

    name = "aggregate"

    def __init__(self, library: Library) -> None:
        self._library = library
        self._world = library.world
        self._operands = Operands(library.world)

    def propose(self, draws: Draws) -> Proposal | None:
        """A calculation and the entities whose numbers it needs."""
        calculation = draws.weighted(_WEIGHTS)
        if calculation == "span":
            return self._propose_span(draws)
        if calculation == "age":
            return self._propose_age(draws)
        return self._propose_measured(calculation, draws)

    def _propose_measured(self, calculation: Calculation, draws: Draws) -> Proposal | None:
        kind, attribute, measure = draws.pick(MEASURES)
        templates: tuple[str, ...] = getattr(measure, calculation)
        profile = self._world.profile
        count = draws.weighted(profile.operands) if calculation in ("total", "mean") else 2
        operands = self._operands.draw(kind, count, draws, via=count == 2 and draws.chance(profile.via_percent))
        if not templates or operands is None or len(operands) != count:
            return None
        if calculation in ("gap", "ratio"):
            operands.sort(key=lambda operand: operand.entity.number(attribute.name), reverse=True)
        numbers = [operand.entity.number(attribute.name) for operand in operands]
        answers = _result(calculation, numbers)
        if not answers:
            return None
        key = f"aggregate|{calculation}|{attribute.name}|{'|'.join(sorted(operand.key() for operand in operands))}"
        return Proposal(key, partial(self._ask_measured, calculation, attribute, templates, operands, answers, draws))

    def _ask_measured(
        self,
        calculation: Calculation,
        attribute: Attribute,
        templates: tuple[str, ...],
        operands: list[Operand],
        answers: tuple[str, ...],
        draws: Draws,
    ) -> Question:
        steps = Steps(self._library)
        names = texts(operands, draws)
        text = sentence(draws.pick(templates), a=names[0], b=names[1], list=listed(names))
        if calculation in ("mean", "ratio"):
            text += draws.pick(_ROUND)
        steps.compute(
            _expression(calculation, [operand.look_up(attribute, steps)[0] for operand in operands]), answers[0]
        )
        return Question(text, answers, "math", steps.plan())

    def _propose_span(self, draws: Draws) -> Proposal | None:
        sides = []
        for kind, attribute, event in (draws.pick(_EVENTS), draws.pick(_EVENTS)):
            sides.append((draws.pick(self._world.by_kind[kind]), attribute, event))
        years = abs(sides[0][0].number(sides[0][1].name) - sides[1][0].number(sides[1][1].name))
        if years == 0:
            return None
        key = f"aggregate|span|{'|'.join(sorted(f'{entity.index}.{attribute.name}' for entity, attribute, _ in sides))}"
        return Proposal(key, partial(self._ask_span, sides, years, draws))

    def _ask_span(self, sides: list[tuple[Entity, Attribute, str]], years: int, draws: Draws) -> Question:
        steps = Steps(self._library)
        first, second = [event.format(s=entity.shown) for entity, _, event in sides]
        left, right = [steps.look_up(entity, attribute) for entity, attribute, _ in sides]
        answers = number_answers(years)
        steps.compute(f"abs({left} - {right})", answers[0])
        return Question(sentence(draws.pick(_SPANS), a=first, b=second), answers, "math", steps.plan())

    def _propose_age(self, draws: Draws) -> Proposal | None:
        age = draws.pick(_AGES)
        entity = draws.pick(self._world.by_kind[age.kind])
        return Proposal(f"aggregate|age|{entity.index}", partial(self._ask_age, age, entity, draws))

    def _ask_age(self, age: _Age, entity: Entity, draws: Draws) -> Question:
        steps = Steps(self._library)
        attributes = {attribute.name: attribute for attribute in entity.kind.attributes}
        person = entity.target(age.person)
        born = next(attribute for attribute in person.kind.attributes if attribute.name == "born")
        name = steps.look_up(entity, attributes[age.person])
        birth = steps.look_up(person, born, known_as=name)
        year = steps.look_up(entity, attributes[age.year])
        answers = number_answers(entity.number(age.year) - person.number("born"))
        steps.compute(f"{year} - {birth}", answers[0])
        return Question(sentence(draws.pick(age.questions), s=entity.shown), answers, "math", steps.plan())


def _result(calculation: Calculation, numbers: Sequence[int]) -> tuple[str, ...]:
    """The result as answers; empty where it should not be asked for."""
    if calculation == "total":
        return number_answers(sum(numbers))
    if calculation == "mean":
        return decimal_answers(sum(numbers), len(numbers))
    greater, smaller = numbers
    if greater == smaller:
        return ()
    return number_answers(greater - smaller) if calculation == "gap" else decimal_answers(greater, smaller)


def _expression(calculation: Calculation, references: Sequence[str]) -> str:
    if calculation == "gap":
        return " - ".join(references)
    if calculation == "ratio":
        return f"round({' / '.join(references)}, 2)"
    total = " + ".join(references)
    return total if calculation == "total" else f"round(({total}) / {len(references)}, 2)"
