"""Episodes for process signals, said in few words: code steps, ReAct steps, and what a signal says of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from schemas import ErrorKind, Step, Task, ToolCall, Trajectory
from toolkit.contracts import Verdict
from toolkit.formats.parsed import ParsedCall, ParsedStep, ParsedTrajectory
from toolkit.formats.rows import Origin, to_rows
from toolkit.lake.records import TrajectoryRecord
from toolkit.process.episode import Episode
from toolkit.process.signals import SIGNALS

ORIGIN = Origin(run_id="0" * 24, dataset="d", started_at=datetime(2026, 1, 1, tzinfo=UTC))


def call(query: str, result: str | None, *, name: str = "search") -> ParsedCall:
    """A search; without result it failed."""
    told = None if result is None else json.dumps(result)
    return ParsedCall(name, json.dumps({"query": query}), told, error="timed out" if result is None else None)


def code(text: str, observation: str = "", *, thought: str = "", error: ErrorKind = "none") -> ParsedStep:
    """A step of Python; it is the final one if it calls `final_answer`."""
    return ParsedStep(
        completion=f"Thought: {thought}\nCode:\n```py\n{text}\n```",
        thought=thought,
        code=text,
        observation=observation,
        error_kind=error,
        error="it failed" if error != "none" else None,
        is_final="final_answer(" in text and error == "none",
    )


def search(query: str, result: str | None, *, thought: str = "") -> ParsedStep:
    """A ReAct step that searches."""
    action = f"search[{query}]"
    return ParsedStep(
        completion=f"Thought: {thought}\nAction: {action}",
        thought=thought,
        code=action,
        observation=result,
        tool_calls=[call(query, result)],
    )


def finish(answer: str, *, thought: str = "") -> ParsedStep:
    """A ReAct step that gives the answer."""
    action = f"finish[{answer}]"
    return ParsedStep(f"Thought: {thought}\nAction: {action}", thought=thought, code=action, is_final=True)


def episode(question: str, *steps: ParsedStep, answer: str | None = None) -> Episode:
    """An episode of ReAct or Python steps, by the form of the first."""
    dialect = "react-text" if steps[0].completion.count("\nAction: ") else "codeact"
    parsed = ParsedTrajectory(question, list(steps), dialect, final_answer=answer)
    trajectory, *rows = to_rows(parsed, 1, ORIGIN)
    assert isinstance(trajectory, Trajectory)
    return Episode(
        TrajectoryRecord(
            trajectory,
            next(row for row in rows if isinstance(row, Task)),
            [row for row in rows if isinstance(row, Step)],
            [row for row in rows if isinstance(row, ToolCall)],
        )
    )


def said(signal: str, judged: Episode) -> tuple[Verdict, dict[int, Verdict]]:
    """The signal's verdicts: on the whole, and by step."""
    verdicts = list(SIGNALS[signal].verdicts(judged))
    (whole,) = [verdict for verdict in verdicts if verdict.step_index is None]
    return whole, {verdict.step_index: verdict for verdict in verdicts if verdict.step_index is not None}


def faulted(signal: str, judged: Episode) -> list[int]:
    """Steps that the signal accuses."""
    return [index for index, verdict in said(signal, judged)[1].items() if verdict.passed is False]
