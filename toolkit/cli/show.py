"""`toolkit show`: one trajectory, laid out so that a person likes reading it."""

from __future__ import annotations

from typing import Annotated

import orjson
from cyclopts import Parameter
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.syntax import Syntax
from rich.text import Text

from schemas import Candidate, Step, ToolCall
from toolkit.cli.options import DEFAULT_LAKE, AsJson, At, LakePath
from toolkit.cli.output import clean, console, print_json
from toolkit.cli.votes import vote_line, vote_table
from toolkit.formats.json_values import decode
from toolkit.lake.lake import open_lake
from toolkit.lake.records import TrajectoryRecord, read_records
from toolkit.lake.selections import find_trajectory

OBSERVATION_LINES = 12
PYTHON_DIALECTS = ("codeact", "smolagents", "smolagents-1.13")


def show_command(
    trajectory: str,
    /,
    *,
    lake: LakePath = DEFAULT_LAKE,
    at: At = None,
    full: Annotated[bool, Parameter(negative="", help="Show observations and votes whole.")] = False,
    json: AsJson = False,
) -> None:
    """Print one trajectory for reading.

    Args:
        trajectory: Its id, or the beginning of it.
        lake: Directory of the lake.
        at: Read the lake as it was after this commit.
        full: Show observations whole, not only their first lines, and each vote candidate by candidate.
        json: Print all its rows as one JSON document.
    """
    connection = open_lake(lake).snapshot(at).connect()
    trajectory_id = find_trajectory(connection, trajectory)
    record = next(read_records(connection, f"SELECT '{trajectory_id}' AS trajectory_id"))
    relation = connection.sql(
        f"SELECT * FROM scores WHERE trajectory_id = '{trajectory_id}' ORDER BY scorer, step_index NULLS FIRST"
    )
    scores = relation.to_arrow_table().to_pylist()
    relation = connection.sql(
        f"SELECT * FROM candidates WHERE trajectory_id = '{trajectory_id}' ORDER BY step_index, candidate_index"
    )
    candidates = [Candidate.model_validate(row) for row in relation.to_arrow_table().to_pylist()]
    if json:
        print_json(_as_json(record, candidates, scores))
        return
    console.print(_header(record, scores))
    for step in record.steps:
        calls = record.calls_of(step.step_index)
        console.print(step_view(step, record.trajectory.dialect, calls, full=full))
        if competed := [candidate for candidate in candidates if candidate.step_index == step.step_index]:
            console.print(vote_table(competed) if full else Padding(vote_line(competed), (0, 0, 0, 4)))
    console.print(ending(record))


def _as_json(
    record: TrajectoryRecord, candidates: list[Candidate], scores: list[dict[str, object]]
) -> dict[str, object]:
    return {
        "trajectory": record.trajectory.model_dump(),
        "task": record.task.model_dump() if record.task else None,
        "system_prompt": record.system_prompt,
        "steps": [step.model_dump() for step in record.steps],
        "tool_calls": [call.model_dump() for call in record.tool_calls],
        "candidates": [candidate.model_dump() for candidate in candidates],
        "scores": scores,
    }


def _header(record: TrajectoryRecord, scores: list[dict[str, object]]) -> RenderableType:
    trajectory, task = record.trajectory, record.task
    facts = [trajectory.dataset, trajectory.role, trajectory.kind, trajectory.dialect, trajectory.source]
    lines: list[RenderableType] = [Text(clean(task.question if task else "(the question is not in the lake)"), "bold")]
    if task and task.answers:
        lines.append(Text.assemble(("gold  ", "dim"), clean(" | ".join(task.answers))))
    for score in scores:
        lines.append(_score(score))
    lines.append(Text(" · ".join(facts), "dim"))
    return Panel(Group(*lines), title=trajectory.trajectory_id, title_align="left", border_style="cyan")


def _score(score: dict[str, object]) -> Text:
    passed = score["passed"]
    word, style = ("undecided", "yellow") if passed is None else ("passed", "green") if passed else ("failed", "red")
    value = f" {score['value']:.3g}" if isinstance(score["value"], float) else ""
    place = f" step {score['step_index']}" if score["step_index"] is not None else ""
    reason = orjson.loads(str(score["details"] or "{}")).get("reason")
    said = f"  {clean(str(reason))}" if reason else ""
    return Text.assemble((f"{score['scorer']}{place}  ", "dim"), (f"{word}{value}", style), (said, "dim"))


def step_view(step: Step, dialect: str, calls: list[ToolCall], *, full: bool) -> RenderableType:
    """One step: thought, action, calls, error, observation (its first lines, unless `full`)."""
    parts: list[RenderableType] = [_title(step)]
    if step.thought:
        parts.append(Padding(Text(clean(step.thought)), (0, 0, 0, 2)))
    if step.code is not None:
        parts.append(Padding(_code(step.code, dialect), (0, 0, 0, 2)))
    elif not step.thought:
        parts.append(Padding(Text(clean(step.completion)), (0, 0, 0, 2)))
    if dialect in PYTHON_DIALECTS:
        # Elsewhere the action is the call, and printing it twice would only lengthen the page.
        parts += [Padding(_call(call), (0, 0, 0, 4)) for call in calls]
    if step.error:
        parts.append(Padding(Text(clean(step.error), "red"), (0, 0, 0, 4)))
    if step.observation is not None:
        parts.append(Padding(_observation(step.observation, full), (0, 0, 0, 4)))
    return Group(*parts)


def _title(step: Step) -> Rule:
    title = Text(f"step {step.step_index}")
    if step.error_kind != "none":
        title.append(f" · {step.error_kind} error", "red")
    if step.is_final:
        title.append(" · final", "green")
    if step.completion_tokens is not None:
        title.append(f" · {step.completion_tokens} tokens", "dim")
    if step.latency_ms is not None:
        title.append(f" · {step.latency_ms:,.0f} ms", "dim")
    return Rule(title, align="left", style="dim")


def _code(code: str, dialect: str) -> RenderableType:
    lexer = "python" if dialect in PYTHON_DIALECTS else "text"
    return Syntax(clean(code), lexer, word_wrap=True, theme="ansi_dark", background_color="default")


def _call(call: ToolCall) -> Text:
    arguments = decode(call.arguments)
    inside = arguments if isinstance(arguments, dict) else {"": arguments}
    shown = ", ".join(f"{name}={value!r}" for name, value in inside.items())
    text = Text(f"→ {call.name}({clean(shown)})", "magenta")
    return text.append(f"  {clean(call.error)}", "red") if call.error else text


def _observation(observation: str, full: bool) -> Text:
    lines = clean(observation).splitlines()
    shown = lines if full else lines[:OBSERVATION_LINES]
    text = Text("\n".join(shown), "dim")
    if len(lines) > len(shown):
        text.append(f"\n… {len(lines) - len(shown)} more lines; --full shows them", "yellow")
    return text


def ending(record: TrajectoryRecord) -> RenderableType:
    """The final answer and why the rollout stopped."""
    trajectory = record.trajectory
    answer = "no final answer" if trajectory.final_answer is None else trajectory.final_answer
    lines: list[RenderableType] = [Text(clean(answer), "bold")]
    if trajectory.error:
        lines.append(Text(clean(trajectory.error), "red"))
    return Panel(Group(*lines), title=trajectory.stop_reason, title_align="left", border_style="cyan")
