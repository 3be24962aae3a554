"""Messages that smolagents rendered from a memory (`write_memory_to_messages`) into steps.

The agent-distillation sets keep their turns in this form only: their `original_memory`
leaves the action steps out. Roles are written `tool-call` or `MessageRole.TOOL_CALL`.

- A completion is the model's text without surrounding blanks: the library strips them.
- `code` is the code block of the completion. Of a turn without a block that still ran, it is the
  whole completion: the library takes bare code too.
- Results and errors come as separate messages; the observation joins them by a newline,
  without the call's id and the label "Observation:".
- The plan and "Now go on and execute this plan." are no turn of the agent: named as a loss.
- An error has no type here: "Error in code parsing:" is a parse error, "Reached max steps."
  the end, all others execution errors.

Source: `to_messages` of `memory.py`, smolagents 1.13.0 and 1.26.0.
"""

from __future__ import annotations

import re

from toolkit.errors import RecordError
from toolkit.formats.chat_content import Losses, Message, content_text, role_of
from toolkit.formats.code_blocks import split_turn
from toolkit.formats.json_values import excerpt
from toolkit.formats.parsed import ParsedStep
from toolkit.formats.smolagents_memory import CALLS_FINAL_ANSWER, MAX_STEPS, RETRY_ADVICE, Memory, join_shown

TASK_LABEL = "New task:\n"

_ENUM = "MessageRole."
_CALL_ID = re.compile(r"Call id: \S*\n")
_OBSERVATION, _ERROR = "Observation:\n", "Error:\n"
_PARSING = "Error in code parsing:"
_EXECUTE_PLAN = ("Now go on and execute this plan.", "Now proceed and carry out this plan.")
_OUTPUT = "Last output from code snippet:\n"


def role(message: Message, place: str) -> str:
    """The role in its plain form, such as `tool-call`.

    Raises:
        RecordError: it is missing or not text.
    """
    name = role_of(message, place)
    return name.removeprefix(_ENUM).lower().replace("_", "-") if name.startswith(_ENUM) else name


def read_messages(messages: list[Message], losses: Losses) -> Memory:
    """All that the messages of one memory say.

    Raises:
        RecordError: a role is unknown, or content is neither text nor parts.
    """
    memory = Memory()
    for position, message in enumerate(messages):
        place = f"messages[{position}]"
        name = role(message, place)
        text = content_text(message.get("content"), place, losses)
        if name == "system":
            memory.system = text if memory.system is None else f"{memory.system}\n\n{text}"
        elif name == "user":
            _user(memory, text, losses)
        elif name == "assistant":
            thought, code = split_turn(text)
            memory.steps.append(ParsedStep(completion=text, thought=thought, code=code))
        elif name == "tool-call":
            _ran(memory, text, place)
        elif name == "tool-response":
            _response(memory, text, place)
        else:
            expected = "system, user, assistant, tool-call or tool-response"
            raise RecordError(f'expected {place} to have the role {expected}, came "{excerpt(name)}"')
    _conclude(memory)
    return memory


def _user(memory: Memory, text: str, losses: Losses) -> None:
    if text in _EXECUTE_PLAN and memory.steps:
        memory.steps.pop()
        losses["planning step"] = None
    elif not memory.steps:
        memory.tasks.append(text.removeprefix(TASK_LABEL))
    else:
        losses["user turn in mid-conversation kept as observation"] = None
        join_shown(memory.steps[-1], text)


def _ran(memory: Memory, text: str, place: str) -> None:
    """The turn was parsed and its action run; without a block it was bare code."""
    if "'python_interpreter'" not in text:
        raise RecordError(
            f'expected {place} to call python_interpreter, came "{excerpt(text)}"; '
            "of a ToolCallingAgent import the steps of its memory, not its messages"
        )
    if memory.steps and memory.steps[-1].code is None:
        step = memory.steps[-1]
        step.code, step.thought = step.completion, None


def _response(memory: Memory, text: str, place: str) -> None:
    label = _CALL_ID.match(text)
    text = text[label.end() :] if label else text
    error = text.removeprefix(_ERROR) if text.startswith(_ERROR) else None
    if error is not None and error.startswith(MAX_STEPS):
        memory.stop_reason = "max_steps"
        if memory.steps and memory.steps[-1].observation is None:
            # The fork behind agent-distillation shows the answer it asked for at last as a turn.
            memory.final_answer = memory.steps.pop().completion
        return
    if not memory.steps:
        raise RecordError(f"expected {place} to come after an assistant turn, none came before")
    step = memory.steps[-1]
    join_shown(step, text.removeprefix(_OBSERVATION))
    if error is not None:
        step.error = error.removesuffix(RETRY_ADVICE)
        step.error_kind = "parse" if error.startswith(_PARSING) else "execution"
        step.code = None if step.error_kind == "parse" else step.code


def _conclude(memory: Memory) -> None:
    """A last turn that calls `final_answer` without failing ends the rollout."""
    if not memory.steps or memory.stop_reason == "max_steps":
        return
    step = memory.steps[-1]
    if step.error_kind == "none" and CALLS_FINAL_ANSWER.search(step.code or ""):
        step.is_final = True
        memory.stop_reason = "final_answer"
        _, found, output = (step.observation or "").partition(_OUTPUT)
        memory.final_answer = output if found else None
