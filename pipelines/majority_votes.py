"""Which of several answers to a question is the majority's, by the same notion of equality that grading has.

Facts are the same by their normalized text; mathematics by equal spelling or, where spellings differ, by mathematical
equivalence of the later answer to the earlier one, decided in the grading processes for all questions in one stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations

from pipelines.evaluation_rows import Question
from pipelines.evaluation_statistics import majority
from toolkit.grading.answers import answer_key
from toolkit.grading.grader import Grader, Item
from toolkit.grading.spelling import fingerprint, tidy

Pair = tuple[str, str]
"""Keys of a later and an earlier answer."""


def vote(questions: Iterable[Question]) -> dict[str, bool]:
    """Whether the majority is right, by task_id; it is not where nobody answered."""
    questions = list(questions)
    equal = _equal_pairs(questions)
    verdicts = {}
    for question in questions:
        keyed = {sample.answer: _key(question.domain, sample.answer) for sample in question.samples if sample.answer}

        def same(later: str, earlier: str, keyed: dict[str, str] = keyed) -> bool:
            pair = keyed[later], keyed[earlier]
            return pair[0] == pair[1] or pair in equal

        winner = majority([sample.answer for sample in question.samples], same)
        verdicts[question.task_id] = winner is not None and question.samples[winner].correct
    return verdicts


def _key(domain: str, answer: str) -> str:
    return fingerprint(tidy(answer)) if domain == "math" else answer_key(answer)


def _equal_pairs(questions: Iterable[Question]) -> set[Pair]:
    """Pairs of different spellings that mean the same, of all mathematical questions."""
    wanted = {pair: answers for question in questions for pair, answers in _spellings(question)}
    if not wanted:
        return set()
    with Grader() as grader:
        items: Iterator[Item] = (("math", later, [earlier]) for later, earlier in wanted.values())
        return {pair for pair, grade in zip(wanted, grader.grade(items), strict=True) if grade.correct}


def _spellings(question: Question) -> Iterator[tuple[Pair, tuple[str, str]]]:
    """The pairs of spellings of one question that a computer algebra system must decide."""
    if question.domain != "math":
        return
    first: dict[str, str] = {}
    for sample in question.samples:
        if sample.answer and sample.answer.strip():
            first.setdefault(_key("math", sample.answer), sample.answer)
    for earlier, later in combinations(first, 2):
        yield (later, earlier), (first[later], first[earlier])
