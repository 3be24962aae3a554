"""Trajectories as chat messages: what TRL and OpenAI's fine-tuning read.

Invariant: every assistant turn carries the loss weight of its step, and a step of weight 0
is still there, because the later steps saw it. The observation of the last step is left
out: no assistant turn answers it. Tool arguments stay JSON text (as structs, Arrow would
null-fill them).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NotRequired, TypedDict

import orjson

from schemas import Step, ToolCall
from toolkit.contracts import Passage
from toolkit.dialects.turns import observation_turn, passages_turn, task_turn
from toolkit.lake.records import TrajectoryRecord

TOOL_CALL_DIALECT = "tool-calls"


class Function(TypedDict):
    """Name and JSON text of the arguments."""

    name: str
    arguments: str


class Call(TypedDict):
    """A tool call of an assistant turn."""

    id: str
    type: str
    function: Function


class Message(TypedDict):
    """One turn."""

    role: str
    content: str
    weight: NotRequired[float]
    """Loss weight, on assistant turns only."""
    tool_calls: NotRequired[list[Call]]
    tool_call_id: NotRequired[str]
    name: NotRequired[str]


def to_messages(record: TrajectoryRecord, weights: Mapping[int, float]) -> list[Message]:
    """The conversation of one trajectory; `weights` by step index, 1 where a step is not named."""
    dialect = record.trajectory.dialect
    messages: list[Message] = []
    if record.system_prompt is not None:
        messages.append({"role": "system", "content": record.system_prompt})
    messages.append({"role": "user", "content": _task_turn(record)})
    for step in record.steps:
        calls = record.calls_of(step.step_index) if dialect == TOOL_CALL_DIALECT else []
        messages.append(_assistant(step, calls, weights.get(step.step_index, 1.0)))
        if step is not record.steps[-1]:
            messages += _answers(step, calls, dialect)
    return messages


def _task_turn(record: TrajectoryRecord) -> str:
    question = record.task.question if record.task else ""
    if record.trajectory.kind != "cot_rag" or not record.tool_calls:
        return task_turn(record.trajectory.dialect, question)
    found = orjson.loads(record.tool_calls[0].result or "[]")
    return passages_turn(question, [Passage(entry["title"], entry["text"]) for entry in found])


def _assistant(step: Step, calls: list[ToolCall], weight: float) -> Message:
    message: Message = {"role": "assistant", "content": step.completion, "weight": weight}
    if calls:
        message["tool_calls"] = [
            {"id": _call_id(call), "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
    return message


def _answers(step: Step, calls: list[ToolCall], dialect: str) -> list[Message]:
    if calls:
        return [
            {"role": "tool", "tool_call_id": _call_id(call), "name": call.name, "content": _result_text(call)}
            for call in calls
        ]
    if step.observation is None:
        return []
    return [{"role": "user", "content": observation_turn(dialect, step.observation)}]


def _call_id(call: ToolCall) -> str:
    return call.call_id or f"call_{call.step_index}_{call.ordinal}"


def _result_text(call: ToolCall) -> str:
    """The result as the model saw it: text as it is, anything else as JSON."""
    if call.result is None:
        return call.error or ""
    value = orjson.loads(call.result)
    return value if isinstance(value, str) else call.result
