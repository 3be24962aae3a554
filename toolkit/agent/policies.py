"""How the next action is chosen: greedily here, by self-consistent generation later.

A policy asks the model, runs what it chose in the session, and says what became of it.
It returns the session to go on with, because one that forks goes on in the winner's.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Protocol

from schemas import Candidate
from toolkit.agent.setup import Setup
from toolkit.contracts import Completion, CompletionRequest, Outcome, ParsedAction, Session


@dataclass(frozen=True, slots=True)
class Taken:
    """One step as a policy took it."""

    completion: Completion
    action: ParsedAction
    outcome: Outcome | None
    """None: the completion could not be parsed, nothing ran."""
    session: Session
    latency_ms: float
    """Wall-clock time of the model call."""
    candidates: list[Candidate] = field(default_factory=list)


class Policy(Protocol):
    """Chooses and runs one action."""

    async def step(self, setup: Setup, session: Session, request: CompletionRequest) -> Taken:
        """Take one step.

        Raises:
            ModelError: the model gave no answer.
        """
        ...


class Greedy:
    """The model's one answer is the action."""

    async def step(self, setup: Setup, session: Session, request: CompletionRequest) -> Taken:
        """Ask once, parse, run."""
        asked = time.perf_counter()
        (completion,) = await setup.llm.complete(request)
        latency_ms = (time.perf_counter() - asked) * 1000
        action = setup.dialect.parse((request.prefix or "") + completion.text)
        outcome = await session.run(action.code) if action.code is not None else None
        return Taken(completion, action, outcome, session, latency_ms)
