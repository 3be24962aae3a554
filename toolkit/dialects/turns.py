"""How the turns around the model's own words are put: the question and the observations.

A dialect that was only imported has no parser here, but its transcripts must be rendered
as the model saw them, or the student would be trained on another conversation.
Sources: FireAct's data files; `smolagents.memory` of 1.13 and 1.26.
"""

from __future__ import annotations

_OBSERVATION_LABELS = {
    "react-text": "Observation: ",
    "smolagents": "Observation:\n",
    "smolagents-1.13": "Observation:\n",
}
_TASK_LABELS = {"smolagents": "New task:\n", "smolagents-1.13": "New task:\n"}


def observation_turn(dialect: str, observation: str) -> str:
    """The user turn that shows an observation."""
    return _OBSERVATION_LABELS.get(dialect, "") + observation


def task_turn(dialect: str, question: str) -> str:
    """The user turn that puts the question."""
    return _TASK_LABELS.get(dialect, "") + question
