"""Status: how far the annotators of a project are, by what the server holds now."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from pipelines.review.annotations import read_tasks
from pipelines.review.server import ReviewServer
from toolkit.lake.lake import Lake


@dataclass(frozen=True, slots=True)
class Progress:
    """One annotator's part of a project."""

    reviewer: str
    annotated: int
    """Tasks with an annotation of this person."""
    accepted: int
    rejected: int
    unsure: int
    steps: int
    """Steps with a verdict of this person."""
    edits: int
    """Actions that this person edited."""


@dataclass(frozen=True, slots=True)
class Status:
    """A project as it stands."""

    tasks: int
    annotated: int
    """Tasks with at least one annotation."""
    twice: int
    """Tasks with annotations of at least two people, which agreement needs."""
    people: list[Progress]
    faults: list[str]


def status(lake: Lake, server: ReviewServer, title: str) -> Status:
    """Progress of the project `title`.

    Raises:
        InputError: there is no such project, or it is another lake's.
        RunError: the server failed.
    """
    project = server.need(title, lake.identity.id)
    read = read_tasks(server.tasks(project), server.people(), lake_id=lake.identity.id, project=title)
    tasks = Counter(reviewer for reviewers in read.annotated.values() for reviewer in reviewers)
    people = []
    for reviewer, annotated in sorted(tasks.items()):
        mine = [row for row in read.reviews if row.reviewer == reviewer]
        wholes = Counter(row.verdict for row in mine if row.step_index is None)
        steps = [row for row in mine if row.step_index is not None]
        people.append(
            Progress(
                reviewer,
                annotated,
                wholes["accepted"],
                wholes["rejected"],
                wholes["unsure"],
                sum(row.verdict is not None for row in steps),
                sum(row.edited_code is not None for row in steps),
            )
        )
    twice = sum(len(reviewers) > 1 for reviewers in read.annotated.values())
    return Status(len(read.keys), len(read.annotated), twice, people, read.faults)
