"""What a kind of thing is: its attributes, and every wording in which articles and questions speak of them.

A kind is one file in `kinds`, so a new kind is a new file. Templates are `str.format` texts.

In sentences of articles: `{S}` `{s}` subject at the start and in the middle of a sentence (name,
pronoun or "the town"), `{P}` `{p}` its possessive, `{he}` `{his}` pronouns, `{v}` the value.
In questions and queries: `{s}` is the subject, which may be a phrase such as "the founder of X".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

KindName = str
"""`person`, `town` and so on: the keys of `kinds.KINDS`."""


@dataclass(frozen=True, slots=True)
class Measure:
    """How two or more things are compared by a number; `{a}` has the greater value in `gap` and `ratio`."""

    most: tuple[str, ...]
    """Asks which of `{a}` and `{b}` has the greater value (the later year)."""
    least: tuple[str, ...]
    """Asks which of `{a}` and `{b}` has the smaller value (the earlier year)."""
    gap: tuple[str, ...]
    """Asks for value of `{a}` minus value of `{b}`."""
    total: tuple[str, ...] = ()
    """Asks for the sum over `{list}`. Empty: a sum has no meaning."""
    ratio: tuple[str, ...] = ()
    """Asks for value of `{a}` divided by value of `{b}`. Empty: a ratio has no meaning."""
    mean: tuple[str, ...] = ()
    """Asks for the average over `{list}`. Empty: an average has no meaning."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """Something that articles state about each thing of a kind."""

    name: str
    """Unique within the kind."""
    value: str
    """`year`, `number`, `word`, or the kind that it points at."""
    facts: tuple[str, ...]
    """Sentences of an article that state it."""
    questions: tuple[str, ...]
    """Questions for it, plainest first."""
    query: str
    """What one types into a search for it."""
    nouns: tuple[str, ...]
    """Noun phrases for its value; at least one ends in `{s}`, so that phrases can be stacked readably."""
    small: tuple[int, int] = (0, 0)
    """Least and greatest value in domain, for numbers."""
    large: tuple[int, int] = (0, 0)
    """Least and greatest value out of domain, for numbers."""
    measure: Measure | None = None
    """How it is compared. None: not a number or year."""
    event: str | None = None
    """The event of a year as a noun phrase. None: not a year."""

    @property
    def is_relation(self) -> bool:
        """Whether the value is another entity."""
        return self.value not in ("year", "number", "word")


@dataclass(frozen=True, slots=True)
class Opening:
    """A first sentence, which names the thing and says what it is."""

    text: str
    """Uses `{name}`, `{country}`, attribute names, and `{a_…}` for a word with its article."""
    states: tuple[str, ...]
    """The attributes whose values it states."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of thing."""

    name: KindName
    share: int
    """Entities of this kind in a hundred."""
    noun: str
    """What a sentence may call the thing instead of its name; empty for people."""
    attributes: tuple[Attribute, ...]
    openings: tuple[Opening, ...]
    events: tuple[str, ...]
    """Sentences with facts that no question asks for: `{year}` after the start, a `{town}`, `{count}`."""
    lookalikes: tuple[str, ...]
    """Sentences about `{other}` of the same kind, with true values of it by attribute name."""
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By `kind.attribute` of an `{other}` that points here: sentences that say so from this side."""
    start: str = ""
    """Name of the year in which the thing came about; events come later. Empty: it is older than any event."""
    the: str = ""
    """`the ` where the name needs it in a sentence, as in "the River Tesk"."""
