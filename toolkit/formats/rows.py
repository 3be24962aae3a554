"""From a parsed foreign record to the rows of our tables.

Invariant: ids depend on dataset, position and content only, so that importing a file twice
gives the same ids, and equal episodes at two places stay two rows until `filter` decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from schemas import Domain, Model, Prompt, Role, Row, Score, Step, Task, ToolCall, Trajectory
from schemas.identity import canonical_json, content_hash, derive_id, model_id, prompt_hash
from schemas.rollups import roll_ups, total
from toolkit.formats.parsed import ParsedStep, ParsedTrajectory

REWARD_SCORER = "reward@source"
"""The environment's own verdict as the imported record states it."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What all records of one import have in common."""

    run_id: str
    dataset: str
    started_at: datetime
    split: str | None = None
    role: Role = "teacher"
    domain: Domain = "fact"
    license: str | None = None
    model: str | None = None
    """Name of the model where the record does not say. None: not known."""


def to_rows(parsed: ParsedTrajectory, position: int, origin: Origin) -> list[Row]:
    """All rows of one record; the trajectory comes first.

    Raises:
        ValidationError: the record holds values that the tables refuse.
    """
    task = _task(parsed, origin)
    said = canonical_json([parsed.question, [[s.completion, s.code, s.observation] for s in parsed.steps]])
    trajectory_id = derive_id("import", origin.dataset, position, said, parsed.final_answer)
    model = _model(parsed.model or origin.model)
    steps = [_step(trajectory_id, index, step) for index, step in enumerate(parsed.steps)]
    calls = [call for index, step in enumerate(parsed.steps) for call in _calls(trajectory_id, index, step)]
    prompts = [
        Prompt(prompt_hash=prompt_hash(text), text=text) for text in (parsed.system_prompt, parsed.tools) if text
    ]
    trajectory = Trajectory(
        trajectory_id=trajectory_id,
        run_id=origin.run_id,
        task_id=task.task_id,
        dataset=origin.dataset,
        source_position=position,
        kind=parsed.kind,
        role=origin.role,
        source="imported",
        model_id=model.model_id if model else None,
        dialect=parsed.dialect,
        system_prompt_hash=prompt_hash(parsed.system_prompt) if parsed.system_prompt else None,
        tools_hash=prompt_hash(parsed.tools) if parsed.tools else None,
        stop_reason=parsed.stop_reason,
        final_answer=parsed.final_answer,
        error=parsed.error,
        cost_usd=parsed.cost_usd,
        latency_ms=total(step.latency_ms for step in parsed.steps),
        content_hash=content_hash(parsed.question, steps, parsed.final_answer),
        metadata=canonical_json(parsed.metadata) if parsed.metadata else None,
        **roll_ups(steps, n_tool_calls=len(calls)),
    )
    rows: list[Row] = [trajectory, task, *steps, *calls, *prompts]
    rows += [model] if model else []
    rows += [_reward(trajectory, parsed.reward, origin)] if parsed.reward is not None else []
    return rows


def _task(parsed: ParsedTrajectory, origin: Origin) -> Task:
    return Task(
        task_id=derive_id("task", origin.dataset, origin.split, parsed.source_id, parsed.question),
        dataset=origin.dataset,
        split=origin.split,
        source_id=parsed.source_id,
        question=parsed.question,
        answers=parsed.answers,
        domain=parsed.domain or origin.domain,
        license=origin.license,
    )


def _model(name: str | None) -> Model | None:
    return Model(model_id=model_id(name, None), name=name) if name else None


def _step(trajectory_id: str, index: int, step: ParsedStep) -> Step:
    return Step(
        trajectory_id=trajectory_id,
        step_index=index,
        completion=step.completion,
        thought=step.thought,
        code=step.code,
        observation=step.observation,
        error_kind=step.error_kind,
        error=step.error,
        is_final=step.is_final,
        prompt_tokens=step.prompt_tokens,
        completion_tokens=step.completion_tokens,
        latency_ms=step.latency_ms,
    )


def _calls(trajectory_id: str, index: int, step: ParsedStep) -> list[ToolCall]:
    return [
        ToolCall(
            trajectory_id=trajectory_id,
            step_index=index,
            ordinal=ordinal,
            call_id=call.call_id,
            name=call.name,
            arguments=call.arguments,
            result=call.result,
            error=call.error,
        )
        for ordinal, call in enumerate(step.tool_calls)
    ]


def _reward(trajectory: Trajectory, reward: float, origin: Origin) -> Score:
    # Only 0 and 1 say for sure whether the environment accepted the answer.
    verdict = {0.0: False, 1.0: True}.get(reward)
    return Score(
        trajectory_id=trajectory.trajectory_id,
        scorer=REWARD_SCORER,
        value=reward,
        passed=verdict,
        scored_at=origin.started_at,
    )
