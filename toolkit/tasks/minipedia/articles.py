"""Short articles about the entities of a world: every fact a question needs, among facts that none needs.

Three to six sentences: an opening that says what the thing is, one sentence for each further
attribute in random order, and up to two *asides* (events with other years, towns and numbers;
what another entity is to this one; a look-alike with values of its own).

Invariants: everything stated is true in the world; each value stands verbatim, numbers without
separators; a pronoun never follows a sentence in which it could mean someone else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from toolkit.tasks.minipedia.draws import Draws
from toolkit.tasks.minipedia.entity import Entity, text_of
from toolkit.tasks.minipedia.histories import LAST_YEAR
from toolkit.tasks.minipedia.kind import Attribute
from toolkit.tasks.minipedia.kinds import KINDS
from toolkit.tasks.minipedia.world import World

_MOST_SENTENCES = 6
_FULL_NAME_PERCENT = 25
_FORMER_BIRTH = 1935
"""Of people born before this year, articles speak in the past tense."""
_FIRST_EVENT = 1850
_NEIGHBOURS = 10
"""A look-alike is at most this far away among its kind; people are in order of birth, so it is of the same age."""

_PRONOUNS = {
    "it": {"he": "it", "his": "its", "him": "it"},
    "he": {"he": "he", "his": "his", "him": "him"},
    "she": {"he": "she", "his": "her", "him": "her"},
}


@dataclass(frozen=True, slots=True)
class Article:
    """A passage of the corpus."""

    title: str
    """Unique in the world."""
    text: str
    """Three to six sentences in one paragraph; the first names the thing by its title."""


@dataclass(frozen=True, slots=True)
class Page:
    """An article with the places of its facts."""

    article: Article
    sentences: Mapping[str, str]
    """By attribute name: the sentence of the article that states the value."""


def _forms(subject: str, possessive: str) -> dict[str, str]:
    """A way to call the thing, as template fields."""
    return {
        "s": subject,
        "p": possessive,
        "S": subject[0].upper() + subject[1:],
        "P": possessive[0].upper() + possessive[1:],
    }


_BY_PRONOUN = {pronoun: _forms(pronoun, forms["his"]) for pronoun, forms in _PRONOUNS.items()}
_BY_NOUN = {kind.name: _forms(f"the {kind.noun}", f"the {kind.noun}'s") for kind in KINDS.values() if kind.noun}


def write(world: World, entity: Entity) -> Page:
    """The article about `entity`, always the same."""
    return _Writer(world, entity).page()


class _Writer:
    """Writes one article, sentence by sentence, and remembers what a pronoun would mean now."""

    def __init__(self, world: World, entity: Entity) -> None:
        self._world = world
        self._entity = entity
        self._kind = entity.kind
        self._draws = Draws(world.key, "article", entity.index)
        shown = entity.shown
        self._by_name = _forms(shown, f"{shown}'" if shown.endswith("s") else f"{shown}'s")
        self._by_pronoun = _BY_PRONOUN[entity.pronoun]
        self._by_noun = _BY_NOUN.get(entity.kind.name)
        self._fields = _values(entity)
        self._fields.update(_PRONOUNS[entity.pronoun], country=world.country, name=self._by_name["S"])
        if entity.kind.name == "person":
            self._fields["is"] = "was" if entity.number("born") < _FORMER_BIRTH else "is"
        self._pronoun_is_clear = True
        self._noun_is_clear = True
        self._used: set[str] = set()

    def page(self) -> Page:
        """The article and the places of its facts."""
        entity, draws = self._entity, self._draws
        opening = draws.pick(self._kind.openings)
        while any(name not in entity.values for name in opening.states):
            opening = draws.pick(self._kind.openings)
        first = opening.text.format_map(self._fields)
        rest = [attribute for attribute in entity.attributes() if attribute.name not in opening.states]
        n_asides = min(1 + draws.below(2), _MOST_SENTENCES - 1 - len(rest))
        texts, sentences = [first], dict.fromkeys(opening.states, first)
        for attribute in draws.shuffled([*rest, *[None] * n_asides]):
            text = self._aside() if attribute is None else self._fact(attribute)
            texts.append(text)
            if attribute is not None:
                sentences[attribute.name] = text
        return Page(Article(entity.name, " ".join(texts)), sentences)

    def _fact(self, attribute: Attribute) -> str:
        fields = self._fields
        fields["v"] = fields[attribute.name]
        if attribute.value == "word":
            fields["a_v"] = fields[f"a_{attribute.name}"]
        return self._say(self._draws.pick(attribute.facts), fields, mentions=attribute.value)

    def _aside(self) -> str:
        """A sentence of one of three sorts; an event where the chosen sort does not apply or was used."""
        draws, kind, entity = self._draws, self._kind, self._entity
        sort = draws.below(3)
        if sort == 0:
            roles = self._world.roles(entity)
            if roles and "role" not in self._used:
                self._used.add("role")
                role, other = draws.pick(roles)
                fields = {**self._fields, "other": other.name}
                return self._say(draws.pick(kind.roles[role]), fields, mentions=other.kind.name)
        peers = self._world.by_kind[kind.name]
        if sort == 1 and "lookalike" not in self._used:
            self._used.add("lookalike")
            position = entity.index - peers[0].index
            other = peers[(position + draws.between(1, min(_NEIGHBOURS, len(peers) - 1))) % len(peers)]
            fields = {**self._fields, **_values(other), "other": other.name}
            return self._say(draws.pick(kind.lookalikes), fields, mentions=kind.name)
        return self._event()

    def _event(self) -> str:
        """Something that happened while the thing existed, or when the person was grown up."""
        draws, start = self._draws, self._kind.start
        template = draws.pick([event for event in self._kind.events if event not in self._used])
        self._used.add(template)
        grown_up = 18 if self._kind.name == "person" else 1
        earliest = min(max(self._entity.number(start) + grown_up, _FIRST_EVENT), LAST_YEAR) if start else _FIRST_EVENT
        town = draws.pick(self._world.by_kind["town"])
        while town is self._entity:
            town = draws.pick(self._world.by_kind["town"])
        fields = {
            **self._fields,
            "year": str(draws.between(earliest, min(earliest + 50, LAST_YEAR))),
            "count": str(draws.magnitude(12, 900)),
            "town": town.name,
        }
        return self._say(template, fields, mentions="town" if "{town}" in template else "")

    def _say(self, template: str, fields: dict[str, str], *, mentions: str) -> str:
        """Fills a template; `mentions` is the kind of another entity in it, or not a kind."""
        fields.update(self._subject(pronoun=self._pronoun_is_clear and "of {s}" not in template))
        self._noun_is_clear = mentions != self._kind.name
        self._pronoun_is_clear = self._noun_is_clear and (
            self._kind.name == "person" or template.startswith(("{S}", "{P}"))
        )
        return template.format_map(fields)

    def _subject(self, *, pronoun: bool) -> dict[str, str]:
        """How the next sentence calls the thing: by name, by pronoun, or "the town"."""
        noun = self._by_noun if self._noun_is_clear else None
        if not (noun or pronoun) or self._draws.chance(_FULL_NAME_PERCENT):
            return self._by_name
        if noun and (not pronoun or self._draws.chance(50)):
            return noun
        return self._by_pronoun


def _values(entity: Entity) -> dict[str, str]:
    """The values of an entity as template fields."""
    fields: dict[str, str] = {}
    for name, value in entity.values.items():
        fields[name] = text_of(value)
        if isinstance(value, str):
            fields[f"a_{name}"] = f"an {value}" if value[0] in "aeiou" else f"a {value}"
    return fields
