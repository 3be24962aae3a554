"""Look for benchmark questions and their answers in one trajectory.

Invariant: found is a task that is equal to a benchmark question or alike by shingles, and a task or agent's word that
shares with one a run of `ngram` words, or all of a shorter question; unless what is shared is mostly boilerplate (see
`boilerplate`) and has no two rare words that are not.
`answers` says when an answer is found.
System prompts and tool definitions are no part of a trajectory's texts here. Not covered: paraphrase, translation.
Source: Brown et al. 2020, app. C (13-grams); the weighting is ours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from toolkit.contamination.answers import SHOWN, find_answers, find_mentions, read
from toolkit.contamination.boilerplate import Gram, grams
from toolkit.contamination.hits import Hit, Kind, Match, Segment
from toolkit.contamination.index import SHINGLE, SLACK, Index
from toolkit.contamination.words import Words, exact_key, split

OWN_SHARE = 0.6
"""Of what is shared, the part by weight that must be the question's own and no boilerplate."""
NAMES_SHARE = 0.6
"""Similarity of two questions by the information of their words from which, sharing names, they are near-duplicates."""
OWN_NATS = 10.0
"""Information of own words with which a run counts however much boilerplate is around: two names, for example."""


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
        hits += [*_near(index, segment, words, jaccard), *_alike_by_names(index, segment, words)]
    return _strongest([*hits, *_runs(index, segment, words, "task")])


def find_in_rollout(index: Index, question: str, own: Sequence[Segment], shown: Iterable[Segment] = ()) -> list[Hit]:
    """Benchmark questions and answers in what an agent wrote and was shown; one hit a question.

    Args:
        index: the benchmark questions.
        question: the text of the task, which an answer may be to; empty where it is not known.
        own: what the agent wrote, in order.
        shown: what it was shown; empty: that is not looked at.
    """
    written = read(own, question)
    hits = [*find_answers(index, written, "answer"), *find_mentions(index, written)]
    for segment in own:
        hits += _runs(index, segment, split(segment.text), "task")
    for segment in shown:
        hits += find_answers(index, read([segment]), "passage", SHOWN)
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
    """The task itself, the answer in the agent's words, the question there, answers alone, and last passages."""
    of_task = 4 if hit.segment.place == "question" else 2
    kind = {"task": of_task, "answer": 1 if hit.match == "mention" else 3, "passage": 0}[hit.kind]
    return kind, ("mention", "answer", "ngram", "near", "exact").index(hit.match), hit.measure


def _hit(
    index: Index, number: int, kind: Kind, match: Match, segment: Segment, span: tuple[int, int], measure: float
) -> Hit:
    question = index.entries[number].question
    return Hit(question.benchmark, question.question_id, kind, match, segment, *span, measure)


def _equal(index: Index, segment: Segment) -> list[int]:
    return index.exact.get(exact_key(segment.text), [])


def _near(index: Index, segment: Segment, words: Words, jaccard: float) -> Iterator[Hit]:
    """Questions that are alike by shingles, also where they are not boilerplate."""
    places: dict[Gram, int] = {}
    for at, shingle in enumerate(grams(words.words, SHINGLE)):
        places.setdefault(shingle, at)
    shared: dict[int, list[Gram]] = {}
    for shingle in places:
        for number in index.by_shingle.get(shingle, ()):
            shared.setdefault(number, []).append(shingle)
    for number, common in shared.items():
        weights = index.entries[number].shingles
        alike = len(common) / (len(weights) + len(places) - len(common))
        own = sum(weights[shingle] for shingle in common)
        if alike >= jaccard - SLACK and own >= OWN_SHARE * sum(weights.values()) - SLACK:
            starts = [places[shingle] for shingle in common]
            span = words.spans[min(starts)][0], words.spans[max(starts) + SHINGLE - 1][1]
            yield _hit(index, number, "task", "near", segment, span, alike)


def _alike_by_names(index: Index, segment: Segment, words: Words) -> Iterator[Hit]:
    """Questions about the same names in mostly the same words: in short ones, one change breaks most shingles."""
    nats = {word: index.surprise(word) for word in set(words.words)}
    shared: dict[int, float] = defaultdict(float)
    for word in nats:
        for number in index.by_name.get(word, ()):
            shared[number] += nats[word]
    for number in (number for number, of_names in shared.items() if of_names >= OWN_NATS - SLACK):
        question = set(index.entries[number].words)
        union = sum(nats.values()) + sum(index.surprise(word) for word in question - nats.keys())
        alike = sum(nats[word] for word in question & nats.keys()) / union
        if alike >= NAMES_SHARE - SLACK:
            common = [span for word, span in zip(words.words, words.spans, strict=True) if word in question]
            span = common[0][0], common[-1][1]
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
    entry, size = index.entries[number], min(index.ngram, behind - first)
    windows = [slice(start, start + size) for start in range(first + shift, behind + shift - size + 1)]
    weight = max(sum(entry.weights[window]) for window in windows)
    nats = max(sum(dict(zip(entry.words[window], entry.own[window], strict=True)).values()) for window in windows)
    if weight >= OWN_SHARE * size - SLACK or nats >= OWN_NATS - SLACK:
        span = words.spans[first][0], words.spans[behind - 1][1]
        yield _hit(index, number, kind, "ngram", segment, span, weight)
