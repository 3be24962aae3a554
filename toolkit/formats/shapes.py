"""The shapes in which trajectories leave: one row of plain values a trajectory, and its Arrow schema.

trl      messages (with `weight` on assistant turns) and where the row comes from
openai   messages as OpenAI's fine-tuning reads them: weight 0 or 1, no other columns
nested   the trajectory's columns with its steps and tool calls inside
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import duckdb
import orjson
import pyarrow as pa

from schemas.arrow import arrow_schema
from toolkit.errors import InputError, RecordError
from toolkit.formats.messages import TOOL_CALL_DIALECT, Message, to_messages
from toolkit.lake.records import TrajectoryRecord

Weights = Mapping[int, float]
_ID_COLUMNS = ("trajectory_id", "attempt")
_STEP_COLUMNS = [name for name in arrow_schema("steps").names if name not in _ID_COLUMNS]
_CALL_COLUMNS = [name for name in arrow_schema("tool_calls").names if name not in (*_ID_COLUMNS, "step_index")]


@dataclass(frozen=True, slots=True)
class Shape:
    """One export format."""

    row: Callable[[TrajectoryRecord, Weights], dict[str, object]]
    schema: Callable[[bool], pa.Schema]
    """Arrow schema; the argument says whether any row holds tool calls."""
    jsonl: bool
    parquet: bool


def _trl_row(record: TrajectoryRecord, weights: Weights) -> dict[str, object]:
    trajectory, task = record.trajectory, record.task
    row: dict[str, object] = {
        "messages": to_messages(record, weights),
        "trajectory_id": trajectory.trajectory_id,
        "task_id": trajectory.task_id,
        "dataset": trajectory.dataset,
        "kind": trajectory.kind,
        "final_answer": trajectory.final_answer,
        "answers": task.answers if task else [],
    }
    if _calls_tools(record):
        row["tools"] = record.tools
    return row


def _calls_tools(record: TrajectoryRecord) -> bool:
    """Whether a trainer should put the tools into the prompt; where code calls them, they stand there in words."""
    return record.tools is not None and record.trajectory.dialect == TOOL_CALL_DIALECT


def _openai_row(record: TrajectoryRecord, weights: Weights) -> dict[str, object]:
    messages = [_openai_message(message, record) for message in to_messages(record, weights)]
    row: dict[str, object] = {"messages": messages}
    if record.tools is not None and _calls_tools(record):
        row["tools"] = orjson.loads(record.tools)
    return row


def _openai_message(message: Message, record: TrajectoryRecord) -> dict[str, object]:
    plain: dict[str, object] = dict(message)
    if "weight" in message:
        if message["weight"] not in (0.0, 1.0):
            place = record.trajectory.trajectory_id
            raise RecordError(f"trajectory {place}: OpenAI takes weights 0 and 1 only, got {message['weight']}")
        plain["weight"] = int(message["weight"])
    return plain


def _nested_row(record: TrajectoryRecord, weights: Weights) -> dict[str, object]:
    task = record.task
    steps = []
    for step in record.steps:
        values = step.model_dump(include=set(_STEP_COLUMNS))
        calls = [call.model_dump(include=set(_CALL_COLUMNS)) for call in record.calls_of(step.step_index)]
        steps.append({**values, "weight": weights.get(step.step_index, 1.0), "tool_calls": calls})
    return {
        **record.trajectory.model_dump(),
        "question": task.question if task else None,
        "answers": task.answers if task else [],
        "system_prompt": record.system_prompt,
        "tools": record.tools,
        "steps": steps,
    }


def _messages_type(tools: bool) -> pa.DataType:
    fields = [("role", pa.string()), ("content", pa.string()), ("weight", pa.float64())]
    if tools:
        function = pa.struct([("name", pa.string()), ("arguments", pa.string())])
        call = pa.struct([("id", pa.string()), ("type", pa.string()), ("function", function)])
        fields += [("tool_calls", pa.list_(call)), ("tool_call_id", pa.string()), ("name", pa.string())]
    return pa.list_(pa.struct(fields))


def _trl_schema(tools: bool) -> pa.Schema:
    columns = [(name, pa.string()) for name in ("trajectory_id", "task_id", "dataset", "kind", "final_answer")]
    columns += [("answers", pa.list_(pa.string()))]
    columns += [("tools", pa.string())] if tools else []
    return pa.schema([("messages", _messages_type(tools)), *columns])


def _openai_schema(tools: bool) -> pa.Schema:
    return pa.schema([("messages", _messages_type(tools))])


def _nested_schema(tools: bool) -> pa.Schema:
    calls = pa.list_(pa.struct([arrow_schema("tool_calls").field(name) for name in _CALL_COLUMNS]))
    step_fields = [arrow_schema("steps").field(name) for name in _STEP_COLUMNS]
    step = pa.struct([*step_fields, pa.field("weight", pa.float64()), pa.field("tool_calls", calls)])
    extra = [("question", pa.string()), ("answers", pa.list_(pa.string())), ("system_prompt", pa.string())]
    return pa.schema(
        [*arrow_schema("trajectories"), *map(lambda pair: pa.field(*pair), extra), pa.field("tools", pa.string())]
    ).append(pa.field("steps", pa.list_(step)))


SHAPES: dict[str, Shape] = {
    "trl": Shape(_trl_row, _trl_schema, jsonl=True, parquet=True),
    "openai": Shape(_openai_row, _openai_schema, jsonl=True, parquet=False),
    "nested": Shape(_nested_row, _nested_schema, jsonl=False, parquet=True),
}


def find_shape(name: str) -> Shape:
    """The shape called `name`.

    Raises:
        InputError: there is none; the message names those that exist.
    """
    if name not in SHAPES:
        raise InputError(f"there is no shape {name!r}; the shapes are {', '.join(SHAPES)}")
    return SHAPES[name]


def has_tools(connection: duckdb.DuckDBPyConnection, selection_id: str) -> bool:
    """Whether any kept trajectory needs the columns for tool calls."""
    query = f"""
        SELECT coalesce(bool_or(dialect = '{TOOL_CALL_DIALECT}'), false) FROM trajectories
        SEMI JOIN (SELECT trajectory_id FROM decisions WHERE kept AND selection_id = ?) USING (trajectory_id)"""
    return bool(connection.execute(query, [selection_id]).fetchall()[0][0])
