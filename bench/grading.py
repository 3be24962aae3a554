"""Math pairs a second: `python -m bench.grading QUESTIONS.json`, any of the paper's question files.

Each answer of the file is graded against itself (right) or against the next one (wrong, nearly
always), in a pool of two processes that has graded the file once before.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from toolkit.grading.pool import MathPool, Pair
from toolkit.tasks.files import load_tasks

REPEATS = 5


def pairs_of(answers: list[str], wrong_share: float) -> list[Pair]:
    """One pair an answer; the first `wrong_share` of every ten are wrong."""
    following = [*answers[1:], answers[0]]
    return [
        (other if index % 10 < wrong_share * 10 else answer, [answer])
        for index, (answer, other) in enumerate(zip(answers, following, strict=True))
    ]


def main() -> None:
    """Print pairs a second for several shares of wrong answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("questions", type=Path)
    answers = [task.answers[0] for task in load_tasks(parser.parse_args().questions)]
    with MathPool(workers=2) as pool:
        for wrong_share in (0.0, 0.4, 1.0):
            pairs = pairs_of(answers, wrong_share)
            list(pool.grade(pairs))
            started = time.perf_counter()
            decided = [grade for _ in range(REPEATS) for grade in pool.grade(pairs)]
            rate = len(decided) / (time.perf_counter() - started)
            right = sum(grade.correct is True for grade in decided) / len(decided)
            print(f"{wrong_share:4.0%} wrong: {rate:8,.0f} pairs/s, {right:4.0%} graded right")


if __name__ == "__main__":
    main()
