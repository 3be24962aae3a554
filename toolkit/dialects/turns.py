"""How the turns around the model's own words are put: the question and the observations.

The one place that says so, by the name of the dialect: the dialects here ask it while a rollout
runs, and a transcript is rendered with it for training. A dialect that was only imported has no
parser here, but its transcripts must be rendered as the model saw them, or the student would be
trained on another conversation. An unlisted dialect puts turns without labels.
Not covered: the echo "Calling tools: …" that smolagents appends to a turn before it shows it to the
model again; it repeats the code.
Sources: FireAct's data files; `smolagents.memory` of 1.13 and 1.26.
"""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.contracts import Passage

_OBSERVATION_LABELS = {
    "codeact": "Observation:\n",
    "react-text": "Observation: ",
    "smolagents": "Observation:\n",
    "smolagents-1.13": "Observation:\n",
}
_TASK_LABELS = {"smolagents": "New task:\n", "smolagents-1.13": "New task:\n"}
_ERRORS_STAND_ALONE = {"smolagents", "smolagents-1.13"}
"""Dialects that show an error without printed output as a message of its own, without the label."""


def observation_turn(dialect: str, observation: str) -> str:
    """The user turn that shows an observation."""
    if dialect in _ERRORS_STAND_ALONE and observation.startswith("Error:\n"):
        return observation
    return _OBSERVATION_LABELS.get(dialect, "") + observation


def task_turn(dialect: str, question: str) -> str:
    """The user turn that puts the question."""
    return _TASK_LABELS.get(dialect, "") + question


def first_thought_instruction(first_thought: str) -> str:
    """What asks, in words, for a first thought; while a rollout runs only, never in training data."""
    return f"Begin your first thought with exactly the following text, and go on from there:\n{first_thought}"


def passages_turn(question: str, passages: Sequence[Passage]) -> str:
    """The user turn of a chain of thought with passages: best first, as a search shows them, then the question."""
    shown = "\n".join(
        f"[{number}] {_line(passage.title)}\n{_line(passage.text)}" for number, passage in enumerate(passages, start=1)
    )
    return f"{shown or '(no passages were found)'}\n\nQuestion: {question}"


def _line(text: str) -> str:
    return " ".join(text.split())
