"""Rubrics: what a judge is told, in a versioned file, and the few words that it may answer with.

Invariant: the text of a rubric is what its hash says, and the version of a shipped one is raised with every change of
its text (a test holds the hashes). The answer is a JSON object whose schema asks for the reason first, so that the
verdict follows from it. The schema uses `enum`, `maxLength` and required properties only, which every kind of server
understands.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from schemas.identity import prompt_hash
from toolkit.errors import InputError

RubricName = Literal["factual", "step", "rollout"]
"""`factual`: does the final answer say what a gold answer says? `step`: is a step sound, given what was known then?
`rollout`: is the whole worth learning from?"""
REASON_CHARS = 800
OWN = "own"
"""Version of a rubric that a user brought."""


class Answer(BaseModel):
    """What all judges say."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # No constraint on the way back: a server that knows no limits may write more.
    reason: str = Field(json_schema_extra={"maxLength": REASON_CHARS})
    verdict: str

    @property
    def passed(self) -> bool | None:
        """The verdict as a score says it. None: unsure."""
        return {"unsure": None}.get(self.verdict, self.verdict in ("equivalent", "correct", "accepted"))

    @property
    def value(self) -> float | None:
        """From 0 (worst) to 1 (best). None: unsure."""
        return None if self.passed is None else float(self.passed)


class FactualAnswer(Answer):
    """Of the rubric `factual`."""

    verdict: Literal["equivalent", "different", "unsure"]


class StepAnswer(Answer):
    """Of the rubric `step`; the words that people have for steps."""

    verdict: Literal["correct", "wrong", "unsure"]


class RolloutAnswer(Answer):
    """Of the rubric `rollout`; the words that people have for trajectories."""

    verdict: Literal["accepted", "rejected", "unsure"]
    rating: Literal["1", "2", "3", "4", "5"]

    @property
    def value(self) -> float | None:
        """The rating, from 0 (1) to 1 (5)."""
        return (int(self.rating) - 1) / 4


@dataclass(frozen=True, slots=True)
class Rubric:
    """One rubric."""

    name: RubricName
    version: str
    """`own`: a user's text."""
    text: str
    answer: type[Answer]

    @property
    def hash(self) -> str:
        """Of the text; the lake's table `prompts` holds it under this hash."""
        return prompt_hash(self.text)

    @property
    def of_steps(self) -> bool:
        """Whether it is about steps, one by one, and not about the whole."""
        return self.name == "step"

    @property
    def schema(self) -> dict[str, Any]:
        """JSON Schema of the answer."""
        found = self.answer.model_json_schema()
        shown = {
            name: {key: entry[key] for key in ("type", "enum", "maxLength") if key in entry}
            for name, entry in found["properties"].items()
        }
        return {"type": "object", "properties": shown, "required": list(shown), "additionalProperties": False}


_SHIPPED: dict[RubricName, tuple[str, type[Answer]]] = {
    "factual": ("1", FactualAnswer),
    "step": ("1", StepAnswer),
    "rollout": ("1", RolloutAnswer),
}
"""Version and answer by name."""
assert set(_SHIPPED) == set(get_args(RubricName))


def load_rubric(name: RubricName, own: Path | None = None) -> Rubric:
    """The shipped rubric `name`, or the user's text in its place: he has the same words to answer with.

    Raises:
        InputError: the file cannot be read, or is empty.
    """
    version, answer = _SHIPPED[name]
    if own is None:
        text = (files("toolkit.judging") / "rubrics" / f"{name}.md").read_text(encoding="utf-8")
        return Rubric(name, version, text.strip(), answer)
    try:
        text = own.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the rubric {own}: {error}") from error
    if not text:
        raise InputError(f"the rubric {own} is empty; expected what the judge shall be told")
    return Rubric(name, OWN, text, answer)
