"""Minipedia itself: two worlds from one seed, their articles, and questions about them.

Questions of `train` and `test` are about the in-domain world and share its articles; `ood` is
about another world, of which no name occurs in the first, with larger numbers and more hops.

Invariants: everything depends on (seed, size) only; question i of a split does not depend on how
many are asked for; no two questions ask the same, within a split or across `train` and `test`,
whatever the wording; families take turns, so that every prefix is balanced; no question states its
own answer (a comparison states both candidates).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, cached_property
from itertools import count, islice
from zlib import crc32

from schemas import Task
from schemas.identity import canonical_json, derive_id
from toolkit.errors import InputError
from toolkit.tasks.minipedia.aggregates import Aggregates
from toolkit.tasks.minipedia.arithmetic import Arithmetic
from toolkit.tasks.minipedia.articles import Article
from toolkit.tasks.minipedia.chains import Chains
from toolkit.tasks.minipedia.comparisons import Comparisons
from toolkit.tasks.minipedia.draws import Draws
from toolkit.tasks.minipedia.profile import IN_DOMAIN, OUT_OF_DOMAIN, Profile
from toolkit.tasks.minipedia.question import Family, Question
from toolkit.tasks.minipedia.spec import DEFAULT_SEED, DEFAULT_SIZE, Split, checked_split, checked_world
from toolkit.tasks.minipedia.steps import Library
from toolkit.tasks.minipedia.world import World
from toolkit.tasks.plan import stands_in

DATASET = "minipedia"
QUESTIONS_PER_ENTITY: dict[Split, int] = {"train": 8, "test": 2, "ood": 8}
"""The most questions of a split, per entity of its world."""
FAMILIES = ("lookup", "bridge", "compare", "aggregate", "arithmetic")
LICENSE = "CC0-1.0"
"""SPDX name; what the generator makes up belongs to nobody."""
_TEST_PERCENT = 20
_MOST_ATTEMPTS = 20_000


class Minipedia:
    """A generated encyclopedia with questions.

    Args:
        seed: which one; any number from 0.
        size: entities of each world, and so articles; from 50 to 100,000.
        in_domain: how hard questions of `train` and `test` are.

    Raises:
        InputError: seed or size is out of range.
    """

    def __init__(self, seed: int = DEFAULT_SEED, size: int = DEFAULT_SIZE, *, in_domain: Profile = IN_DOMAIN) -> None:
        checked_world(seed, size)
        self.seed = seed
        self.size = size
        self._profile = in_domain

    def articles(self, split: Split) -> Iterator[Article]:
        """The corpus of a split, one article an entity; `train` and `test` have the same.

        Raises:
            InputError: there is no such split.
        """
        library = self._library(checked_split(split))
        return (library.page(entity).article for entity in library.world.entities)

    def maximum(self, split: Split) -> int:
        """The most questions that `tasks` gives for a split.

        Raises:
            InputError: there is no such split.
        """
        return QUESTIONS_PER_ENTITY[checked_split(split)] * self.size

    def tasks(self, split: Split, limit: int | None = None) -> Iterator[Task]:
        """Questions of a split with answers, evidence and plan, as rows of the lake.

        Args:
            split: `train`, `test` or `ood`.
            limit: how many. None: `maximum(split)`.

        Raises:
            InputError: there is no such split, or it has fewer questions.
        """
        maximum = self.maximum(split)
        if limit is not None and not 0 <= limit <= maximum:
            raise InputError(
                f"{limit} questions were asked of minipedia:{split}, which has {maximum} at size {self.size}: "
                "lower the limit or raise size"
            )
        return islice(self._tasks(split), maximum if limit is None else limit)

    def _tasks(self, split: Split) -> Iterator[Task]:
        library = self._library(split)
        families = _families(library)
        draws = Draws(library.world.key, "questions", split)
        seen: set[str] = set()
        for position in count():
            family = families[position % len(families)]
            question = self._question(family, split, draws, seen)
            yield self._row(question, family.name, split, position)

    def _question(self, family: Family, split: Split, draws: Draws, seen: set[str]) -> Question:
        """The first thing that `draws` propose which belongs to the split and was not asked before."""
        for _ in range(_MOST_ATTEMPTS):
            proposal = family.propose(draws)
            if proposal is None or proposal.key in seen or not self._belongs(proposal.key, split):
                continue
            seen.add(proposal.key)
            question = proposal.ask()
            if family.name == "compare" or not stands_in(question.answers[0], question.text):
                return question
        raise AssertionError(f"{family.name} questions of {split} ran out: QUESTIONS_PER_ENTITY promises too many")

    def _belongs(self, key: str, split: Split) -> bool:
        """In domain, what a question asks decides its split, so that none is in both."""
        if split == "ood":
            return True
        return (crc32(f"{self.seed}|{key}".encode()) % 100 < _TEST_PERCENT) == (split == "test")

    def _row(self, question: Question, family: str, split: Split, position: int) -> Task:
        source_id = f"{self.seed}-{self.size}-{position}"
        lookups = question.plan.lookups
        return Task(
            task_id=derive_id("task", DATASET, split, source_id, question.text),
            dataset=DATASET,
            split=split,
            source_id=source_id,
            question=question.text,
            answers=list(question.answers),
            domain=question.domain,
            plan=question.plan.model_dump_json(exclude_none=True),
            evidence=list(dict.fromkeys(lookup.title for lookup in lookups)),
            license=LICENSE,
            metadata=_metadata(family, len(lookups), self.seed, self.size),
        )

    def _library(self, split: Split) -> Library:
        return self._out_of_domain if split == "ood" else self._in_domain

    @cached_property
    def _in_domain(self) -> Library:
        return Library(World(self.seed, self.size, self._profile))

    @cached_property
    def _out_of_domain(self) -> Library:
        return Library(World(self.seed, self.size, OUT_OF_DOMAIN))


@cache
def _metadata(family: str, hops: int, seed: int, size: int) -> str:
    return canonical_json({"family": family, "hops": hops, "seed": seed, "size": size})


def _families(library: Library) -> tuple[Family, ...]:
    """In the order of `FAMILIES`."""
    hops = library.world.profile.hops
    return (
        Chains("lookup", library, hops=((1, 1),)),
        Chains("bridge", library, hops=hops),
        Comparisons(library),
        Aggregates(library),
        Arithmetic(library),
    )
