"""Lakes to test against: real ones, in a temporary directory, filled by the import's own code."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas import ErrorKind
from toolkit.api import Lake, open_lake
from toolkit.formats.parsed import ParsedCall, ParsedStep, ParsedTrajectory
from toolkit.formats.rows import Origin, to_rows

NOW = datetime(2026, 1, 1, tzinfo=UTC)


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


@pytest.fixture
def fill(tmp_path: Path) -> Fill:
    """Fills the lake of this test with episodes of one dataset and returns it."""

    def add(episodes: Iterable[ParsedTrajectory], dataset: str = "d", start: int = 1) -> Lake:
        lake = open_lake(tmp_path / "lake", create=True)
        origin = Origin(run_id="0" * 24, dataset=dataset, started_at=NOW)
        with lake.write("test") as batch:
            for position, parsed in enumerate(episodes, start=start):
                batch.add(to_rows(parsed, position, origin))
        return lake

    return add
