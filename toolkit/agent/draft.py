"""A trajectory while it is being written: steps and calls are added, then it is finished once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from schemas import Candidate, Row, Step, StopReason, Task, ToolCall, Trajectory
from schemas.identity import canonical_json, content_hash
from schemas.rollups import roll_ups
from toolkit.agent.recorder import Recorder
from toolkit.agent.setup import Setup
from toolkit.contracts import ToolUse
from toolkit.errors import ModelError, ModelTimeoutError
from toolkit.formats.json_values import json_text

TIMEOUT = "timeout: "
"""Beginning of the `error` of a rollout that ended because a model took too long."""


@dataclass(frozen=True, slots=True)
class FirstThought:
    """Text that is forced as the beginning of the agent's first thought, and where it comes from."""

    text: str
    source_id: str
    """trajectory_id of the chain of thought."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished rollout, ready for the lake."""

    trajectory: Trajectory
    steps: list[Step]
    tool_calls: list[ToolCall]
    candidates: list[Candidate]

    def rows(self) -> list[Row]:
        """All its rows."""
        return [self.trajectory, *self.steps, *self.tool_calls, *self.candidates]


@dataclass
class Draft:
    """One rollout in progress."""

    setup: Setup
    task: Task
    run_id: str
    sample_index: int = 0
    attempt: int = 0
    first_thought: FirstThought | None = None
    recorder: Recorder = field(default_factory=lambda: Recorder(""))
    """Answers what models and tools are asked for this rollout; by itself it records nothing."""
    steps: list[Step] = field(default_factory=list)
    tool_calls: list[ToolCall] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    written: list[int | None] = field(default_factory=list)
    """Tokens written for each step, candidates that were not chosen included. None: not counted."""
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @cached_property
    def trajectory_id(self) -> str:
        """The id that all its rows carry."""
        return self.setup.trajectory_id(self.task.task_id, self.sample_index)

    def add(self, step: Step, *, written: int | None) -> None:
        """Record a step, for which `written` tokens were written in all."""
        self.steps.append(step)
        self.written.append(written)

    def add_tool_uses(self, step_index: int, uses: tuple[ToolUse, ...]) -> None:
        """Record the tool calls of a step."""
        for ordinal, use in enumerate(uses):
            self.tool_calls.append(
                ToolCall(
                    trajectory_id=self.trajectory_id,
                    attempt=self.attempt,
                    step_index=step_index,
                    ordinal=ordinal,
                    name=use.name,
                    arguments=canonical_json(use.arguments),
                    result=json_text(use.result) if use.error is None else None,
                    error=use.error,
                    latency_ms=use.latency_ms,
                    cached=use.cached,
                )
            )

    def fail(self, error: ModelError) -> Finished:
        """The rows of a rollout that a model gave no answer to."""
        return self.finish("error", error=f"{TIMEOUT if isinstance(error, ModelTimeoutError) else ''}{error}")

    def finish(self, stop_reason: StopReason, *, final_answer: str | None = None, error: str | None = None) -> Finished:
        """The rows of the rollout, as it ended."""
        setup, now = self.setup, datetime.now(UTC)
        thought = self.first_thought
        trajectory = Trajectory(
            trajectory_id=self.trajectory_id,
            attempt=self.attempt,
            run_id=self.run_id,
            task_id=self.task.task_id,
            dataset=self.task.dataset,
            sample_index=self.sample_index,
            kind=setup.kind,
            role=setup.role,
            source="generated",
            model_id=setup.model_row.model_id,
            dialect=setup.dialect_name,
            system_prompt_hash=setup.prompt_row.prompt_hash,
            tools_hash=setup.tools_row.prompt_hash if setup.tools_row else None,
            first_thought=thought.text if thought else None,
            first_thought_source=thought.source_id if thought else None,
            sampling=setup.sampling_json(),
            stop_reason=stop_reason,
            final_answer=final_answer,
            error=error,
            cost_usd=self.recorder.cost_usd,
            latency_ms=(now - self.started_at).total_seconds() * 1000,
            started_at=self.started_at,
            finished_at=now,
            content_hash=content_hash(self.task.question, self.steps, final_answer),
            **roll_ups(self.steps, n_tool_calls=len(self.tool_calls), written=self.written),
        )
        return Finished(trajectory, self.steps, self.tool_calls, self.candidates)
