"""A trajectory as the conversation that a student would have had, with what is trained in it.

Invariant: with the student's prompt the turns are those that `toolkit.agent` sends for the same trajectory at
inference, message by message, given the same tools and index. A generated trajectory records its tools, and its
run how many steps there were. Instructions that asked the teacher for a first thought are left out.
Imported trajectories keep the prompt that was recorded with them, if any.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import duckdb
import orjson

from toolkit.chat import Turn
from toolkit.dialects import DIALECTS, load_dialect
from toolkit.dialects.chain_of_thought import ChainOfThought
from toolkit.dialects.code_dialect import DEFAULT_MAX_STEPS
from toolkit.dialects.recorded_tools import read_tools
from toolkit.errors import RecordError
from toolkit.formats.messages import TOOL_CALL_DIALECT, to_messages
from toolkit.lake.records import TrajectoryRecord
from toolkit.masking.settings import MaskSettings


class Conversations:
    """Makes conversations of trajectories.

    Args:
        settings: Which prompt, and whether injected beginnings are trained.
        max_steps: By run_id, how many steps an agent had.

    Raises:
        InputError: a prompt template is wrong.
    """

    def __init__(self, settings: MaskSettings, max_steps: Mapping[str, int]) -> None:
        self._settings, self._max_steps = settings, max_steps
        self._prompts: dict[tuple[str, str, int], str | None] = {}

    def turns(self, record: TrajectoryRecord, weights: Mapping[int, float]) -> list[Turn]:
        """The conversation of one trajectory; `weights` by step index, 1 where a step is not named.

        Raises:
            RecordError: it cannot be trained on, and why.
        """
        if record.trajectory.dialect == TOOL_CALL_DIALECT:
            raise RecordError("its tool calls are structured, which no dialect of a student speaks")
        if record.task is None:
            raise RecordError("its question is not in the lake")
        prompt = self._system_prompt(record)
        turns = [Turn("system", prompt)] if prompt is not None else []
        steps = iter(record.steps)
        for message in to_messages(record, weights):
            if message["role"] == "assistant":
                step = next(steps)
                skipped = 0 if self._settings.prefix_loss else step.prefix_chars
                is_ended = step.finish_reason != "length"
                turns.append(Turn("assistant", step.completion, message["weight"], skipped, is_ended))
            elif message["role"] != "system":
                turns.append(Turn(message["role"], message["content"]))
        return turns

    def _system_prompt(self, record: TrajectoryRecord) -> str | None:
        trajectory = record.trajectory
        if self._settings.prompt == "recorded":
            return record.system_prompt
        if trajectory.dialect == ChainOfThought.name:
            return self._chain.system_prompt(with_passages=trajectory.kind == "cot_rag")
        if trajectory.dialect not in DIALECTS:
            return record.system_prompt
        if record.tools is None:
            return self._without_tools(record)
        max_steps = self._max_steps.get(trajectory.run_id, DEFAULT_MAX_STEPS)
        key = (trajectory.dialect, record.tools, max_steps)
        if key not in self._prompts:
            tools = read_tools(record.tools)
            dialect = load_dialect(trajectory.dialect, self._settings.templates, max_steps=max_steps)
            self._prompts[key] = dialect.student_prompt(tools) if tools is not None else None
        found = self._prompts[key]
        return self._without_tools(record) if found is None else found

    def _without_tools(self, record: TrajectoryRecord) -> str | None:
        if record.trajectory.source == "imported":
            return record.system_prompt
        raise RecordError("its tools are not recorded, so that the student's prompt is not known; generate it again")

    @cached_property
    def _chain(self) -> ChainOfThought:
        return ChainOfThought(self._settings.templates)


def read_max_steps(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """By run_id, the most steps that an agent of the run had, as its prompt says; other runs are left out."""
    found = {}
    for run_id, identity in connection.execute("SELECT run_id, identity FROM runs").fetchall():
        dialect = orjson.loads(identity).get("dialect")
        if isinstance(dialect, dict) and isinstance(dialect.get("max_steps"), int):
            found[run_id] = dialect["max_steps"]
    return found
