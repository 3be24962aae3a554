"""How the next action is chosen: the one that was sampled (greedy), or by a vote of several (sag).

A policy asks the model, runs what it chose in the session, and says what became of it. It
returns the session to go on with, because one that forks goes on in the winner's.
Invariant of sag: each candidate starts from the state before the step, and nothing that a
loser did is left, neither in the interpreter nor in the world.
Source: Kang et al. 2025 (arXiv 2505.17612), section 4.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from toolkit.agent.samples import Samples, draw
from toolkit.agent.setup import Setup
from toolkit.agent.trials import tried
from toolkit.agent.vote import count_votes, elect, outcome_key
from toolkit.contracts import Completion, CompletionRequest, Outcome, ParsedAction, Session


@dataclass(frozen=True, slots=True)
class Contender:
    """One candidate, and how the vote went for it."""

    completion: Completion
    action: ParsedAction
    outcome: Outcome | None
    """What it came to before the vote. None: it could not be parsed, nothing ran."""
    key: str | None
    """What it voted for. None: it failed and had no vote."""
    votes: int
    chosen: bool


@dataclass(frozen=True, slots=True)
class Taken:
    """One step as a policy took it."""

    completion: Completion
    action: ParsedAction
    outcome: Outcome | None
    """None: the completion could not be parsed, nothing ran."""
    session: Session
    samples: Samples
    """All that the model was asked for."""
    latency_ms: float
    """Wall-clock time of the model call."""
    contenders: list[Contender] = field(default_factory=list)
    """Empty: there was no vote."""


Policy = Callable[[Setup, Session, CompletionRequest], Awaitable[Taken]]
"""Takes one step. Raises ModelError: the model gave no answer."""


def policy_of(setup: Setup) -> Policy:
    """The policy that `setup` asks for."""
    return greedy if setup.sag is None else self_consistent


async def greedy(setup: Setup, session: Session, request: CompletionRequest) -> Taken:
    """Ask once, parse, run."""
    samples, (action,), latency_ms = await _ask(setup, request)
    outcome = await session.run(action.code) if action.code is not None else None
    return Taken(samples.completions[0], action, outcome, session, samples, latency_ms)


async def self_consistent(setup: Setup, session: Session, request: CompletionRequest) -> Taken:
    """Ask for several actions, try them all, and go on from the earliest of those that most agree with."""
    assert setup.sag is not None
    samples, actions, latency_ms = await _ask(setup, replace(request, n=setup.sag.n))
    async with tried(session, [action.code for action in actions]) as trials:
        outcomes = [None if action.code is None else trials.outcomes[action.code] for action in actions]
        keys = [None if outcome is None else outcome_key(outcome, setup.sag.vote) for outcome in outcomes]
        votes = count_votes(keys)
        chosen = elect(votes)
        action = actions[chosen]
        winner = await trials.win(action.code)
        outcome = None if action.code is None else trials.outcomes[action.code]
    contenders = [
        Contender(*parts, chosen=index == chosen)
        for index, parts in enumerate(zip(samples.completions, actions, outcomes, keys, votes, strict=True))
    ]
    return Taken(samples.completions[chosen], action, outcome, winner, samples, latency_ms, contenders)


async def _ask(setup: Setup, request: CompletionRequest) -> tuple[Samples, list[ParsedAction], float]:
    """Samples, what each of them says, and how long the model took, in milliseconds."""
    asked = time.perf_counter()
    samples = await draw(setup.llm, request)
    latency_ms = (time.perf_counter() - asked) * 1000
    prefix = request.prefix or ""
    return samples, [setup.dialect.parse(prefix + completion.text) for completion in samples.completions], latency_ms
