"""ReAct episodes as plain text: `Thought: …`, `Action: search[…]`, `Observation: …`.

Two shapes: chat messages (FireAct: the user asks and observes, the assistant thinks and
acts) and one text with all turns (`trajectory` or `text`, as ReAct and Reflexion log them).

- The question is the first user turn exactly as the model saw it. A leading `Question:`
  stays, because in FireAct it marks the multiple-choice tasks and the model was shown it;
  in the one-text shape it is a turn label like the others and is left out.
- The finishing step keeps its observation ("Episode finished, reward = True"), and the
  verdict in it becomes `reward`.

Not covered: LangChain's `Action Input:`; few-shot examples in front of the episode.
Source: Yao et al. 2023 (ReAct, 2210.03629); Chen et al. 2023 (FireAct, 2310.05915).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from toolkit.errors import RecordError
from toolkit.formats.chat_content import Losses, Message, content_text, messages_of, role_of
from toolkit.formats.envelope import read_envelope
from toolkit.formats.json_values import excerpt, json_text
from toolkit.formats.parsed import Claim, ParsedStep, ParsedTrajectory
from toolkit.formats.react_turns import LABEL, read_turn

_EPISODE_END = re.compile(r"Episode finished,?\s*reward\s*=\s*(True|False|[-+]?\d+(?:\.\d+)?)", re.IGNORECASE)
_TEXT_FIELDS = ("trajectory", "text")
_ACTION = re.compile(r"^[ \t]*Action(?: ?\d+)?[ \t]*:[ \t]*\w[\w .-]*\[", re.MULTILINE)


class ReactText:
    """ReAct text, as FireAct publishes it."""

    name = "react-text"

    def claim(self, record: dict[str, object]) -> Claim | None:
        """Claim text with ReAct's labels; weakly if the same record holds structured tool calls."""
        for text in _assistant_texts(record):
            if _ACTION.search(text):
                strength = 30 if _has_tool_calls(record) else 80
                return Claim('assistant turns hold "Action: name[…]"', strength)
        if any(LABEL.search(text) for text in _assistant_texts(record)):
            return Claim('turns begin with "Thought:", "Action:" or "Observation:"', 25)
        return None

    def parse(self, record: dict[str, object]) -> ParsedTrajectory:
        """Read one episode.

        Raises:
            RecordError: no messages and no text, an unknown role, no question, or no assistant turn.
        """
        field = next((name for name in _TEXT_FIELDS if isinstance(record.get(name), str)), None)
        if field is not None and record.get("messages") is None:
            episode = _read_text(str(record[field]))
        else:
            field, messages = messages_of(record, "messages", "conversations")
            episode = _read_messages(messages)
        if not episode.steps:
            raise RecordError("expected at least one assistant turn, came none")
        parsed = read_envelope(record, field).trajectory(
            prompt="\n\n".join(episode.questions),
            steps=episode.steps,
            dialect="react-text",
            system_prompt="\n\n".join(episode.system) or None,
        )
        _conclude(parsed, episode.answers)
        parsed.losses = list(episode.losses)
        return parsed


@dataclass(slots=True)
class _Episode:
    """An episode while it is read; `answers[i]` is what step i finishes with, None if it does not."""

    system: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    steps: list[ParsedStep] = field(default_factory=list)
    answers: list[str | None] = field(default_factory=list)
    losses: Losses = field(default_factory=dict)

    def act(self, text: str) -> None:
        step, answer = read_turn(text, self.losses)
        self.steps.append(step)
        self.answers.append(answer)

    def observe(self, text: str) -> None:
        step = self.steps[-1]
        step.observation = text if step.observation is None else f"{step.observation}\n{text}"


def _read_messages(messages: list[Message]) -> _Episode:
    episode = _Episode()
    for position, message in enumerate(messages):
        place = f"messages[{position}]"
        role = role_of(message, place)
        text = content_text(message.get("content"), place, episode.losses)
        if role == "assistant":
            episode.act(text)
        elif role == "system":
            if episode.steps or episode.system:
                episode.losses["further system turns joined to the first"] = None
            episode.system.append(text)
        elif role != "user":
            raise RecordError(f'expected {place} to have the role system, user or assistant, came "{excerpt(role)}"')
        elif not episode.steps:
            episode.questions.append(text)
        else:
            label = LABEL.match(text)
            if label is None or label[1] != "Observation":
                episode.losses['user turn without "Observation:" kept as observation'] = None
                label = None
            episode.observe(text[label.end() :] if label else text)
    return episode


def _read_text(text: str) -> _Episode:
    """An episode written as one text. A thought after an action, or an observation, ends a turn."""
    episode = _Episode()
    labels = list(LABEL.finditer(text))
    bounds = [*(label.start() for label in labels), len(text)]
    if labels and labels[0][1] != "Question" and text[: bounds[0]].strip():
        episode.questions.append(text[: bounds[0]].strip())
    turn: list[str] = []
    acted = False
    for label, start, end in zip(labels, bounds, bounds[1:], strict=False):
        kind, body = label[1], text[label.end() : end].rstrip("\n")
        if turn and (kind in ("Question", "Observation") or (kind == "Thought" and acted)):
            episode.act("".join(turn).rstrip())
            turn, acted = [], False
        if kind == "Question":
            if episode.questions or episode.steps:
                raise RecordError(f'expected one episode, came a second question "{excerpt(body)}"')
            episode.questions.append(body)
        elif kind != "Observation":
            turn.append(text[start:end])
            acted = acted or kind == "Action"
        elif episode.steps:
            episode.observe(body)
        else:
            episode.losses["observation before the first action (left out)"] = None
    if turn:
        episode.act("".join(turn).rstrip())
    return episode


def _conclude(parsed: ParsedTrajectory, answers: list[str | None]) -> None:
    """What only the whole episode tells: tool results, the verdict, the final answer (the last one counts)."""
    reward = None
    final = max((index for index, answer in enumerate(answers) if answer is not None), default=None)
    for step, answer in zip(parsed.steps, answers, strict=True):
        if step.observation is None:
            continue
        if len(step.tool_calls) == 1 and answer is None and step.error_kind == "none":
            step.tool_calls[0].result = json_text(step.observation)
        if end := _EPISODE_END.search(step.observation):
            reward = {"true": 1.0, "false": 0.0}.get(end[1].lower())
            reward = float(end[1]) if reward is None else reward
    if parsed.reward is None:
        parsed.reward = reward
    if final is not None:
        parsed.steps[final].is_final = True
        parsed.final_answer = answers[final]
        parsed.stop_reason = "final_answer"


def _assistant_texts(record: dict[str, object]) -> list[str]:
    messages = record.get("messages") or record.get("conversations")
    if not isinstance(messages, list):
        return [value for name in _TEXT_FIELDS if isinstance(value := record.get(name), str)]
    texts = (item.get("content") for item in messages if isinstance(item, dict) and item.get("role") == "assistant")
    return [text for text in texts if isinstance(text, str)]


def _has_tool_calls(record: dict[str, object]) -> bool:
    messages = record.get("messages") or record.get("conversations")
    return isinstance(messages, list) and any(
        isinstance(item, dict) and (item.get("tool_calls") or item.get("role") == "tool") for item in messages
    )
