"""Gold answers in what an agent wrote, and in what it was shown.

An answer alone says little: `yes`, `12` and `France` stand in any text. It is found where enough of its question
stands around it, in words and in pairs of neighbours, each by information; a question's words are looked for within
forty words or twice its length, and in the task that the agent was set. A plain answer needs most of the pairs, because
variants of a problem share their words and often their answer. What an agent was shown is only reported, so that less
is enough there.
A telling answer that stands alone is a *mention*: a weaker finding of its own.
docs/curation.md says what the shares were measured on. Not covered: answers without a letter or digit, paraphrase.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from toolkit.contamination.boilerplate import grams
from toolkit.contamination.hits import Hit, Kind, Match, Segment
from toolkit.contamination.index import SLACK, Entry, Index
from toolkit.contamination.words import split


@dataclass(frozen=True, slots=True)
class Needed:
    """What must stand around an answer."""

    words: float
    """Share of the question's words, by information."""
    pairs: float
    """The like of its pairs of neighbours."""
    nats: float
    """Information of those words in all."""


OWN = Needed(words=0.5, pairs=0.1, nats=20.0)
PLAIN = Needed(words=0.6, pairs=0.6, nats=20.0)
"""Around a plain answer, in any text."""
SHOWN = Needed(words=0.3, pairs=0.1, nats=15.0)

PLAIN_CHARS = 4
"""Letters and digits of a plain answer, at most; the names of LaTeX for fractions, roots, degrees and pi aside."""
_NOTATION = frozenset({"frac", "sqrt", "circ", "pi"})
WINDOW = 40
"""Words on each side of an answer that its question is looked for in, at least; or twice the question's length."""
MAX_PLACES = 100
"""Occurrences of one answer in one text that are looked at, from its beginning."""

_Found = tuple[float, int, int, list[int]]
"""Share of the question, place of the answer's first word and the one behind its last, places of the question's."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The words of several segments, read one after the other, and of the task that they are to."""

    segments: Sequence[Segment]
    words: list[str]
    spans: list[tuple[int, int, int]]
    """Of each word: its segment, first character, and the one behind the last."""
    places: dict[str, list[int]]
    """Of each word."""
    asked: list[str]
    """Words of the task, which are around every place."""
    vocabulary: frozenset[str]
    """All of these words."""

    def find(self, answer: Sequence[str]) -> list[int]:
        """Where `answer` begins."""
        size, wanted = len(answer), list(answer)
        return [at for at in self.places.get(wanted[0], ()) if self.words[at : at + size] == wanted]


def read(segments: Sequence[Segment], asked: str = "") -> Reading:
    """Prepare `segments`, written or shown while the task was `asked` (empty: that does not matter)."""
    words: list[str] = []
    spans: list[tuple[int, int, int]] = []
    for number, segment in enumerate(segments):
        found = split(segment.text)
        words += found.words
        spans += [(number, start, end) for start, end in found.spans]
    places: dict[str, list[int]] = {}
    for place, word in enumerate(words):
        places.setdefault(word, []).append(place)
    of_task = split(asked).words
    return Reading(segments, words, spans, places, of_task, frozenset(places) | frozenset(of_task))


def find_answers(index: Index, text: Reading, kind: Kind, needed: Needed = OWN) -> Iterator[Hit]:
    """Gold answers in `text` with enough of their question around them or in the task."""
    candidates = {number for word in text.vocabulary for number in index.telling.get(word, ())}
    for number in sorted(candidates):
        entry = index.entries[number]
        nats = sum(nats for word, nats in entry.information.items() if word in text.vocabulary)
        if nats < max(needed.nats, needed.words * sum(entry.information.values())) - SLACK:
            continue
        found = max((found for answer in entry.answers for found in _around(text, entry, answer, needed)), default=None)
        if found is not None:
            share, at, behind, near = found
            yield _hit(entry, text, kind, "answer", (at, behind), near, share)


def find_mentions(index: Index, text: Reading) -> Iterator[Hit]:
    """Telling answers anywhere in `text`, an agent's own words, unless the task holds them: it repeats those."""
    repeated = f" {' '.join(text.asked)} "
    candidates = {number for word in text.places for number in index.answers.get(word, ())}
    for number in sorted(candidates):
        entry = index.entries[number]
        places = {
            answer: at
            for answer in entry.telling_answers
            if f" {' '.join(answer)} " not in repeated and (at := text.find(answer))
        }
        if places:
            answer = max(places, key=lambda answer: (entry.telling_answers[answer], answer))
            span = places[answer][0], places[answer][0] + len(answer)
            yield _hit(entry, text, "answer", "mention", span, [], entry.telling_answers[answer])


def _around(text: Reading, entry: Entry, answer: list[str], needed: Needed) -> Iterator[_Found]:
    """The places of `answer` that have enough of the question around them."""
    if _is_plain(answer):
        needed = PLAIN
    total, of_pairs = sum(entry.information.values()), sum(entry.pairs.values())
    width = max(WINDOW, 2 * len(entry.words))
    asked_pairs = entry.pairs.keys() & set(grams(text.asked, 2))
    for at in text.find(answer)[:MAX_PLACES]:
        first, behind = max(0, at - width), at + len(answer)
        near = text.words[first : behind + width]
        nats = sum(entry.information[word] for word in entry.information.keys() & {*near, *text.asked})
        if nats < max(needed.nats, needed.words * total) - SLACK:
            continue
        pairs = {pair: first + place for place, pair in enumerate(grams(near, 2)) if pair in entry.pairs}
        if sum(entry.pairs[pair] for pair in pairs.keys() | asked_pairs) >= needed.pairs * of_pairs - SLACK:
            yield nats / total, at, behind, [*pairs.values(), *(place + 1 for place in pairs.values())]


def _is_plain(answer: Sequence[str]) -> bool:
    return sum(len(word) for word in answer if word not in _NOTATION) <= PLAIN_CHARS


def _hit(
    entry: Entry,
    text: Reading,
    kind: Kind,
    match: Match,
    answer: tuple[int, int],
    near: Sequence[int],
    measure: float,
) -> Hit:
    """The answer, and around it what the question's words span in the same segment."""
    at, behind = answer
    number = text.spans[at][0]
    in_segment = [place for place in (*near, at, behind - 1) if text.spans[place][0] == number]
    (_, start, _), (_, _, end) = text.spans[min(in_segment)], text.spans[max(in_segment)]
    question, said = entry.question, " ".join(text.words[at:behind])
    return Hit(question.benchmark, question.question_id, kind, match, text.segments[number], start, end, measure, said)
