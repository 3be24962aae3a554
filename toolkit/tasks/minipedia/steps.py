"""Turns what has to be found out into the operations of a plan, and into phrases of a question.

Invariant: sub-questions and queries use a name only if the question contains it, else a `#n`.
"""

from __future__ import annotations

from functools import lru_cache

from toolkit.tasks.minipedia.articles import Page, write
from toolkit.tasks.minipedia.draws import Draws
from toolkit.tasks.minipedia.entity import Entity, text_of
from toolkit.tasks.minipedia.kind import Attribute
from toolkit.tasks.minipedia.world import World
from toolkit.tasks.plan import Compare, Compute, Lookup, Operation, Plan

_PAGES_KEPT = 20_000


class Library:
    """The articles of a world, written when they are needed; the last used ones are kept."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._page = lru_cache(maxsize=_PAGES_KEPT)(lambda index: write(world, world.entities[index]))

    def page(self, entity: Entity) -> Page:
        """The article about `entity` with the places of its facts."""
        return self._page(entity.index)


class Steps:
    """Collects the operations of one plan."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._operations: list[Operation] = []

    def look_up(self, entity: Entity, attribute: Attribute, *, known_as: str | None = None) -> str:
        """Adds the lookup of a value and returns the reference to it.

        Args:
            entity: whose value.
            attribute: which value.
            known_as: the reference to the entity. None: the question names it.
        """
        subject = known_as or entity.name
        shown = entity.kind.the + subject
        self._operations.append(
            Lookup(
                question=attribute.questions[0].format(s=shown),
                query=attribute.query.format(s=shown),
                title=entity.name,
                answer=text_of(entity.values[attribute.name]),
                subject=subject,
                attribute=f"{entity.kind.name}.{attribute.name}",
                sentence=self._library.page(entity).sentences[attribute.name],
            )
        )
        return f"#{len(self._operations)}"

    def compute(self, expression: str, answer: str) -> None:
        """Adds a calculation."""
        self._operations.append(Compute(expression=expression, answer=answer))

    def compare(self, values: tuple[str, str], labels: tuple[str, str], *, greatest: bool, answer: str) -> None:
        """Adds a comparison."""
        choose = "max" if greatest else "min"
        self._operations.append(Compare(values=values, labels=labels, choose=choose, answer=answer))

    def plan(self) -> Plan:
        """All operations so far."""
        return Plan(operations=tuple(self._operations))


def phrase(attribute: Attribute, subject: str, draws: Draws, *, stacked: bool) -> str:
    """Such as "the founder of X"; where X is a phrase itself (`stacked`), only wordings that end in it are used."""
    nouns = attribute.nouns
    if stacked:
        nouns = tuple(noun for noun in nouns if noun.endswith("{s}"))
    return draws.pick(nouns).format(s=subject)


def sentence(template: str, **parts: str) -> str:
    """A filled template that begins with a capital letter."""
    text = template.format(**parts)
    return text[0].upper() + text[1:]
