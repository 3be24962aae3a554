"""An exported task → the rows that its annotations say: pure, so that real exports can be tested against.

Rules. An annotation says one row on the whole, if it says anything on it, and one on each step that it judges or edits.
The first wrong step is wrong and those before it are correct, unless they have a verdict of their own. One star is the
rating 0, five are 1. Code that is as it was recorded is no edit. Of several annotations of one person on one task the
one changed last counts; skipped ones say nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from pipelines.review.cards import ABSENT, Key, key_of
from pipelines.review.layout import COMMENT, FIRST_WRONG, QUESTIONS, RATING, STARS, STEP_EDIT, STEP_VERDICT, VERDICT
from schemas import Review

Said = dict[tuple[str, int | None], Any]
"""Answers by the name of their question and the step."""


@dataclass(slots=True)
class Read:
    """What the tasks of a project say."""

    reviews: list[Review] = field(default_factory=list)
    keys: set[Key] = field(default_factory=set)
    """Rows that have a task."""
    annotated: dict[Key, set[str]] = field(default_factory=dict)
    """Who has annotated them."""
    unread: set[tuple[Key, str]] = field(default_factory=set)
    """Who said something on which rows that cannot be read."""
    faults: list[str] = field(default_factory=list)
    """What could not be read, with its place."""


def read_tasks(tasks: Iterable[Mapping[str, Any]], people: Mapping[int, str], *, lake_id: str, project: str) -> Read:
    """Rows of all annotations in `tasks`; what cannot be read is a fault, and the rest is read all the same."""
    read = Read()
    for task in tasks:
        place = f"task {task.get('id')}"
        key = key_of(task.get("data"), lake_id)
        if key is None:
            read.faults.append(f"{place}: it shows no trajectory of this lake")
            continue
        read.keys.add(key)
        newest: dict[str, Mapping[str, Any]] = {}
        for annotation in task.get("annotations", ()):
            if annotation.get("was_cancelled"):
                continue
            reviewer = people.get(annotation.get("completed_by"), f"user {annotation.get('completed_by')}")
            if reviewer not in newest or newest[reviewer]["updated_at"] < annotation["updated_at"]:
                newest[reviewer] = annotation
        for reviewer, annotation in sorted(newest.items()):
            read.annotated.setdefault(key, set()).add(reviewer)
            try:
                read.reviews += _rows(task["data"], key, reviewer, project, annotation)
            except (ValidationError, ValueError, KeyError, TypeError, AttributeError) as error:
                read.unread.add((key, reviewer))
                said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else repr(error)
                read.faults.append(f"{place}, annotation {annotation.get('id')} of {reviewer}: {said}")
    return read


def _rows(
    data: Mapping[str, Any], key: Key, reviewer: str, project: str, annotation: Mapping[str, Any]
) -> list[Review]:
    said = _said(annotation["result"], len(data["steps"]))
    common = {
        "trajectory_id": key[0],
        "attempt": key[1],
        "reviewer": reviewer,
        "project": project,
        "reviewed_at": datetime.fromisoformat(annotation["updated_at"]),
    }
    rows = []
    stars = said.get((RATING.name, None))
    whole = {
        "verdict": said.get((VERDICT.name, None)),
        "rating": (stars - 1) / (STARS - 1) if stars is not None else None,
        "comment": said.get((COMMENT.name, None)),
    }
    if any(value is not None for value in whole.values()):
        rows.append(Review.model_validate({**common, **whole}))
    first_wrong = said.get((FIRST_WRONG.name, None))
    for index, step in enumerate(data["steps"]):
        implied = None
        if first_wrong is not None and index <= first_wrong:
            implied = "wrong" if index == first_wrong else "correct"
        verdict = said.get((STEP_VERDICT.name, index), implied)
        edited = _edit(said.get((STEP_EDIT.name, index)), step["code"])
        if verdict is not None or edited is not None:
            row = {**common, "step_index": index, "verdict": verdict, "edited_code": edited}
            rows.append(Review.model_validate(row))
    return rows


def _edit(code: str | None, recorded: str) -> str | None:
    """The edited action. None: there is none, or it is the recorded one."""
    if code is None or code.strip() == recorded.strip() or code.strip() == ABSENT:
        return None
    return code.strip("\n")


def _said(result: Iterable[Mapping[str, Any]], n_steps: int) -> Said:
    """The answers of one annotation.

    Raises:
        ValueError: to a question that the page does not ask, or with a value that it does not offer.
    """
    said: Said = {}
    for answer in result:
        name = str(answer.get("from_name"))
        for question in QUESTIONS:
            match = question.pattern().fullmatch(name)
            if match is None:
                continue
            number = match.groupdict().get("step")
            step = int(number) if number is not None else None
            if step is not None and step >= n_steps:
                raise ValueError(f"it answers {name}, but there are {n_steps} steps")
            value = answer["value"][question.value_key]
            if question.kind == "choices":
                [value] = value
                if value not in question.choices:
                    raise ValueError(f"{name} is {value!r}, expected one of {', '.join(question.choices)}")
            elif question.kind == "textarea":
                value = "\n".join([value] if isinstance(value, str) else value) or None
            elif question == FIRST_WRONG and not (float(value).is_integer() and 0 <= value < n_steps):
                raise ValueError(f"the first wrong step is {value}, but the steps are 0 to {n_steps - 1}")
            said[question.name, step] = value
            break
        else:
            raise ValueError(f"it answers {name}, which the page does not ask")
    return said
