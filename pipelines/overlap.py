"""`toolkit overlap`: which questions of one set stand in another, before anything is spent on them.

Every question is taken as the task of a trajectory that ended with its gold answer, so that the command finds what
`decontaminate` would drop were the teacher always right.
Invariant: nothing is written, and no lake is needed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pipelines.decontamination import questions_of
from schemas import Task
from toolkit.cli.option_checks import check_counts
from toolkit.cli.options import AsJson
from toolkit.cli.output import note, print_json, print_table, progress
from toolkit.contamination.hits import Hit, Segment
from toolkit.contamination.index import Index, Question
from toolkit.contamination.scan import find_in_rollout, find_in_task, strongest
from toolkit.errors import InputError
from toolkit.tasks.source import open_tasks

MATCHES = ("exact", "near", "ngram", "answer")
"""What is told apart, the strongest first."""


def find_overlaps(
    tasks: Sequence[Task], questions: Sequence[Question], *, ngram: int = 13, jaccard: float | None = 0.5
) -> Iterator[tuple[int, Hit]]:
    """Places in `tasks`, ascending, with what stands there; mentions, nearly always accidents, are left out.

    Raises:
        InputError: there are no questions.
    """
    index = Index(questions, ngram=ngram, others=(task.question for task in tasks))
    with progress("overlap", len(tasks), unit="questions") as advance:
        for place, task in enumerate(tasks):
            answers = [Segment("final_answer", answer) for answer in task.answers[:1]]
            in_task = find_in_task(index, task.question, jaccard=jaccard)
            for hit in strongest(in_task, find_in_rollout(index, task.question, answers)):
                if hit.match != "mention":
                    yield place, hit
            advance(place + 1)


def overlap_command(
    tasks: Annotated[list[str], Parameter(consume_multiple=True)],
    /,
    *,
    against: Annotated[list[str], Parameter(consume_multiple=True)],
    ngram: int = 13,
    jaccard: float = 0.5,
    json: AsJson = False,
) -> None:
    """Find questions that stand in a benchmark, too.

    Args:
        tasks: Question files that are to be learned from, or Minipedias.
        against: Question files of benchmarks, or Minipedias.
        ngram: Words of a shared run that count as overlap.
        jaccard: Similarity of shingles from which questions are near-duplicates, above 0 and at most 1.
        json: Print one JSON document.
    """
    check_counts(ngram=ngram)
    if not 0 < jaccard <= 1:
        raise InputError(f"--jaccard must be above 0 and at most 1, got {jaccard:g}")
    learned = [(Path(spec).name, task) for spec in tasks for task in open_tasks(spec, require_answers=False)]
    questions = [question for spec in against for question in questions_of(spec, Path(spec).name)]
    found = [
        {"tasks": learned[place][0], "task_id": _id(learned[place][1]), **hit.as_json()}
        for place, hit in find_overlaps([task for _, task in learned], questions, ngram=ngram, jaccard=jaccard)
    ]
    if json:
        print_json(found)
        return
    pairs = list(product(*(dict.fromkeys(Path(spec).name for spec in specs) for specs in (tasks, against))))
    rows = [row for name, benchmark in pairs if (row := _row(name, benchmark, found))]
    if rows:
        print_table(["questions of", "benchmark", "of its questions", *MATCHES], rows)
    for hit in found:
        note("{tasks} {task_id}: {benchmark} {id}, {match} {measure}".format_map(hit))
    note(f"{len(pairs) - len(rows)} of {len(pairs)} pairs of files share no question")


def _id(task: Task) -> str:
    """As `questions_of` names those of a benchmark."""
    return task.source_id or task.task_id


def _row(name: str, benchmark: str, found: Sequence[dict[str, object]]) -> list[object]:
    """Counts of one pair of files; empty where nothing was found."""
    hits = [hit for hit in found if hit["tasks"] == name and hit["benchmark"] == benchmark]
    by_match = Counter(hit["match"] for hit in hits)
    counts: list[object] = [by_match[match] for match in MATCHES]
    return [name, benchmark, len({hit["id"] for hit in hits}), *counts] if hits else []
