"""The labels around what is asked and observed, also of dialects that are only imported."""

from __future__ import annotations

import pytest

from toolkit.dialects import DIALECTS, load_dialect
from toolkit.dialects.turns import observation_turn, task_turn


@pytest.mark.parametrize(
    ("dialect", "task", "observation"),
    [
        ("codeact", "Which?", "Observation:\nseen"),
        ("smolagents", "New task:\nWhich?", "Observation:\nseen"),
        ("smolagents-1.13", "New task:\nWhich?", "Observation:\nseen"),
        ("react-text", "Which?", "Observation: seen"),
        ("tool-calls", "Which?", "seen"),
        ("cot", "Which?", "seen"),
    ],
)
def test_turns_are_put_as_the_model_saw_them(dialect: str, task: str, observation: str) -> None:
    assert (task_turn(dialect, "Which?"), observation_turn(dialect, "seen")) == (task, observation)


def test_smolagents_shows_an_error_alone_without_the_label() -> None:
    assert observation_turn("smolagents", "Error:\nbad") == "Error:\nbad"
    assert observation_turn("codeact", "Error:\nbad") == "Observation:\nError:\nbad"


@pytest.mark.parametrize("name", DIALECTS)
def test_a_rollout_and_its_transcript_put_turns_alike(name: str) -> None:
    dialect = load_dialect(name)
    assert dialect.task_turn("Which?") == task_turn(name, "Which?")
    assert dialect.observation_turn("seen") == observation_turn(name, "seen")
