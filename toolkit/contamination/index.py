"""The benchmark questions, indexed for what `scan` looks up: runs of words, shingles, and telling words.

Invariant: the index depends on the set of questions and witnesses, not on their order.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from toolkit.contamination.boilerplate import Gram, grams, word_weights
from toolkit.contamination.words import exact_key, names, split
from toolkit.errors import InputError

SHORTEST = 8
"""Words of the shortest question that is looked for inside other texts; shorter ones only count when equal."""
SHINGLE = 3
"""Words of the shingles that near-duplicates are compared by."""
LEAST_SHARE = 0.3
"""Share of a question's words, by information, below which no text is looked at for its answer."""
SLACK = 1e-9
"""Sums of weights depend on their order in the last digit."""
NAME_NATS = 5.0
"""Surprise from which a capitalised word is taken for a name."""
TELLING_NATS = 12.0
"""Surprise from which an answer tells by itself: two words that hardly any question has, or six digits."""
YEAR_DIGITS = 4
"""Numbers with more digits, zeros at the ends aside, are no years and stand in few texts."""
CORPUS = 1_000
"""Questions that word frequencies are counted among, at least: fewer would make every word common."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a benchmark."""

    benchmark: str
    """File or source that it is from."""
    question_id: str
    """The benchmark's own id."""
    text: str
    answers: tuple[str, ...] = ()
    """Gold answer and aliases; empty: only the question is looked for."""


@dataclass(slots=True)
class Entry:
    """A question, prepared."""

    question: Question
    words: list[str]
    weights: list[float]
    """Of each word, in (0, 1]; low where it is boilerplate."""
    answers: list[list[str]]
    """Words of each gold answer that has any."""
    telling_answers: dict[Gram, float] = field(init=False)
    """Of answers that hardly stand in a text by chance: surprise in nats."""
    shingles: dict[Gram, float] = field(init=False)
    """Runs of three words with the lowest weight of theirs."""
    own: list[float] = field(init=False)
    """Of each word: its surprise in nats where it is the question's own, and 0 where it is boilerplate."""
    information: dict[str, float] = field(init=False)
    """Of each word that is in no answer: surprise in nats."""
    pairs: dict[Gram, float] = field(init=False)
    """Of each two words in a row, not both of an answer: the like."""

    def __post_init__(self) -> None:
        found = enumerate(grams(self.words, SHINGLE))
        self.shingles = {shingle: min(self.weights[at : at + SHINGLE]) for at, shingle in found}


class Index:
    """Benchmark questions by their words.

    Args:
        questions: what is looked for.
        ngram: words that a shared run must weigh, at least 1.
        others: texts of other questions (the lake's own tasks): they show what is boilerplate. Read once.

    Raises:
        InputError: there are no questions, or `ngram` is below 1.
    """

    def __init__(self, questions: Sequence[Question], *, ngram: int = 13, others: Iterable[str] = ()) -> None:
        if ngram < 1:
            raise InputError(f"expected an ngram of at least 1 word, came {ngram}")
        if not questions:
            raise InputError("there is no question to look for")
        self.ngram = ngram
        prepared = [split(question.text).words for question in questions]
        prepared_answers = [[split(answer).words for answer in question.answers] for question in questions]
        counted = _Counted(prepared, {word for each in prepared_answers for words in each for word in words}, others)
        weights = word_weights(prepared, counted)
        self.entries = [
            Entry(question, words, weight, [answer for answer in answers if answer])
            for question, words, weight, answers in zip(questions, prepared, weights, prepared_answers, strict=True)
        ]
        self.vocabulary = frozenset(word for words in prepared for word in words)
        self.exact: dict[tuple[str, ...], list[int]] = defaultdict(list)
        self.runs: dict[int, dict[Gram, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
        self.by_shingle: dict[Gram, list[int]] = defaultdict(list)
        self.telling: dict[str, list[int]] = defaultdict(list)
        self.answers: dict[str, list[int]] = defaultdict(list)
        self.by_name: dict[str, list[int]] = defaultdict(list)
        self.surprise = counted.surprise
        for number, entry in enumerate(self.entries):
            self._add(number, entry, counted)

    def _add(self, number: int, entry: Entry, counted: _Counted) -> None:
        """Index one entry.

        Its telling words are those without which no text reaches `LEAST_SHARE`: only texts with one are looked at.
        """
        self.exact[exact_key(entry.question.text)].append(number)
        in_answers = {word for answer in entry.answers for word in answer}
        entry.own = [
            counted.surprise(word) if weight == 1 else 0.0
            for word, weight in zip(entry.words, entry.weights, strict=True)
        ]
        entry.information = {word: counted.surprise(word) for word in entry.words if word not in in_answers}
        pairs = [pair for pair in grams(entry.words, 2) if not in_answers.issuperset(pair)]
        entry.pairs = {pair: counted.surprise(pair) for pair in pairs}
        for name in names(entry.question.text):
            if counted.surprise(name) >= NAME_NATS:
                self.by_name[name].append(number)
        size = len(entry.words)
        if size >= min(SHORTEST, self.ngram):
            length = min(self.ngram, size)
            for start, run in enumerate(grams(entry.words, length)):
                self.runs[length][run].append((number, start))
        if size >= SHORTEST:
            for shingle in entry.shingles:
                self.by_shingle[shingle].append(number)
        surprises = {tuple(answer): sum(map(counted.surprise, set(answer))) for answer in entry.answers}
        entry.telling_answers = {answer: nats for answer, nats in surprises.items() if nats >= TELLING_NATS - SLACK}
        for first in {answer[0] for answer in entry.telling_answers}:
            self.answers[first].append(number)
        if not entry.answers:
            return
        left = sum(entry.information.values()) * (1 - LEAST_SHARE)
        for word, surprise in sorted(entry.information.items(), key=lambda item: (-item[1], item[0])):
            self.telling[word].append(number)
            left -= surprise
            if left < 0:
                break


class _Counted:
    """Passes on the words of each different question once, and counts in how many each word and pair stands."""

    def __init__(self, questions: Sequence[Sequence[str]], of_answers: set[str], others: Iterable[str]) -> None:
        self._questions, self._others = questions, others
        self._words = of_answers.union(*questions)
        self._pairs = {pair for words in questions for pair in grams(words, 2)}
        self._seen: Counter[str | Gram] = Counter()
        self._total = 0

    def __iter__(self) -> Iterator[Sequence[str]]:
        known: set[int] = set()
        for words in self._questions:
            yield from self._new(words, known)
        for text in self._others:
            yield from self._new(split(text).words, known)

    def _new(self, words: Sequence[str], known: set[int]) -> Iterator[Sequence[str]]:
        # Hashes, because a lake has millions of questions; two that collide are counted once.
        key = hash(tuple(words))
        if key not in known:
            known.add(key)
            self._total += 1
            self._seen.update(self._words.intersection(words))
            self._seen.update(self._pairs.intersection(grams(words, 2)))
            yield words

    def surprise(self, what: str | Gram) -> float:
        """-log of the share of questions that hold a word or pair, in nats; of a long number, that of its digits."""
        seldom = math.log((max(self._total, CORPUS) + 1) / (self._seen[what] + 1))
        digits = what.strip("0") if isinstance(what, str) and what.isdecimal() else ""
        return max(seldom, len(digits) * math.log(10)) if len(digits) > YEAR_DIGITS else seldom
