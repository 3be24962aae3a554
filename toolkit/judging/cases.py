"""What a judge is shown of a trajectory: parts between marks, the same text for the same content.

Invariant: what is shown depends on what was said and observed only, never on ids, models or runs, so that equal
content is one case; and no text can close its own mark. Shown of an observation are its first and last characters:
a page that a tool fetched would cost more than all else. `VERSION` is raised with every change of what is shown.
Not covered: a text that talks the judge round without closing a mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from schemas import Step
from toolkit.judging.rubric import RubricName
from toolkit.lake.records import TrajectoryRecord

VERSION = "1"
OBSERVATION_CHARS = 4_000
_CLOSING = re.compile(r"</(?=(?:task|reference|answer|step|thought|action|text|observation|error)\b)")


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to judge."""

    trajectory_id: str
    attempt: int
    step_index: int | None
    """None: the whole."""
    content: str
    """What the judge is shown."""


def cases_of(rubric: RubricName, record: TrajectoryRecord) -> Iterator[Case]:
    """What `rubric` has to say a word on, in the order of steps; nothing where the question is not in the lake.

    `factual` needs a gold answer and a final answer.
    """
    trajectory, task = record.trajectory, record.task
    if task is None:
        return
    asked = _marked("task", task.question)
    steps = [_step(step) for step in record.steps]
    whole = (trajectory.trajectory_id, trajectory.attempt)
    if rubric == "step":
        for index, step in enumerate(record.steps):
            before = "\n".join(steps[:index]) or "(there are none)"
            content = f"{asked}\n\nSteps before:\n{before}\n\nThe step to judge:\n{steps[index]}"
            yield Case(*whole, step.step_index, content)
        return
    answer = trajectory.final_answer
    given = _marked("answer", answer) if answer is not None else "(the agent gave none)"
    if rubric == "rollout":
        record_text = "\n".join(steps) or "(there are none)"
        yield Case(*whole, None, f"{asked}\n\nSteps:\n{record_text}\n\nFinal answer:\n{given}")
    elif answer is not None and answer.strip() and (gold := [text for text in task.answers if text.strip()]):
        references = "\n".join(_marked("reference", text) for text in gold)
        yield Case(*whole, None, f"{asked}\n\n{references}\n\n{given}")


def _step(step: Step) -> str:
    if step.code is None:
        # It could not be parsed, or is a chain of thought: the whole text is what there is.
        parts = [_marked("text", step.completion)]
    else:
        parts = [_marked("thought", step.thought)] if step.thought else []
        parts.append(_marked("action", step.code))
    if step.error:
        parts.append(_marked("error", _shortened(step.error)))
    if step.observation is not None:
        parts.append(_marked("observation", _shortened(step.observation)))
    return f"<step {step.step_index}>\n" + "\n".join(parts) + "\n</step>"


def _marked(name: str, text: str) -> str:
    harmless = _CLOSING.sub(r"<\\/", text.strip())
    return f"<{name}>\n{harmless}\n</{name}>"


def _shortened(text: str) -> str:
    left_out = len(text) - OBSERVATION_CHARS
    if left_out <= 0:
        return text
    half = OBSERVATION_CHARS // 2
    return f"{text[:half]}\n[{left_out:,} characters left out]\n{text[-half:]}"
