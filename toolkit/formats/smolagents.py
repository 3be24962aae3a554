"""Agent memories of smolagents, as users dump them, from 1.13 to 1.26.

Accepted shapes, where `steps` is what `agent.memory.get_full_steps()` or
`get_succinct_steps()` returns:

    {"question": …, "memory": {"system_prompt": …, "steps": […]}}
    {"steps": […]}                      also `RunResult.dict()`, with `output` and `state`
    {"messages": […]}                   what `write_memory_to_messages()` returns
    {"question": …, "generated_answer": …, "true_answer": …, "score": …, "log_data": …}

The last is the agent-distillation set (2505.17612): `log_data` is the JSON text of
`{messages, original_memory, metadata}`. Its memory leaves the action steps out, so the
turns are read from the messages; `score` becomes the reward. A run returns an answer
only after `final_answer` or after the last step, so an answer without the former means
`max_steps`. A row whose `log_data` is null is a rollout that failed before its first turn.
Not covered: images, plans and the steps of managed agents (losses).
"""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.errors import RecordError
from toolkit.formats.chat_content import Losses, Message, objects
from toolkit.formats.code_blocks import speech_of
from toolkit.formats.envelope import answer_text, read_envelope
from toolkit.formats.json_values import decode, describe, number
from toolkit.formats.parsed import Claim, ParsedTrajectory
from toolkit.formats.smolagents_memory import ACTION_FIELDS, Memory, read_memory
from toolkit.formats.smolagents_messages import read_messages

_ANSWERS = ("generated_answer", "final_answer", "output")
_TURNS = ("memory", "steps", "messages", "log_data", "original_memory", "system_prompt")
_MAX_STEPS = "max_steps_error"
_STEP_MARKS = ("model_output", "observations", "action_output", "task")


class Smolagents:
    """Memories of smolagents agents, and the agent-distillation sets made from them."""

    name = "smolagents"

    def claim(self, record: dict[str, object]) -> Claim | None:
        """Claim memories by their step fields, logs by their name, messages by the role tool-call."""
        log, steps, messages = record.get("log_data"), _steps_of(record), record.get("messages")
        if (isinstance(log, str) and '"messages"' in log) or (isinstance(log, dict) and "messages" in log):
            return Claim("log_data holds messages", 95)
        if log is None and "log_data" in record:
            return Claim("log_data is null, as of a failed rollout", 60)
        for items in (steps, messages):
            if isinstance(items, list) and any(_marks(item) for item in items[:3]):
                return Claim("steps hold model_output, observations or task", 92)
        if isinstance(messages, list) and any(_is_rendered(message) for message in messages):
            return Claim("messages with the role tool-call or tool-response", 85)
        if "observations" in record and "model_output" in record:
            return Claim("a single step of a memory", 50)
        return None

    def parse(self, record: dict[str, object]) -> ParsedTrajectory:
        """Read one memory.

        Raises:
            RecordError: none of the shapes, or a step or message in it is of no known kind.
        """
        losses: Losses = {}
        source = _locate(record)
        if source.steps is not None:
            memory = read_memory(source.steps, losses)
        else:
            memory = read_messages(source.messages, losses)
        answer = next((name for name in _ANSWERS if record.get(name) is not None), "")
        envelope = read_envelope(record, answer, *_TURNS)
        if envelope.question is None and isinstance(task := envelope.metadata.get("task"), str):
            envelope.question = task
            del envelope.metadata["task"]
        if envelope.metadata.get("managed_agents"):
            losses["steps of managed agents"] = None
        if source.metadata:
            envelope.metadata["log_metadata"] = source.metadata
        parsed = envelope.trajectory(
            prompt="\n\n".join(memory.tasks),
            steps=memory.steps,
            dialect=_dialect(memory, source),
            system_prompt=memory.system or source.system,
        )
        _conclude(parsed, memory, record, record.get(answer), source.is_log)
        parsed.losses = list(losses)
        return parsed


@dataclass(slots=True)
class _Source:
    """Where a record keeps its turns: in `steps`, or, if that is None, in `messages`."""

    steps: list[Message] | None
    messages: list[Message]
    system: str | None = None
    metadata: object = None
    is_log: bool = False


def _locate(record: dict[str, object]) -> _Source:
    holder: dict[str, object] = record
    is_log = "log_data" in record
    if is_log:
        log = record["log_data"]
        log = decode(log) if isinstance(log, str) else log
        if log is None:
            return _Source(None, [], is_log=True)
        if not isinstance(log, dict):
            raise RecordError(f"expected log_data to be an object or its JSON text, came {describe(log)}")
        holder = log
    steps = _steps_of(holder)
    system = _system(_memory_of(holder)) or _system(record)
    metadata = holder.get("metadata") if is_log else None
    messages = holder.get("messages")
    if isinstance(messages, list) and messages and not _has_actions(steps):
        if not any(isinstance(message, dict) and "role" in message for message in messages):
            return _Source(objects(messages, "messages"), [], system, metadata, is_log)
        return _Source(None, objects(messages, "messages"), system, metadata, is_log)
    if isinstance(steps, list):
        return _Source(objects(steps, "steps"), [], system, metadata, is_log)
    if _marks(record):
        raise RecordError(
            "expected a memory, came one step of it; make a file that lists steps one record: jq -c '{steps: .}' FILE"
        )
    raise RecordError(f'expected "memory", "steps", "messages" or "log_data", came {describe(record)}')


def _memory_of(holder: dict[str, object]) -> object:
    return holder.get("original_memory") or holder.get("memory") or holder


def _steps_of(holder: dict[str, object]) -> object:
    memory = _memory_of(holder)
    return memory.get("steps") if isinstance(memory, dict) else memory


def _system(holder: object) -> str | None:
    """The system prompt, which memories keep as a step of their own."""
    prompt = holder.get("system_prompt") if isinstance(holder, dict) else None
    prompt = prompt.get("system_prompt") if isinstance(prompt, dict) else prompt
    return prompt if isinstance(prompt, str) else None


def _has_actions(steps: object) -> bool:
    return isinstance(steps, list) and any(
        isinstance(step, dict) and any(step.get(name) is not None for name in ACTION_FIELDS) for step in steps
    )


def _marks(step: object) -> list[str]:
    return [name for name in _STEP_MARKS if name in step] if isinstance(step, dict) else []


def _is_rendered(message: object) -> bool:
    name = message.get("role") if isinstance(message, dict) else None
    return isinstance(name, str) and (name in ("tool-call", "tool-response") or name.startswith("MessageRole."))


def _dialect(memory: Memory, source: _Source) -> str:
    """By the tags in the turns, else in the prompt, else by the fields of the steps."""
    if memory.calls_tools:
        return "tool-calls"
    speech = speech_of([step.completion for step in memory.steps]) or speech_of([memory.system or source.system or ""])
    is_new = any("timing" in step or "code_action" in step for step in source.steps or [])
    return speech or ("smolagents" if is_new else "smolagents-1.13")


def _conclude(
    parsed: ParsedTrajectory, memory: Memory, record: dict[str, object], answer: object, is_log: bool
) -> None:
    """Why the rollout ended and with what, from its steps and from the fields around them."""
    parsed.stop_reason, parsed.final_answer, parsed.error = memory.stop_reason, memory.final_answer, memory.error
    if answer is not None:
        parsed.final_answer = answer_text(answer)
    failure = record.get("error")
    if isinstance(failure, str):
        del parsed.metadata["error"]
        parsed.stop_reason, parsed.error = "error", failure
    elif not parsed.steps:
        raise RecordError("expected at least one action step, came none")
    elif memory.stop_reason == "unknown" and (answer is not None if is_log else record.get("state") == _MAX_STEPS):
        parsed.stop_reason = "max_steps"
    if parsed.reward is None and isinstance(score := parsed.metadata.get("score"), (int, float)):
        parsed.reward = number(score, "score")
        del parsed.metadata["score"]
