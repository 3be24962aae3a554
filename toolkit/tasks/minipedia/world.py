"""A fictional country: entities with typed values, all of which follow from a seed.

Invariants: the world depends on (seed, size, profile) only; names are unique; values agree with
each other (nobody founds a company before being born, spouses are each other's, a bridge crosses
the river of its town); it is made in time linear in `size`. Values are set in `histories`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from toolkit.tasks.minipedia.draws import Draws
from toolkit.tasks.minipedia.entity import Entity
from toolkit.tasks.minipedia.histories import settle
from toolkit.tasks.minipedia.kind import KindName
from toolkit.tasks.minipedia.kinds import KINDS
from toolkit.tasks.minipedia.names import Namer
from toolkit.tasks.minipedia.profile import Profile
from toolkit.tasks.minipedia.titles import Titles

MIN_SIZE = 50
MAX_SIZE = 100_000
_FEWEST_OF_A_KIND = 2


class World:
    """Every entity of a country.

    Args:
        seed: any whole number.
        size: entities, from `MIN_SIZE` to `MAX_SIZE`.
        profile: in-domain or out-of-domain.
    """

    def __init__(self, seed: int, size: int, profile: Profile) -> None:
        self.profile = profile
        self.key = f"{seed}/{size}/{profile.name}"
        """Names the world in the keys of `Draws`."""
        draws = Draws(self.key, "names")
        namer = Namer(draws, profile.side)
        self.country = namer.word()
        counts = _counts(size)
        titles = Titles(namer, draws, n_people=counts["person"])
        self.by_kind: dict[KindName, list[Entity]] = {}
        self.entities: list[Entity] = []
        for kind, count in counts.items():
            members = [
                Entity(len(self.entities) + offset, KINDS[kind], titles.of(kind, offset, count))
                for offset in range(count)
            ]
            self.by_kind[kind] = members
            self.entities.extend(members)
        settle(self.by_kind, Draws(self.key, "histories"), large=profile.large_numbers)
        self._roles: dict[int, list[tuple[str, Entity]]] | None = None

    def roles(self, entity: Entity) -> list[tuple[str, Entity]]:
        """What `entity` is to others, as (`kind.attribute`, other entity), for the roles that its kind speaks of."""
        if self._roles is None:
            self._roles = defaultdict(list)
            for role, other, target in self._relations():
                self._roles[target.index].append((role, other))
        return self._roles.get(entity.index, [])

    def _relations(self) -> Iterator[tuple[str, Entity, Entity]]:
        for kind, members in self.by_kind.items():
            for attribute in KINDS[kind].attributes:
                role = f"{kind}.{attribute.name}"
                if not attribute.is_relation or role not in KINDS[attribute.value].roles:
                    continue
                for entity in members:
                    target = entity.values.get(attribute.name)
                    if isinstance(target, Entity):
                        yield role, entity, target


def _counts(size: int) -> dict[KindName, int]:
    """Entities of each kind; they add up to `size`."""
    counts = {name: max(_FEWEST_OF_A_KIND, size * kind.share // 100) for name, kind in KINDS.items()}
    counts["person"] += size - sum(counts.values())
    return counts
