"""A comparison of evaluations: one result for each contestant and part, one test for each pair on the same questions.

Where there are several samples of a question, `accuracy` is the mean over them, and `majority` what their vote gets
right. Pairs are compared on questions that both answered, by the majority where there are several samples; what only
one of them answered is named. Ungraded answers are left out and counted; undecided ones are not right.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import combinations
from typing import Any

import duckdb

from pipelines.evaluation_rows import (
    COSTS,
    STEP_ERRORS,
    Contestant,
    Part,
    Question,
    read_by_part,
    read_questions,
)
from pipelines.evaluation_statistics import Estimate, estimate_difference, estimate_share, mcnemar, pass_at_k
from pipelines.majority_votes import vote
from toolkit.errors import InputError

Answered = dict[str, Question]
"""Questions by task_id."""


@dataclass(frozen=True, slots=True)
class Score:
    """How often a contestant was right on some questions."""

    questions: int
    fewest_samples: int
    most_samples: int
    accuracy: Estimate
    """Mean over questions of the share of samples that are right."""
    majority: Estimate | None
    """Of the samples' vote. None: one sample a question."""
    pass_at_k: dict[int, Estimate]
    """For k of 1, 2, 4, … and all; empty with one sample a question."""


@dataclass(frozen=True, slots=True)
class Result:
    """One contestant on one part of a question set."""

    name: str
    dataset: str
    split: str | None
    score: Score
    costs: dict[str, Any]
    """Means and counts over rollouts, as `evaluation_rows.COSTS` names them."""
    step_errors: dict[str, int]
    """Steps by error kind."""
    groups: dict[str, Score]
    """By the field that was asked for, in order of its values."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A question that one contestant got right and the other wrong."""

    task_id: str
    question: str
    gold: list[str]
    right: str
    """trajectory_id of the right one's first right sample, else of its first."""
    wrong: str
    """trajectory_id of the wrong one's first wrong sample, else of its first."""
    answer: str | None
    """What the wrong one answered there."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two contestants on the questions of one part that both answered."""

    first: str
    second: str
    dataset: str
    split: str | None
    questions: int
    both: int
    only_first: int
    only_second: int
    neither: int
    difference: Estimate
    """Share right of the first minus that of the second."""
    p: float
    """McNemar's exact test over `only_first` + `only_second` discordant pairs."""
    only_first_right: list[Disagreement]
    only_second_right: list[Disagreement]
    not_answered_by_first: list[str]
    """task_ids that only the second answered."""
    not_answered_by_second: list[str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that is shown."""

    contestants: list[Contestant]
    results: list[Result]
    pairs: list[Pair]
    """All pairs, in the order of the contestants."""
    by: str | None
    """Field of `Result.groups`. None: there are none."""


def compare(
    connection: duckdb.DuckDBPyConnection, contestants: Sequence[Contestant], by: Sequence[str] = ()
) -> list[Comparison]:
    """The comparison by each of the fields, or one without groups.

    Raises:
        InputError: no question has one of the fields.
    """
    found = read_questions(connection, contestants)
    costs, errors = read_by_part(connection, COSTS), read_by_part(connection, STEP_ERRORS)
    _check_fields(found, by)
    votes = {
        (name, part): vote(questions.values()) if _samples(questions.values())[1] > 1 else _single(questions)
        for name, parts in found.items()
        for part, questions in parts.items()
    }
    parts = sorted({part for parts in found.values() for part in parts}, key=str)
    pairs = [
        _pair(first.name, second.name, part, found, votes)
        for part in parts
        for first, second in combinations(contestants, 2)
        if part in found[first.name] and part in found[second.name]
    ]
    comparisons = []
    wanted: list[str | None] = [*by] or [None]
    for field in wanted:
        results = [
            Result(
                one.name,
                *part,
                _score(found[one.name][part].values(), votes[one.name, part]),
                costs[one.name, part][0],
                {row["error_kind"]: row["steps"] for row in errors[one.name, part]},
                _groups(found[one.name][part], field, votes[one.name, part]) if field else {},
            )
            for part in parts
            for one in contestants
            if part in found[one.name]
        ]
        comparisons.append(Comparison(list(contestants), results, pairs, field))
    return comparisons


def fields_of(found: Mapping[str, Mapping[Part, Answered]]) -> dict[str, int]:
    """Fields of the questions' metadata and how many questions have each."""
    counts: dict[str, int] = defaultdict(int)
    for parts in found.values():
        for questions in parts.values():
            for question in questions.values():
                for name in question.metadata:
                    counts[name] += 1
    return dict(counts)


def _check_fields(found: Mapping[str, Mapping[Part, Answered]], by: Iterable[str]) -> None:
    known = fields_of(found)
    for field in by:
        if field not in known:
            close = get_close_matches(field, known, n=1)
            there = f"there are {', '.join(sorted(known))}" if known else "they have no metadata"
            hint = f"did you mean {close[0]!r}?" if close else there
            raise InputError(f"--by {field}: no question of these has that field; {hint}")


def _single(questions: Answered) -> dict[str, bool]:
    return {task_id: bool(question.right) for task_id, question in questions.items()}


def _samples(questions: Iterable[Question]) -> tuple[int, int]:
    """Fewest and most samples of a question."""
    counts = [len(question.samples) for question in questions]
    return min(counts), max(counts)


def _score(questions: Iterable[Question], votes: Mapping[str, bool]) -> Score:
    questions = list(questions)
    fewest, most = _samples(questions)
    accuracy = estimate_share([question.right / len(question.samples) for question in questions])
    several = most > 1
    return Score(
        len(questions),
        fewest,
        most,
        accuracy,
        estimate_share([float(votes[question.task_id]) for question in questions]) if several else None,
        {k: _passed(questions, k) for k in _ks(fewest)} if several else {},
    )


def _ks(samples: int) -> list[int]:
    """1, 2, 4, … and `samples`."""
    return sorted({*(1 << power for power in range(samples.bit_length())), samples})


def _passed(questions: Iterable[Question], k: int) -> Estimate:
    return estimate_share([pass_at_k(len(question.samples), question.right, k) for question in questions])


def _groups(questions: Answered, field: str, votes: Mapping[str, bool]) -> dict[str, Score]:
    groups: dict[str, list[Question]] = defaultdict(list)
    for question in questions.values():
        groups[_text(question.metadata.get(field))].append(question)
    return {value: _score(groups[value], votes) for value in sorted(groups, key=_natural)}


def _text(value: object) -> str:
    return "–" if value is None else value if isinstance(value, str) else str(value)


def _natural(value: str) -> tuple[int, float, str]:
    """Numbers by size, before texts."""
    try:
        return 0, float(value), value
    except ValueError:
        return 1, 0.0, value


def _pair(
    first: str,
    second: str,
    part: Part,
    found: Mapping[str, Mapping[Part, Answered]],
    votes: Mapping[tuple[str, Part], Mapping[str, bool]],
) -> Pair:
    ours, theirs = found[first][part], found[second][part]
    shared = [task_id for task_id in ours if task_id in theirs]
    verdicts = {task_id: (votes[first, part][task_id], votes[second, part][task_id]) for task_id in shared}

    def having(verdict: tuple[bool, bool]) -> list[str]:
        return [task_id for task_id in shared if verdicts[task_id] == verdict]

    differences = [float(one) - float(other) for one, other in verdicts.values()]
    only_first, only_second = having((True, False)), having((False, True))
    return Pair(
        first,
        second,
        *part,
        len(shared),
        len(having((True, True))),
        len(only_first),
        len(only_second),
        len(having((False, False))),
        estimate_difference(differences) if differences else Estimate(0.0, None, None),
        mcnemar(len(only_first), len(only_second)),
        [_disagreement(ours[task_id], theirs[task_id]) for task_id in only_first],
        [_disagreement(theirs[task_id], ours[task_id]) for task_id in only_second],
        [task_id for task_id in theirs if task_id not in ours],
        [task_id for task_id in ours if task_id not in theirs],
    )


def _disagreement(right: Question, wrong: Question) -> Disagreement:
    good, bad = _first(right, lambda correct: correct), _first(wrong, lambda correct: not correct)
    return Disagreement(
        right.task_id,
        right.text,
        right.gold,
        right.samples[good].trajectory_id,
        wrong.samples[bad].trajectory_id,
        wrong.samples[bad].answer,
    )


def _first(question: Question, fits: Callable[[bool], bool]) -> int:
    return next((place for place, sample in enumerate(question.samples) if fits(sample.correct)), 0)
