"""Look for benchmark questions and their answers in one trajectory.

Invariant: a task that is equal to a benchmark question, and a task or agent's word that shares with one a run of `ngram`
words outside boilerplate (`boilerplate` says what that is), is found; so is a task whose shingles reach `jaccard`.
An answer is found where most of its question stands around it in the agent's own words: 60 % of the words and 40 % of
the pairs of neighbours, by information, within forty words or twice the question's length, and 20 nats in all; a plain
answer (`yes`, `12`) needs 60 % of the pairs. docs/curation.md says what these were measured on.
System prompts and tool definitions are no part of a trajectory's texts here. Not covered: paraphrase, translation,
answers without a word or number in them.
Source: Brown et al. 2020, app. C (13-grams); weighting and answers are ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from toolkit.contamination.boilerplate import Gram, grams
from toolkit.contamination.hits import Hit, Kind, Match, Segment
from toolkit.contamination.index import SHINGLE, WORD_SHARE, Entry, Index
from toolkit.contamination.words import Words, exact_key, split

PAIR_SHARE, PLAIN_PAIR_SHARE = 0.4, 0.6
PLAIN_CHARS = 4
"""Letters and digits of an answer so plain that it stands in any text."""
MIN_NATS = 20.0
WINDOW = 40
"""Words on each side of an answer that its question is looked for in, at least; or twice the question's length."""
MAX_PLACES = 100
"""Occurrences of one answer in one text that are looked at, from its beginning."""
WHOLE_SHARE = 0.5
"""A question that is quoted whole counts from this weight a word on, however short it is."""
_SLACK = 1e-9
"""Sums of weights depend on their order in the last digit."""

_Found = tuple[float, int, int, list[int]]
"""Share of the question, place of the answer's first word and the one behind its last, places of the question's."""


def find_in_task(index: Index, question: str, *, jaccard: float | None = 0.5) -> list[Hit]:
    """Benchmark questions that `question`, the task of a trajectory, overlaps; one hit each.

    Args:
        index: the benchmark questions.
        question: the text of the task.
        jaccard: similarity of shingles from which two questions are near-duplicates, in (0, 1]. None: never.
    """
    segment = Segment("question", question)
    words = split(question)
    hits = [_hit(index, number, "task", "exact", segment, (0, len(question)), 1.0) for number in _equal(index, segment)]
    if jaccard is not None:
        hits += _near(index, segment, words, jaccard)
    return _strongest([*hits, *_runs(index, segment, words, "task")])


def find_in_rollout(index: Index, own: Sequence[Segment], shown: Iterable[Segment] = ()) -> list[Hit]:
    """Benchmark questions and answers in what an agent wrote (`own`, in order) and was shown; one hit a question."""
    hits = list(_answers(index, own, "answer"))
    for segment in own:
        hits += _runs(index, segment, split(segment.text), "task")
    for segment in shown:
        hits += _answers(index, [segment], "passage")
        hits += _runs(index, segment, split(segment.text), "passage")
    return _strongest(hits)


def strongest(task: Iterable[Hit], rollout: Iterable[Hit]) -> list[Hit]:
    """One hit a benchmark question: overlap of the task before all else, in the order of benchmark and id."""
    return _strongest([*task, *rollout])


def _strongest(hits: Iterable[Hit]) -> list[Hit]:
    found: dict[tuple[str, str], Hit] = {}
    for hit in hits:
        key = (hit.benchmark, hit.question_id)
        if key not in found or _rank(hit) > _rank(found[key]):
            found[key] = hit
    return [found[key] for key in sorted(found)]


def _rank(hit: Hit) -> tuple[int, int, float]:
    """The task itself, then the answer in the agent's words, then the question there, then passages."""
    of_task = 3 if hit.segment.place == "question" else 1
    kind = {"task": of_task, "answer": 2, "passage": 0}[hit.kind]
    return kind, ("answer", "ngram", "near", "exact").index(hit.match), hit.measure


def _hit(
    index: Index, number: int, kind: Kind, match: Match, segment: Segment, span: tuple[int, int], measure: float
) -> Hit:
    question = index.entries[number].question
    return Hit(question.benchmark, question.question_id, kind, match, segment, *span, measure)


def _equal(index: Index, segment: Segment) -> list[int]:
    return index.exact.get(exact_key(segment.text), [])


def _near(index: Index, segment: Segment, words: Words, jaccard: float) -> Iterator[Hit]:
    """Jaccard similarity of shingles, boilerplate at its weight, for every question that shares one."""
    places: dict[Gram, int] = {}
    for at, shingle in enumerate(grams(words.words, SHINGLE)):
        places.setdefault(shingle, at)
    shared: dict[int, list[Gram]] = {}
    for shingle in places:
        for number in index.by_shingle.get(shingle, ()):
            shared.setdefault(number, []).append(shingle)
    for number, common in shared.items():
        weights = index.entries[number].shingles
        alike = sum(weights[shingle] for shingle in common) / (sum(weights.values()) + len(places) - len(common))
        if alike >= jaccard - _SLACK:
            at = [places[shingle] for shingle in common]
            span = words.spans[min(at)][0], words.spans[max(at) + SHINGLE - 1][1]
            yield _hit(index, number, "task", "near", segment, span, alike)


def _runs(index: Index, segment: Segment, words: Words, kind: Kind) -> Iterator[Hit]:
    """Runs of words that stand in a question, too, and weigh enough."""
    for length, known in index.runs.items():
        joined: dict[tuple[int, int], tuple[int, int]] = {}
        for at in _starts(words.words, index.vocabulary, length):
            for number, start in known.get(tuple(words.words[at : at + length]), ()):
                # The same question at the same distance: the run goes on, or a new one begins.
                first, last = joined.get((number, start - at), (at, at))
                if at > last + 1:
                    yield from _weighed(index, segment, words, kind, (number, start - at), (first, last + length))
                    first = at
                joined[number, start - at] = first, at
        for diagonal, (first, last) in joined.items():
            yield from _weighed(index, segment, words, kind, diagonal, (first, last + length))


def _starts(words: Sequence[str], vocabulary: frozenset[str], length: int) -> Iterator[int]:
    """Where runs of `length` words begin that are all in `vocabulary`."""
    known = 0
    for at, word in enumerate(words):
        known = known + 1 if word in vocabulary else 0
        if known >= length:
            yield at - length + 1


def _weighed(
    index: Index, segment: Segment, words: Words, kind: Kind, diagonal: tuple[int, int], run: tuple[int, int]
) -> Iterator[Hit]:
    (number, shift), (first, behind) = diagonal, run
    weights = index.entries[number].weights
    weight = sum(weights[first + shift : behind + shift])
    is_whole = behind - first == len(weights)
    needed = min(index.ngram, WHOLE_SHARE * len(weights)) if is_whole else index.ngram
    if weight >= needed - _SLACK:
        span = words.spans[first][0], words.spans[behind - 1][1]
        yield _hit(index, number, kind, "ngram", segment, span, weight)


@dataclass(slots=True)
class _Joined:
    """The words of several segments in a row."""

    words: list[str]
    spans: list[tuple[int, int, int]]
    """Of each word: its segment, first character, and the one behind the last."""
    places: dict[str, list[int]]


def _joined(segments: Sequence[Segment]) -> _Joined:
    joined = _Joined([], [], {})
    for number, segment in enumerate(segments):
        found = split(segment.text)
        joined.words += found.words
        joined.spans += [(number, start, end) for start, end in found.spans]
    for place, word in enumerate(joined.words):
        joined.places.setdefault(word, []).append(place)
    return joined


def _answers(index: Index, segments: Sequence[Segment], kind: Kind) -> Iterator[Hit]:
    """Gold answers with enough of their question around them."""
    text = _joined(segments)
    candidates = {number for word in text.places for number in index.telling.get(word, ())}
    for number in sorted(candidates):
        entry = index.entries[number]
        total = sum(entry.information.values())
        if sum(nats for word, nats in entry.information.items() if word in text.places) < WORD_SHARE * total - _SLACK:
            continue
        found = max((found for answer in entry.answers for found in _around(text, entry, answer)), default=None)
        if found is not None:
            yield _answer_hit(entry, segments, text, kind, found)


def _answer_hit(entry: Entry, segments: Sequence[Segment], text: _Joined, kind: Kind, found: _Found) -> Hit:
    """The answer, and around it what the question's words span in the same segment."""
    share, at, behind, near = found
    number = text.spans[at][0]
    in_segment = [place for place in (*near, at, behind - 1) if text.spans[place][0] == number]
    (_, start, _), (_, _, end) = text.spans[min(in_segment)], text.spans[max(in_segment)]
    question, segment = entry.question, segments[number]
    answer = " ".join(text.words[at:behind])
    return Hit(question.benchmark, question.question_id, kind, "answer", segment, start, end, share, answer)


def _around(text: _Joined, entry: Entry, answer: list[str]) -> Iterator[_Found]:
    """The places of `answer` that have enough of the question around them."""
    total, of_pairs = sum(entry.information.values()), sum(entry.pairs.values())
    pair_share = PLAIN_PAIR_SHARE if len("".join(answer)) <= PLAIN_CHARS else PAIR_SHARE
    width = max(WINDOW, 2 * len(entry.words))
    places = [at for at in text.places.get(answer[0], ()) if text.words[at : at + len(answer)] == answer]
    for at in places[:MAX_PLACES]:
        first, behind = max(0, at - width), at + len(answer)
        near = text.words[first : behind + width]
        nats = sum(entry.information[word] for word in entry.information.keys() & set(near))
        if nats < max(MIN_NATS, WORD_SHARE * total) - _SLACK:
            continue
        pairs = {pair: first + place for place, pair in enumerate(grams(near, 2)) if pair in entry.pairs}
        if sum(entry.pairs[pair] for pair in pairs) >= pair_share * of_pairs - _SLACK:
            yield nats / total, at, behind, [*pairs.values(), *(place + 1 for place in pairs.values())]
