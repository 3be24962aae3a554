"""One assistant turn of ReAct text: its thought, its actions, its answer.

An action is read as the environments of ReAct and FireAct read it: all text between the
first bracket and the bracket at the end, so `search[a], search[b]` is one search for
`a], search[b`, which is what was looked up. Only if other text follows does the bracket
that balances the first one close the action.
Not covered: what the environment answered (`react_text` puts it to the step).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from toolkit.formats.chat_content import Losses
from toolkit.formats.json_values import excerpt, json_text
from toolkit.formats.parsed import ParsedCall, ParsedStep

LABEL = re.compile(r"^[ \t]*(Question|Thought|Action|Observation)(?: ?\d+)?[ \t]*:[ \t]?", re.MULTILINE)
"""A turn label at the start of a line, numbered (`Thought 1:`) or not."""

_ACTION = re.compile(r"(\w[\w .-]{0,60}?) *\[(.*)", re.DOTALL)
_FINISH = "finish"
_ARGUMENT = {"search": "query", "lookup": "keyword"}
"""What the bracket holds, by action; `argument` for actions of other environments."""

_SEVERAL = "several actions in one turn (their observation is not told apart)"
_INVENTED = "observation that the assistant wrote itself (kept in completion only)"


@dataclass(frozen=True, slots=True)
class _Action:
    text: str
    name: str
    argument: str

    @property
    def finishes(self) -> bool:
        return self.name.lower() == _FINISH


def read_turn(text: str, losses: Losses) -> tuple[ParsedStep, str | None]:
    """The step without its observation, and the answer it finishes with.

    The answer is None if the turn does not finish; without a valid action the step is a parse error.
    """
    thoughts, bodies = _parts(text, losses)
    step = ParsedStep(completion=text, thought="\n".join(thoughts) or None)
    if not bodies:
        step.error_kind, step.error = "parse", 'expected "Action: name[…]", the turn has no action'
        return step, None
    step.code = "\n".join(bodies) or None
    actions = []
    for body in bodies:
        action = _read_action(body)
        if action is None:
            step.error_kind, step.error = "parse", f'expected "Action: name[…]", came "{excerpt(body)}"'
        else:
            actions.append(action)
    if step.error_kind == "none":
        step.code = "\n".join(action.text for action in actions)
    if len(bodies) > 1:
        losses[_SEVERAL] = None
    answer = None
    for action in actions:
        if action.finishes:
            answer = action.argument
        else:
            key = _ARGUMENT.get(action.name.lower(), "argument")
            step.tool_calls.append(ParsedCall(action.name, json_text({key: action.argument})))
    return step, answer


def _parts(text: str, losses: Losses) -> tuple[list[str], list[str]]:
    """Thoughts and actions up to the first observation that the assistant made up.

    Text before the first label continues a `Thought:` that stood in the prompt.
    """
    labels = [label for label in LABEL.finditer(text) if label[1] != "Question"]
    thoughts = [text[: labels[0].start() if labels else len(text)].strip()]
    bodies: list[str] = []
    for position, label in enumerate(labels):
        end = labels[position + 1].start() if position + 1 < len(labels) else len(text)
        body = text[label.end() : end].strip()
        if label[1] == "Observation":
            losses[_INVENTED] = None
            break
        (bodies if label[1] == "Action" else thoughts).append(body)
    return [thought for thought in thoughts if thought], bodies


def _read_action(body: str) -> _Action | None:
    found = _ACTION.match(body)
    if found is None:
        return None
    name, rest = found[1], found[2]
    if rest.endswith("]"):
        return _Action(body, name, rest[:-1])
    end = _balanced_end(rest)
    return None if end is None else _Action(body[: found.start(2) + end + 1], name, rest[:end])


def _balanced_end(rest: str) -> int | None:
    """Where the bracket opened before `rest` closes. None: nowhere."""
    level = 1
    for found in re.finditer(r"[\[\]]", rest):
        level += 1 if found[0] == "[" else -1
        if level == 0:
            return found.start()
    return None
