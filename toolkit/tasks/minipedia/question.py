"""A question with its answers and plan, and what all families of questions have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas import Domain
from toolkit.tasks.minipedia.draws import Draws
from toolkit.tasks.minipedia.entity import Entity
from toolkit.tasks.plan import Plan


@dataclass(frozen=True, slots=True)
class Question:
    """A question that has exactly one answer in its world."""

    text: str
    answers: tuple[str, ...]
    """The answer as articles write it, then other ways to write it."""
    domain: Domain
    """`math` for numbers and years, else `fact`."""
    plan: Plan


@dataclass(frozen=True, slots=True)
class Proposal:
    """What could be asked, before it is put into words."""

    key: str
    """Says what is asked, whatever the wording; no two questions share a key."""
    ask: Callable[[], Question]
    """Puts it into words; call at most once."""


class Family(Protocol):
    """A family of questions about one world."""

    name: str

    def propose(self, draws: Draws) -> Proposal | None:
        """Something to ask. None: this draw led to nothing that can be asked."""


def number_answers(value: int) -> tuple[str, ...]:
    """A whole number as plain digits, then with separators where it has more than three digits; not for years."""
    plain, separated = str(value), f"{value:,}"
    return (plain,) if plain == separated else (plain, separated)


def decimal_answers(numerator: int, denominator: int) -> tuple[str, ...]:
    """The quotient rounded to two decimals, without and with trailing zeros; empty where rounding is a tie.

    Exact, so that it equals Python's `round(numerator / denominator, 2)` everywhere but at ties.
    """
    hundredths, rest = divmod(numerator * 100, denominator)
    if 2 * rest == denominator:
        return ()
    hundredths += 2 * rest > denominator
    whole, part = divmod(hundredths, 100)
    padded = f"{whole}.{part:02d}"
    short = padded.rstrip("0").rstrip(".")
    return tuple(dict.fromkeys((short, padded, f"{whole:,}.{part:02d}")))


def entity_answers(entity: Entity) -> tuple[str, ...]:
    """The name of an entity, then the forms in which people write it."""
    name, kind = entity.name, entity.kind.name
    if kind == "river":
        word = name.removeprefix("River ")
        return (name, f"the {name}", word, f"{word} River")
    if kind == "bridge":
        return (name, f"the {name}")
    if kind == "region":
        return (name, f"the {name} region", f"the region of {name}")
    if kind == "mountain":
        return (name, name.replace("Mount ", "Mt. ", 1))
    return (name,)


def listed(names: Sequence[str]) -> str:
    """The names as a sentence lists them: "A, B and C"."""
    return f"{', '.join(names[:-1])} and {names[-1]}"
