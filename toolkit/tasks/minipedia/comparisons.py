"""`compare`: which of two has the greater or smaller number. Invariant: the two numbers differ."""

from __future__ import annotations

from functools import partial

from toolkit.tasks.minipedia.draws import Draws
from toolkit.tasks.minipedia.kind import Attribute, KindName, Measure
from toolkit.tasks.minipedia.kinds import KINDS
from toolkit.tasks.minipedia.operands import Operand, Operands, texts
from toolkit.tasks.minipedia.question import Proposal, Question, entity_answers
from toolkit.tasks.minipedia.steps import Library, Steps, sentence

MEASURES: tuple[tuple[KindName, Attribute, Measure], ...] = tuple(
    (kind.name, attribute, attribute.measure)
    for kind in KINDS.values()
    for attribute in kind.attributes
    if attribute.measure is not None
)
"""Every number that entities can be compared by."""


class Comparisons:
    """The family of comparisons."""

    name = "compare"

    def __init__(self, library: Library) -> None:
        self._library = library
        self._operands = Operands(library.world)
        self._via_percent = library.world.profile.via_percent

    def propose(self, draws: Draws) -> Proposal | None:
        """Two entities of a kind and a number in which they differ."""
        kind, attribute, measure = draws.pick(MEASURES)
        pair = self._operands.draw(kind, 2, draws, via=draws.chance(self._via_percent))
        if pair is None or pair[0].entity.number(attribute.name) == pair[1].entity.number(attribute.name):
            return None
        key = f"compare|{kind}.{attribute.name}|{'|'.join(sorted(operand.key() for operand in pair))}"
        return Proposal(key, partial(self._ask, pair, attribute, measure, draws))

    def _ask(self, pair: list[Operand], attribute: Attribute, measure: Measure, draws: Draws) -> Question:
        steps = Steps(self._library)
        greatest = draws.chance(50)
        first, second = texts(pair, draws)
        text = sentence(draws.pick(measure.most if greatest else measure.least), a=first, b=second)
        winner = sorted(pair, key=lambda operand: operand.entity.number(attribute.name))[-1 if greatest else 0].entity
        (left, left_name), (right, right_name) = [operand.look_up(attribute, steps) for operand in pair]
        steps.compare((left, right), (left_name, right_name), greatest=greatest, answer=winner.name)
        return Question(text, entity_answers(winner), "fact", steps.plan())
