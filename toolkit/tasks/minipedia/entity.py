"""One thing of the fictional country, and how a text refers to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from toolkit.tasks.minipedia.kind import Attribute, Kind


@dataclass(slots=True, eq=False)
class Entity:
    """A thing with its values; two entities are equal only if they are the same object."""

    index: int
    """Position among all entities of its world."""
    kind: Kind
    name: str
    """Unique in the world; the title of the article."""
    values: dict[str, int | str | Entity] = field(default_factory=dict, repr=False)
    """By attribute name; an attribute that does not apply (no spouse) is missing."""
    pronoun: str = "it"
    """`he`, `she` or `it`."""

    @property
    def shown(self) -> str:
        """The name as it stands inside a sentence, such as "the River Tesk"."""
        return self.kind.the + self.name

    def attributes(self) -> Iterator[Attribute]:
        """The attributes that this entity has."""
        return (attribute for attribute in self.kind.attributes if attribute.name in self.values)

    def number(self, attribute: str) -> int:
        """The value of a year or number.

        Raises:
            TypeError: the attribute is of another type.
        """
        value = self.values[attribute]
        if not isinstance(value, int):
            raise TypeError(f"{self.kind.name}.{attribute} is no number")
        return value

    def target(self, attribute: str) -> Entity:
        """The entity that a relation points at.

        Raises:
            TypeError: the attribute is no relation.
        """
        value = self.values[attribute]
        if not isinstance(value, Entity):
            raise TypeError(f"{self.kind.name}.{attribute} is no relation")
        return value


def text_of(value: int | str | Entity) -> str:
    """The value as it stands in articles and answers; numbers have no separators."""
    return value.name if isinstance(value, Entity) else str(value)
