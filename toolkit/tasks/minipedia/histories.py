"""Who did what when: fills in the values of all entities so that they agree with each other.

People are made in order of birth, so that "an older person" is a smaller index and every choice
takes constant time. Towns and schools are older than the oldest person; publishers are founded by
the oldest quarter, and authors are of the other three, so that no book is older than its publisher.
Not covered: geography (a river passes towns of any region).
"""

from __future__ import annotations

from toolkit.tasks.minipedia.draws import Draws
from toolkit.tasks.minipedia.entity import Entity
from toolkit.tasks.minipedia.kind import KindName
from toolkit.tasks.minipedia.titles import n_publishers

Kinds = dict[KindName, list[Entity]]

LAST_YEAR = 2020
_FIRST_BIRTH = 1885
_BIRTH_YEARS = 98
_BIRTH_JITTER = 4
_MARRIED_PERCENT = 55
_MENTORED_PERCENT = 70
PROFESSIONS = (
    "architect", "astronomer", "baker", "botanist", "carpenter", "chemist", "composer", "engineer", "geologist",
    "historian", "journalist", "lawyer", "musician", "painter", "physician", "sculptor", "surveyor", "translator",
)  # fmt: skip
PRODUCTS = (
    "bicycles", "candles", "carpets", "clocks", "furniture", "glassware", "lamps", "paint", "pianos", "porcelain",
    "ropes", "shoes", "soap", "stoves", "tools", "umbrellas",
)  # fmt: skip


def settle(kinds: Kinds, draws: Draws, *, large: bool) -> None:
    """Gives every entity its values; `large` takes the out-of-domain ranges of numbers."""
    _numbers(kinds, draws, large=large)
    _places(kinds, draws)
    _people(kinds, draws)
    _companies(kinds, draws)
    _works(kinds, draws)


def _numbers(kinds: Kinds, draws: Draws, *, large: bool) -> None:
    for members in kinds.values():
        ranges = [
            (attribute.name, *(attribute.large if large else attribute.small))
            for attribute in members[0].kind.attributes
            if attribute.value == "number"
        ]
        for entity in members:
            for name, low, high in ranges:
                entity.values[name] = draws.magnitude(low, high)


def _places(kinds: Kinds, draws: Draws) -> None:
    regions, towns = kinds["region"], kinds["town"]
    for position, town in enumerate(towns):
        # The first towns become capitals, one a region.
        region = regions[position] if position < len(regions) else draws.pick(regions)
        town.values |= {"region": region, "founded": draws.between(1150, 1850), "river": draws.pick(kinds["river"])}
    for region, capital in zip(regions, towns, strict=False):
        region.values |= {"capital": capital, "established": draws.between(1700, 1880)}
    for place in (*kinds["lake"], *kinds["mountain"]):
        place.values["region"] = draws.pick(regions)
    for river in kinds["river"]:
        river.values |= {"source": draws.pick(kinds["mountain"]), "mouth": draws.pick(kinds["lake"])}
    for school in kinds["school"]:
        school.values |= {"town": draws.pick(towns), "founded": draws.between(1640, 1880)}


def _people(kinds: Kinds, draws: Draws) -> None:
    people = kinds["person"]
    gap = len(people) // 8  # an eighth of the birth years: a mentor is at least eight years older
    for index, person in enumerate(people):
        person.pronoun = draws.pick(("he", "she"))
        born = _FIRST_BIRTH + index * _BIRTH_YEARS // len(people) + draws.below(_BIRTH_JITTER)
        person.values |= {
            "born": born,
            "birthplace": draws.pick(kinds["town"]),
            "profession": draws.pick(PROFESSIONS),
            "school": draws.pick(kinds["school"]),
        }
        if index > gap and draws.chance(_MENTORED_PERCENT):
            person.values["mentor"] = people[draws.below(index - gap)]
    for first, second in zip(people[::2], people[1::2], strict=False):
        if draws.chance(_MARRIED_PERCENT):
            first.values["spouse"], second.values["spouse"] = second, first
    living = draws.shuffled(people[len(people) // 2 :])
    offices = [(town, "mayor") for town in kinds["town"]] + [(school, "head") for school in kinds["school"]]
    for position, (place, office) in enumerate(offices):
        place.values[office] = living[position % len(living)]


def _companies(kinds: Kinds, draws: Draws) -> None:
    people, companies = kinds["person"], kinds["company"]
    elders = people[: len(people) // 4]
    for position, company in enumerate(companies):
        publisher = position < n_publishers(len(companies))
        founder = draws.pick(elders if publisher else people)
        company.values |= {
            "founder": founder,
            "founded": _later(founder, 22, 35 if publisher else 50, draws),
            "headquarters": draws.pick(kinds["town"]),
        }
        if not publisher:
            company.values["product"] = draws.pick(PRODUCTS)


def _works(kinds: Kinds, draws: Draws) -> None:
    people = kinds["person"]
    authors = people[len(people) // 4 :]
    publishers = kinds["company"][: n_publishers(len(kinds["company"]))]
    for mountain in kinds["mountain"]:
        climber = draws.pick(people)
        mountain.values |= {"climber": climber, "climbed": _later(climber, 19, 40, draws)}
    for bridge in kinds["bridge"]:
        designer, town = draws.pick(people), draws.pick(kinds["town"])
        bridge.values |= {
            "designer": designer,
            "opened": _later(designer, 26, 60, draws),
            "town": town,
            "river": town.target("river"),
        }
    for book in kinds["book"]:
        author, publisher = draws.pick(authors), draws.pick(publishers)
        earliest = max(author.number("born") + 24, publisher.number("founded") + 1)
        latest = max(earliest, min(author.number("born") + 70, LAST_YEAR))
        book.values |= {
            "author": author,
            "publisher": publisher,
            "published": draws.between(earliest, latest),
            "setting": draws.pick(kinds["town"]),
        }


def _later(person: Entity, youngest: int, oldest: int, draws: Draws) -> int:
    """A year in which the person's age was in the given range."""
    born = person.number("born")
    return draws.between(born + youngest, min(born + oldest, LAST_YEAR))
