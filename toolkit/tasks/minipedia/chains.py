"""Questions along a chain of facts: `lookup` (one fact) and `bridge` (each fact leads to the next).

Invariant: no entity occurs twice in a chain, so a bridge cannot be answered by going back.
"""

from __future__ import annotations

from functools import partial

from toolkit.tasks.minipedia.draws import Draws
from toolkit.tasks.minipedia.entity import Entity
from toolkit.tasks.minipedia.kind import Attribute
from toolkit.tasks.minipedia.question import Proposal, Question, entity_answers, number_answers
from toolkit.tasks.minipedia.steps import Library, Steps, phrase, sentence

Link = tuple[Entity, Attribute]


class Chains:
    """A family of chains.

    Args:
        name: `lookup` or `bridge`.
        library: the world and its articles.
        hops: lengths of chains, with weights.
    """

    def __init__(self, name: str, library: Library, hops: tuple[tuple[int, int], ...]) -> None:
        self.name = name
        self._library = library
        self._hops = hops

    def propose(self, draws: Draws) -> Proposal | None:
        """A random walk over relations that ends with any attribute."""
        entity = draws.pick(self._library.world.entities)
        hops = draws.weighted(self._hops)
        seen, links = [entity], list[Link]()
        for hop in range(hops):
            attribute = _step(entity, seen, draws, last=hop == hops - 1)
            if attribute is None:
                return None
            links.append((entity, attribute))
            if hop < hops - 1:
                entity = entity.target(attribute.name)
                seen.append(entity)
        key = f"{self.name}|{seen[0].index}|{'>'.join(attribute.name for _, attribute in links)}"
        return Proposal(key, partial(self._ask, links, draws))

    def _ask(self, links: list[Link], draws: Draws) -> Question:
        steps = Steps(self._library)
        text, known_as = links[0][0].shown, None
        for position, (entity, attribute) in enumerate(links[:-1]):
            text = phrase(attribute, text, draws, stacked=position > 0)
            known_as = steps.look_up(entity, attribute, known_as=known_as)
        entity, attribute = links[-1]
        steps.look_up(entity, attribute, known_as=known_as)
        value = entity.values[attribute.name]
        return Question(
            text=sentence(draws.pick(attribute.questions), s=text),
            answers=_answers(value, attribute),
            domain="math" if isinstance(value, int) else "fact",
            plan=steps.plan(),
        )


def _step(entity: Entity, seen: list[Entity], draws: Draws, *, last: bool) -> Attribute | None:
    """An attribute that leads on, or, at the end of the chain, any that does not lead back."""
    choices = []
    for attribute in entity.kind.attributes:
        value = entity.values.get(attribute.name)
        if value is None or (isinstance(value, Entity) and value in seen):
            continue
        if last or isinstance(value, Entity):
            choices.append(attribute)
    return draws.pick(choices) if choices else None


def _answers(value: int | str | Entity, attribute: Attribute) -> tuple[str, ...]:
    if isinstance(value, Entity):
        return entity_answers(value)
    return number_answers(int(value)) if attribute.value == "number" else (str(value),)
