"""Titles of articles: invented words joined to what one calls a person, a river, a book.

Invariant: every title holds at least one invented word that no other title of the world holds,
except people, whose pairs of given name and surname are unique although both are shared.
"""

from __future__ import annotations

from toolkit.tasks.minipedia.draws import Draws
from toolkit.tasks.minipedia.kind import KindName
from toolkit.tasks.minipedia.names import Namer

PUBLISHERS_IN_HUNDRED = 20
"""The first companies of a world are publishers."""

_FORMS: dict[KindName, tuple[str, ...]] = {
    "region": ("{}",),
    "town": ("{}",),
    "mountain": ("Mount {}",),
    "lake": ("Lake {}",),
    "river": ("River {}",),
    "school": ("{} Academy", "{} College", "{} School", "{} Institute"),
    "company": ("{} Works", "{} Company", "{} Brothers", "{} Industries", "{} Manufacturing"),
    "bridge": ("{} Bridge",),
    "book": (
        "The {noun} of {}",
        "{} and the {noun}",
        "Letters from {}",
        "The {adjective} {noun} of {}",
        "A {noun} for {}",
        "Leaving {}",
        "The Road to {}",
        "Songs of {}",
    ),
}
_PUBLISHER_FORMS = ("{} Press", "{} Books", "{} Publishing House", "{} Editions")
_NOUNS = (
    "Lantern",
    "Garden",
    "Winter",
    "Harbour",
    "Clockmaker",
    "Mirror",
    "Silence",
    "Feather",
    "Lighthouse",
    "Candle",
)
_ADJECTIVES = ("Last", "Silent", "Golden", "Hidden", "Broken", "Second", "Crooked", "Distant")


class Titles:
    """Gives out titles, each only once."""

    def __init__(self, namer: Namer, draws: Draws, *, n_people: int) -> None:
        self._namer = namer
        self._draws = draws
        self._given = [namer.word() for _ in range(max(12, n_people // 4))]
        self._surnames = [namer.word() for _ in range(max(12, n_people // 2))]
        self._people: set[str] = set()

    def of(self, kind: KindName, position: int, count: int) -> str:
        """A new title for the entity at `position` among the `count` of its kind."""
        if kind == "person":
            return self._person()
        forms = _PUBLISHER_FORMS if kind == "company" and position < n_publishers(count) else _FORMS[kind]
        draws = self._draws
        form = draws.pick(forms)
        return form.format(self._namer.word(), noun=draws.pick(_NOUNS), adjective=draws.pick(_ADJECTIVES))

    def _person(self) -> str:
        while True:
            name = f"{self._draws.pick(self._given)} {self._draws.pick(self._surnames)}"
            if name not in self._people:
                self._people.add(name)
                return name


def n_publishers(n_companies: int) -> int:
    """How many of the companies publish books."""
    return max(1, n_companies * PUBLISHERS_IN_HUNDRED // 100)
