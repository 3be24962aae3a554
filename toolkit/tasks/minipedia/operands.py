"""The entities whose numbers are compared or put together: named in the question, or reached through another.

Invariant: operands of one question are different entities, of one kind and reached in one way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.tasks.minipedia.draws import Draws
from toolkit.tasks.minipedia.entity import Entity
from toolkit.tasks.minipedia.kind import Attribute, KindName
from toolkit.tasks.minipedia.kinds import KINDS
from toolkit.tasks.minipedia.steps import Steps, phrase
from toolkit.tasks.minipedia.world import World


@dataclass(frozen=True, slots=True)
class Operand:
    """An entity and the way to it."""

    entity: Entity
    """The one whose number counts."""
    start: Entity
    """The one that the question names; `entity` itself where there is no relation."""
    relation: Attribute | None
    """Leads from `start` to `entity`. None: the question names `entity`."""

    def key(self) -> str:
        """Names the operand in the key of a question."""
        return f"{self.start.index}{'.' + self.relation.name if self.relation else ''}"

    def text(self, relation_text: str | None) -> str:
        """How the question speaks of it; `relation_text` is a noun phrase with `{s}`."""
        return relation_text.format(s=self.start.shown) if relation_text else self.start.shown

    def look_up(self, attribute: Attribute, steps: Steps) -> tuple[str, str]:
        """Adds the lookups of its number; returns references to the number and to the name of the entity."""
        if self.relation is None:
            return steps.look_up(self.entity, attribute), self.entity.name
        name = steps.look_up(self.start, self.relation)
        return steps.look_up(self.entity, attribute, known_as=name), name


class Operands:
    """Chooses operands in one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ways: dict[KindName, list[tuple[KindName, Attribute]]] = {}
        for kind in KINDS.values():
            for attribute in kind.attributes:
                if attribute.is_relation:
                    self._ways.setdefault(attribute.value, []).append((kind.name, attribute))

    def draw(self, kind: KindName, count: int, draws: Draws, *, via: bool) -> list[Operand] | None:
        """`count` operands of `kind`, reached through a relation if `via`. None: this draw found too few."""
        if not via:
            return [Operand(entity, entity, None) for entity in draws.sample(self._world.by_kind[kind], count)]
        if kind not in self._ways:
            return None
        start_kind, relation = draws.pick(self._ways[kind])
        found = []
        for start in draws.sample(self._world.by_kind[start_kind], count):
            if relation.name in start.values:
                found.append(Operand(start.target(relation.name), start, relation))
        named = {operand.entity.index for operand in found} | {operand.start.index for operand in found}
        return found if len(named) == 2 * count else None


def texts(operands: Sequence[Operand], draws: Draws) -> list[str]:
    """How a question speaks of the operands, all in the same words."""
    relation = operands[0].relation
    wording = phrase(relation, "{s}", draws, stacked=False) if relation else None
    return [operand.text(wording) for operand in operands]
