"""What graders said, as answers that are filled in when a person opens the task.

The whole: `correct` of the lake. A step: wrong if a scorer of steps failed it, or, where none looked at it, if it ended
with an error; correct if scorers passed it and none failed it. The server takes an answer to a question that the page
does not ask without a word, and shows nothing: so every prediction is checked here first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pipelines.review.layout import FIRST_WRONG, INDEX, QUESTIONS, STARS, STEP_VERDICT, VERDICT, Question
from schemas import Score, Step
from toolkit.errors import RunError

MODEL_VERSION = "graders"
"""Name of the predictions in Label Studio; the project shows those of this name."""


def predict(steps: Iterable[Step], scores: Iterable[Score], correct: bool | None) -> list[dict[str, Any]]:
    """Answers to the page's questions, as far as graders have any."""
    steps, scores = list(steps), list(scores)
    found: list[dict[str, Any]] = []
    wrong: list[int] = []
    for step in steps:
        words = [score.passed for score in scores if score.step_index == step.step_index and score.passed is not None]
        passed = all(words) if words else (False if step.error_kind != "none" else None)
        if passed is None:
            continue
        found.append(_answer(STEP_VERDICT, "correct" if passed else "wrong", step.step_index))
        if not passed:
            wrong.append(step.step_index)
    if wrong:
        found.append(_answer(FIRST_WRONG, min(wrong)))
    if correct is not None:
        found.append(_answer(VERDICT, "accepted" if correct else "rejected"))
    return found


def _answer(question: Question, value: str | int, step: int | None = None) -> dict[str, Any]:
    place = str(step)
    return {
        "from_name": question.name.replace(INDEX, place),
        "to_name": question.to_name.replace(INDEX, place),
        "type": question.kind,
        "value": {question.value_key: [value] if question.kind == "choices" else value},
    }


def check(result: Iterable[dict[str, Any]], n_steps: int) -> None:
    """See that the page of a trajectory with `n_steps` steps asks what `result` answers.

    Raises:
        RunError: it does not; the message quotes the answer.
    """
    for answer in result:
        fault = _fault(answer, n_steps)
        if fault is not None:
            raise RunError(f"a prediction does not fit the labelling page: {fault}; nothing was sent: {answer!r}")


def _fault(answer: dict[str, Any], n_steps: int) -> str | None:
    name = str(answer.get("from_name"))
    for question in QUESTIONS:
        match = question.pattern().fullmatch(name)
        if match is None:
            continue
        step = match.groupdict().get("step")
        if step is not None and int(step) >= n_steps:
            return f"from_name {name!r} is of a step beyond the last, {n_steps - 1}"
        to_name = question.to_name.replace(INDEX, step or "")
        if answer.get("to_name") != to_name:
            return f"to_name of {name!r} must be {to_name!r}"
        if answer.get("type") != question.kind:
            return f"type of {name!r} must be {question.kind!r}"
        value = answer.get("value")
        return _value_fault(question, value.get(question.value_key) if isinstance(value, dict) else None)
    return f"there is no question {name!r}"


def _value_fault(question: Question, value: object) -> str | None:
    if question.kind == "choices":
        if isinstance(value, list) and len(value) == 1 and value[0] in question.choices:
            return None
        return f"{question.name!r} takes one of {', '.join(question.choices)}"
    if question.kind == "textarea":
        fits = isinstance(value, list) and all(isinstance(text, str) for text in value)
        return None if fits else f"{question.name!r} takes a list of texts"
    low, high = (1, STARS) if question.kind == "rating" else (0, 10**9)
    fits = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    return None if fits else f"{question.name!r} takes a whole number from {low} to {high}"
