"""Episodes to fill lakes with, as a parser of a foreign format would give them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from schemas import ErrorKind
from toolkit.api import Lake
from toolkit.formats.parsed import ParsedCall, ParsedStep, ParsedTrajectory


def step(action: str, observation: str = "seen", *, error_kind: ErrorKind = "none", final: bool = False) -> ParsedStep:
    """One turn whose completion, thought and action tell themselves apart."""
    calls = [] if final else [ParsedCall(name="search", arguments='{"query": "x"}', result='"seen"')]
    return ParsedStep(
        completion=f"Thought: about {action}\nAction: {action}",
        thought=f"about {action}",
        code=action,
        observation=observation,
        error_kind=error_kind,
        is_final=final,
        tool_calls=calls,
    )


def episode(
    question: str,
    answer: str | None = "yes",
    *,
    gold: Iterable[str] = ("yes",),
    searches: int = 1,
    failing: int = 0,
    reward: float | None = None,
) -> ParsedTrajectory:
    """A ReAct episode: `failing` steps without action, then `searches`, then the answer."""
    steps = [step(f"broken {index}", error_kind="parse") for index in range(failing)]
    steps += [step(f"search[{question} {index}]") for index in range(searches)]
    if answer is not None:
        steps.append(step(f"finish[{answer}]", "done", final=True))
    return ParsedTrajectory(
        question=question,
        steps=steps,
        dialect="react-text",
        answers=list(gold),
        final_answer=answer,
        stop_reason="unknown" if answer is None else "final_answer",
        reward=reward,
    )


Fill = Callable[..., Lake]
"""What the fixture `fill` gives: a function that fills the lake of a test and returns it."""
