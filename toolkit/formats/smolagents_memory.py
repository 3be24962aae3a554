"""Steps of a smolagents memory, as `get_full_steps()` and `get_succinct_steps()` write them, into steps.

- `code` is what ran: the interpreter call's argument, or `code_action`, or the code block.
- `observation` is the text the agent was shown, without the label "Observation:" and the
  call's id: the observations ("Execution logs:" included) and, of a failed step, the
  library's "Error:" text with its advice, joined by a newline as the library joins them.
- `latency_ms` is the duration of the whole step, model call and action: smolagents times
  nothing smaller.
- The step with `AgentMaxStepsError` is no turn: its answer came from another prompt.
- What a CodeAgent's code called is not recorded, so such a step has no tool calls; those of
  a ToolCallingAgent are read, and a single call's result is its observation.

Source: `memory.py` of smolagents 1.13.0 and 1.26.0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from schemas import ErrorKind, StopReason
from toolkit.errors import RecordError
from toolkit.formats.chat_content import Losses, Message, content_text
from toolkit.formats.code_blocks import split_turn
from toolkit.formats.envelope import answer_text
from toolkit.formats.json_values import count, describe, excerpt, json_text, number
from toolkit.formats.parsed import ParsedStep
from toolkit.formats.tool_calls import FINAL_ANSWER, final_argument, read_call, render_calls

RETRY_ADVICE = (
    "\nNow let's retry: take care not to repeat previous errors! "
    "If you have retried several times, try a completely different approach.\n"
)
"""What both libraries add to an error they show to the agent."""

CALLS_FINAL_ANSWER = re.compile(r"\bfinal_answer\s*\(")

_INTERPRETER = "python_interpreter"
_ERROR_KINDS: dict[str, ErrorKind] = {
    "AgentParsingError": "parse",
    "AgentToolCallError": "tool",
    "AgentToolExecutionError": "tool",
}
MAX_STEPS = "Reached max steps."
ACTION_FIELDS = {"model_output", "observations", "tool_calls", "code_action", "step_number", "step", "error"}
_KNOWN = ACTION_FIELDS | {
    *("timing", "duration", "start_time", "end_time", "model_input_messages", "model_output_message"),
    *("action_output", "token_usage", "is_final_answer", "observations_images", "_type"),
}


@dataclass(slots=True)
class Memory:
    """What the steps of one memory say."""

    steps: list[ParsedStep] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    system: str | None = None
    stop_reason: StopReason = "unknown"
    final_answer: str | None = None
    error: str | None = None
    calls_tools: bool = False
    """Whether a ToolCallingAgent wrote it."""


def read_memory(raw_steps: list[Message], losses: Losses) -> Memory:
    """All that the steps of one memory say; null fields count as absent.

    Raises:
        RecordError: a step is of no known kind, or a field of it has the wrong type.
    """
    memory = Memory()
    last: Message = {}
    for position, nullable in enumerate(raw_steps):
        place = f"steps[{position}]"
        raw = {name: value for name, value in nullable.items() if value is not None}
        if "plan" in raw:
            losses["planning step"] = None
        elif "task" in raw and "model_output" not in raw:
            _task(memory, raw, losses)
        elif ACTION_FIELDS & raw.keys():
            last = raw if _action(memory, raw, place, losses) else {}
        elif "system_prompt" in raw:
            memory.system = content_text(raw["system_prompt"], place, losses)
        elif "final_answer" in raw or "output" in raw:
            memory.final_answer = answer_text(raw.get("final_answer", raw.get("output")))
        elif "messages" in raw:
            losses["prompts of planning and summary turns"] = None
        elif raw:
            raise RecordError(f"expected {place} to be a task, plan, action or answer, came {describe(raw)}")
    _conclude(memory, last)
    return memory


def _task(memory: Memory, raw: Message, losses: Losses) -> None:
    task = raw["task"]
    if not isinstance(task, str):
        raise RecordError(f"expected the task to be text, came {describe(task)}")
    if raw.get("task_images"):
        losses["image of the task"] = None
    if not memory.steps:
        memory.tasks.append(task)
        return
    losses["further task in the same memory kept as observation"] = None
    join_shown(memory.steps[-1], task)


def join_shown(step: ParsedStep, text: str) -> None:
    """Add `text` to what the agent was shown after `step`, as the library joins texts of one role."""
    step.observation = text if step.observation is None else f"{step.observation}\n{text}"


def _action(memory: Memory, raw: Message, place: str, losses: Losses) -> bool:
    """Take in an action step; False if the memory holds no turn for it."""
    kind, message = _error(raw.get("error"), place)
    if kind == "AgentMaxStepsError":
        memory.stop_reason = "max_steps"
        memory.final_answer = answer_text(raw["action_output"]) if "action_output" in raw else None
        if "token_usage" in raw:
            losses["tokens of the answer after the last step"] = None
        return False
    if kind == "AgentGenerationError" and "model_output" not in raw:
        memory.stop_reason, memory.error = "error", message
        return False
    _note_fields(raw, losses)
    output = raw.get("model_output")
    if output is None and isinstance(reply := raw.get("model_output_message"), dict):
        output = reply.get("content")
    step = ParsedStep(completion=content_text(output, f"{place}.model_output", losses))
    if kind is not None:
        step.error_kind, step.error = _ERROR_KINDS.get(kind, "execution"), message
    _read_action(memory, step, raw, place)
    _read_observation(step, raw, place)
    _measure(step, raw, place)
    memory.steps.append(step)
    return True


def _note_fields(raw: Message, losses: Losses) -> None:
    for name in raw.keys() - _KNOWN:
        losses[f'step field "{excerpt(name)}"'] = None
    if raw.get("observations_images"):
        losses["image of an observation"] = None
    reply = raw.get("model_output_message")
    if isinstance(reply, dict) and reply.get("raw"):
        losses["raw reply of the model's server"] = None


def _error(error: object, place: str) -> tuple[str | None, str | None]:
    """Type and message. A log that keeps the message only shows two types by their wording."""
    if error is None:
        return None, None
    if isinstance(error, str):
        if error.startswith("Error in code parsing:"):
            return "AgentParsingError", error
        return ("AgentMaxStepsError" if error == MAX_STEPS else "AgentExecutionError"), error
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return str(error.get("type")), str(error["message"])
    raise RecordError(f"expected {place}.error to have a type and a message, came {describe(error)}")


def _read_action(memory: Memory, step: ParsedStep, raw: Message, place: str) -> None:
    calls = raw.get("tool_calls", [])
    if not isinstance(calls, list):
        raise RecordError(f"expected {place}.tool_calls to be a list, came {describe(calls)}")
    ran = raw.get("code_action")
    for position, raw_call in enumerate(calls):
        function = raw_call.get("function", raw_call) if isinstance(raw_call, dict) else None
        if isinstance(function, dict) and function.get("name") == _INTERPRETER:
            ran = function.get("arguments")
            continue
        call, fault = read_call(raw_call, f"{place}.tool_calls[{position}]")
        step.tool_calls.append(call)
        if fault and step.error_kind == "none":
            step.error_kind, step.error = "parse", fault
    if step.tool_calls:
        memory.calls_tools = True
        step.code = render_calls(step.tool_calls)
        step.thought = step.completion.strip() or None
        return
    step.thought, block = split_turn(step.completion)
    # 1.13 writes code that is itself JSON as the value: then the block is the text that ran.
    code = ran if isinstance(ran, str) else block
    step.code = None if step.error_kind == "parse" else code
    if step.code is not None and step.thought == step.code.strip():
        step.thought = None


def _read_observation(step: ParsedStep, raw: Message, place: str) -> None:
    observed = raw.get("observations")
    if observed is not None and not isinstance(observed, str):
        raise RecordError(f"expected {place}.observations to be text, came {describe(observed)}")
    shown = [] if observed is None else [observed]
    if step.error is not None and "error" in raw:
        shown.append(f"Error:\n{step.error}{RETRY_ADVICE}")
    step.observation = "\n".join(shown) if shown else None
    if len(step.tool_calls) == 1 and observed is not None and step.error_kind == "none":
        step.tool_calls[0].result = json_text(observed)


def _measure(step: ParsedStep, raw: Message, place: str) -> None:
    usage, timing = raw.get("token_usage"), raw.get("timing")
    if isinstance(usage, dict):
        tokens = {name: value for name, value in usage.items() if value is not None}
        if "input_tokens" in tokens:
            step.prompt_tokens = count(tokens["input_tokens"], f"{place}.token_usage.input_tokens")
        if "output_tokens" in tokens:
            step.completion_tokens = count(tokens["output_tokens"], f"{place}.token_usage.output_tokens")
    duration = timing.get("duration") if isinstance(timing, dict) else raw.get("duration")
    if duration is not None:
        step.latency_ms = max(0.0, number(duration, f"{place}.duration")) * 1000


def _conclude(memory: Memory, last: Message) -> None:
    """Mark the final step: 1.2x says which, of 1.13 it is a last step that calls `final_answer`."""
    if not last:
        return
    step = memory.steps[-1]
    ends = last.get("is_final_answer")
    if ends is None:
        ends = step.error_kind == "none" and bool(CALLS_FINAL_ANSWER.search(step.code or ""))
    if ends is not True:
        return
    step.is_final = True
    memory.stop_reason = "final_answer"
    output = last.get("action_output")
    if step.tool_calls and step.tool_calls[-1].name == FINAL_ANSWER:
        argument = final_argument(step.tool_calls.pop())
        output = argument if output is None else output
    if output is not None:
        memory.final_answer = answer_text(output)
