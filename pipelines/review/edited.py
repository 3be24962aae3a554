"""An edited action, run: the new trajectory that it leads to.

The steps before the first edit are taken over as they are; their actions run first, on recorded results of tools, so
that the interpreter is in the state in which the edited action would have found it. From there on every action runs:
the edited ones, and between and behind them the recorded ones. What they print is new; what the model wrote is not, for
no model is asked. It ends at `final_answer`, or where the recorded actions end.
Invariant: the id derives from parent and edits, so that an edit makes one trajectory, however often it is pulled and by
whomever. Not covered: actions that are not Python (imported ReAct text, tool calls).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from schemas import Row, Step, StopReason, ToolCall, Trajectory
from schemas.identity import canonical_json, content_hash, derive_id
from schemas.rollups import roll_ups
from toolkit.contracts import Outcome, Sandbox, Session, Tool, ToolUse
from toolkit.dialects import DIALECTS, load_dialect
from toolkit.dialects.code_dialect import CodeDialect
from toolkit.errors import RecordError
from toolkit.lake.records import TrajectoryRecord
from toolkit.replay.recorded_tools import RecordedTools, not_here
from toolkit.replay.verification import TrajectoryReplay


@dataclass(frozen=True, slots=True)
class Edit:
    """What one person would have done otherwise in a trajectory."""

    parent_id: str
    attempt: int
    reviewer: str
    project: str
    code: Mapping[int, str]
    """Actions by step."""

    @property
    def trajectory_id(self) -> str:
        """Id of the trajectory that it leads to."""
        return derive_id("edited", self.parent_id, self.attempt, sorted(self.code.items()))

    @property
    def first(self) -> int:
        """The first edited step."""
        return min(self.code)


@dataclass(slots=True)
class Rebuilt:
    """A trajectory that an edit led to, as far as it is run."""

    trajectory: Trajectory
    steps: list[Step] = field(default_factory=list)
    tool_calls: list[ToolCall] = field(default_factory=list)
    differs: list[int] = field(default_factory=list)
    """Steps before the edit that, run again, were not observed as recorded."""

    def rows(self) -> list[Row]:
        """All its rows."""
        return [self.trajectory, *self.steps, *self.tool_calls]


@dataclass(slots=True)
class _Work:
    record: TrajectoryRecord
    edit: Edit
    dialect: CodeDialect
    attempt: int
    steps: list[Step] = field(default_factory=list)
    tool_calls: list[ToolCall] = field(default_factory=list)
    differs: list[int] = field(default_factory=list)
    final: Outcome | None = None

    def own(self, index: int) -> dict[str, object]:
        return {"trajectory_id": self.edit.trajectory_id, "attempt": self.attempt, "step_index": index}


def check_edit(record: TrajectoryRecord, edit: Edit) -> CodeDialect:
    """The dialect in which the new trajectory is spoken.

    Raises:
        RecordError: the edit cannot be run; the message says why.
    """
    place = f"trajectory {edit.parent_id}, edit by {edit.reviewer}"
    trajectory = record.trajectory
    if trajectory.dialect not in DIALECTS:
        raise RecordError(
            f"actions of the dialect {trajectory.dialect} are not Python, so it cannot be run", path=place
        )
    if max(edit.code) >= len(record.steps):
        raise RecordError(f"step {max(edit.code)} is beyond the last, {len(record.steps) - 1}", path=place)
    dialect = load_dialect(trajectory.dialect, max_steps=max(len(record.steps), 1))
    for index, code in edit.code.items():
        try:
            dialect.render(record.steps[index].thought, code)
        except ValueError as error:
            raise RecordError(str(error), path=place, position=index, unit="step") from error
    return dialect


async def rebuild(
    record: TrajectoryRecord, edit: Edit, sandbox: Sandbox, tools: RecordedTools, *, run_id: str, attempt: int = 0
) -> Rebuilt:
    """Run `edit` of `record`; `tools` are those of `sandbox`.

    Raises:
        RecordError: the edit cannot be run; the message says why.
        RunError: there can be no session.
    """
    work = _Work(record, edit, check_edit(record, edit), attempt)
    session = await sandbox.open()
    try:
        past = TrajectoryReplay(record, work.dialect, session, tools)
        for step in record.steps:
            if step.step_index < edit.first:
                await _take_over(work, past, step)
            else:
                tools.freely()
                await _run(work, session, step)
            if work.final is not None:
                break
    finally:
        await session.close()
    return Rebuilt(_trajectory(work, run_id), work.steps, work.tool_calls, work.differs)


async def _take_over(work: _Work, past: TrajectoryReplay, step: Step) -> None:
    work.steps.append(step.model_copy(update=work.own(step.step_index)))
    calls = work.record.calls_of(step.step_index)
    work.tool_calls += [call.model_copy(update=work.own(step.step_index)) for call in calls]
    again = await past.step(step)
    if again is not None and again.diff is not None:
        work.differs.append(step.step_index)


async def _run(work: _Work, session: Session, step: Step) -> None:
    index = step.step_index
    edited = work.edit.code.get(index)
    code = edited if edited is not None else step.code
    # What was read before the step is not what the model read, so neither are counts and probabilities.
    known: dict[str, object] = {**work.own(index), "prompt_tokens": None, "logprobs": None, "latency_ms": None}
    if code is None:
        work.steps.append(step.model_copy(update=known))
        return
    if edited is not None:
        completion = work.dialect.render(step.thought, edited)
        injected = step.completion[: step.prefix_chars]
        known |= {"completion": completion, "prefix_chars": len(injected) if completion.startswith(injected) else 0}
        known |= {"code": edited, "completion_tokens": None, "token_ids": None, "finish_reason": None}
    outcome = await session.run(code)
    observation, cut = (None, 0) if outcome.is_final else work.dialect.observation(outcome)
    known |= {"observation": observation, "observation_cut_chars": cut, "is_final": outcome.is_final}
    known |= {"error_kind": outcome.error_kind, "error": outcome.error, "action_ms": outcome.duration_ms}
    work.steps.append(step.model_copy(update=known))
    work.tool_calls += _calls(work, index, outcome.tool_uses)
    if outcome.is_final:
        work.final = outcome


def _calls(work: _Work, index: int, uses: Sequence[ToolUse]) -> list[ToolCall]:
    return [
        ToolCall.model_validate(
            {
                **work.own(index),
                "ordinal": ordinal,
                "name": use.name,
                "arguments": canonical_json(use.arguments),
                "result": canonical_json(use.result) if use.error is None else None,
                "error": use.error,
                "latency_ms": use.latency_ms,
            }
        )
        for ordinal, use in enumerate(uses)
    ]


def _trajectory(work: _Work, run_id: str) -> Trajectory:
    parent, edit, task = work.record.trajectory, work.edit, work.record.task
    answer = work.final.final_answer if work.final is not None else None
    stop: StopReason = "final_answer" if work.final is not None else "max_steps"
    error = None
    if work.final is None and parent.stop_reason != "max_steps":
        stop, error = "error", "the edited actions came to no final_answer, and no model was asked to go on"
    said: dict[str, object] = {"reviewer": edit.reviewer, "project": edit.project, "edited_steps": sorted(edit.code)}
    if work.differs:
        said["replay_differs"] = work.differs
    update = {
        "trajectory_id": edit.trajectory_id,
        "attempt": work.attempt,
        "run_id": run_id,
        "source": "edited",
        "source_position": None,
        "parent_id": edit.parent_id,
        "parent_step": edit.first,
        "stop_reason": stop,
        "final_answer": answer,
        "error": error,
        "cost_usd": None,
        "latency_ms": None,
        "started_at": None,
        "finished_at": None,
        "content_hash": content_hash(task.question if task else "", work.steps, answer),
        "metadata": canonical_json(said),
        **roll_ups(work.steps, n_tool_calls=len(work.tool_calls)),
    }
    return parent.model_copy(update=update)


def lacked(steps: Sequence[Step], tools: Iterable[Tool]) -> bool:
    """Whether a step failed because one of these tools was not here, and would be answered now."""
    wanted = [not_here(tool.name) for tool in tools if tool.effect != "write"]
    return any(said in (step.error or "") for step in steps for said in wanted)
