"""One judge: a rubric and a model, the request that it makes of a case, and the score that its answer becomes.

    judge.factual.qwen2.5-32b-instruct@1-3fa9c2d1      rubric and model; version of the rubric and a hash

Invariant: two judges that could answer differently have different scorers: the hash is over rubric text, schema, what
is shown of a trajectory, model and temperature. Where the model is served and how much it may write is not in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

import pydantic

from schemas import Score
from schemas.identity import canonical_json, derive_id
from toolkit.contracts import ChatMessage, Completion, CompletionRequest, Identity
from toolkit.judging.cases import VERSION, Case
from toolkit.judging.rubric import Answer, Rubric

PREFIX = "judge."
HASH_DIGITS = 8
NAME_CHARS = 40


class UnreadableError(Exception):
    """What the model wrote is no answer; the message says why."""


@dataclass(frozen=True, slots=True)
class Judge:
    """A rubric and who judges by it."""

    rubric: Rubric
    model: str
    """Name, as its server knows it."""
    model_identity: Identity
    temperature: float = 0.0
    max_tokens: int = 1024
    """Most tokens of an answer, thinking included where the server counts that."""

    @property
    def identity(self) -> Identity:
        """Everything that its answers depend on."""
        return {
            "rubric": self.rubric.name,
            "rubric_hash": self.rubric.hash,
            "schema": self.rubric.schema,
            "shown": VERSION,
            "model": self.model,
            "model_identity": self.model_identity,
            "temperature": self.temperature,
        }

    @property
    def identity_hash(self) -> str:
        """Names its journal."""
        return derive_id("judge", self.identity)

    @property
    def scorer(self) -> str:
        """Its name in `scores`."""
        short = re.sub(r"[^a-z0-9_.-]+", "-", self.model.rpartition("/")[2].lower())[:NAME_CHARS].strip("-.")
        version = f"{self.rubric.version}-{self.identity_hash[:HASH_DIGITS]}"
        return f"{PREFIX}{self.rubric.name}.{short or 'model'}@{version}"

    def key(self, case: Case) -> str:
        """Equal for cases that are judged by one call."""
        return derive_id("judgement", self.identity_hash, case.content)

    def request(self, case: Case) -> CompletionRequest:
        """What the model is asked; that its answer keeps to the schema is the server's part."""
        return CompletionRequest(
            (ChatMessage("system", self.rubric.text), ChatMessage("user", case.content)),
            temperature=self.temperature,
            max_tokens=self.max_tokens,
        )

    def read(self, completion: Completion) -> Answer:
        """The answer in what the model wrote.

        Raises:
            UnreadableError: it was cut off, or does not keep to the schema.
        """
        if completion.finish_reason == "length":
            raise UnreadableError(f"cut off after {self.max_tokens:,} tokens; --completion-tokens allows more")
        try:
            return self.rubric.answer.model_validate_json(completion.text)
        except pydantic.ValidationError as error:
            found = error.errors(include_url=False)[0]
            place = ".".join(map(str, found["loc"])) or "the answer"
            raise UnreadableError(f"{place}: {found['msg']}, got {completion.text[:80]!r}") from error

    def score(self, case: Case, answer: Answer, now: datetime, tokens: tuple[int, int] | None) -> Score:
        """The row of a verdict; `tokens` read and written for it, None: another case with the same content paid."""
        paid: dict[str, object] = {"copied": True}
        if tokens is not None:
            paid = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]}
        details = {
            **answer.model_dump(),
            "key": self.key(case),
            "model": self.model,
            "rubric": self.rubric.name,
            "rubric_version": self.rubric.version,
            "rubric_hash": self.rubric.hash,
            **paid,
        }
        return Score(
            trajectory_id=case.trajectory_id,
            attempt=case.attempt,
            step_index=case.step_index,
            scorer=self.scorer,
            value=answer.value,
            passed=answer.passed,
            details=canonical_json(details),
            scored_at=now,
        )
