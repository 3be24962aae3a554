"""Grades of any domain in one stream: facts at once, mathematics in a pool of processes.

Idea: the domain of a question says how its answers are compared; `fact` and `other` by exact
match, `math` by equivalence (its em and F1 are those of the texts).
Invariant: one grade for each item, in order; no process is started before the first mathematical item.
Not covered: judging answers that have no gold answer; they are left undecided.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Self

from schemas import Domain
from toolkit.grading.answers import Grade, grade_fact, known_answers
from toolkit.grading.pool import NO_GOLD_ANSWER, MathPool, Pair

Item = tuple[Domain, str | None, Sequence[str]]
"""The domain of a question, the prediction, the gold answers."""


class Grader:
    """Grades answers of all domains; use it as a context manager.

    `workers` is the number of processes for mathematics (default: one a core), `timeout_s` the
    processor time in seconds that one of its pairs may take.

    Raises:
        InputError: `workers` is below 1, or `timeout_s` is not positive.
    """

    def __init__(self, workers: int | None = None, timeout_s: float = 5.0) -> None:
        self._pool = MathPool(workers, timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all processes at once."""
        self._pool.close()

    def grade(self, items: Iterable[Item]) -> Iterator[Grade]:
        """One grade for each item, in order; `items` is read ahead by a bounded number.

        Raises:
            InputError: the gold answers of an item are a text instead of a list of texts.
            RunError: the processes do not start, or the grader is closed.
        """
        return self._pool.grade(map(_graded_if_fact, items))


def _graded_if_fact(item: Item) -> Pair | Grade:
    domain, prediction, answers = item
    if domain == "math":
        return prediction, answers
    return grade_fact(prediction, answers) if known_answers(answers) else Grade(None, 0.0, 0.0, NO_GOLD_ANSWER)
