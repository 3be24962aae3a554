"""OpenAI chats: messages with `tool_calls` and `tool` turns, the older `function_call`, plain chats.

A step is one assistant turn with what came before the next one (`openai_turns`). A last
assistant turn without calls is the final answer, whole: nobody can tell its answer from
its words. So is the argument of a call of `final_answer`.
A chat of one assistant turn without calls or tools is a chain of thought (`kind="cot"`);
a chat without calls or tools has the dialect `plain`.
Not covered: ShareGPT (`from`/`value`), the Responses API.
Source: the Chat Completions reference of OpenAI.
"""

from __future__ import annotations

from toolkit.errors import RecordError
from toolkit.formats.chat_content import Losses, content_text, messages_of
from toolkit.formats.envelope import answer_text, read_envelope
from toolkit.formats.openai_turns import SYSTEM_ROLES, TOOL_ROLES, Turn, read_turn, split_turns
from toolkit.formats.parsed import Claim, ParsedTrajectory
from toolkit.formats.tool_calls import FINAL_ANSWER, final_argument


class OpenAIChat:
    """Chat Completions messages, as logged by servers and published as training data."""

    name = "openai-chat"

    def claim(self, record: dict[str, object]) -> Claim | None:
        """Claim messages with roles: strongly if they hold structured tool calls, weakly if not."""
        messages = record.get("messages") or record.get("conversations")
        if not isinstance(messages, list) or not messages:
            return None
        roles = {str(message.get("role")) if isinstance(message, dict) else "" for message in messages}
        if not roles <= {"user", "assistant", *SYSTEM_ROLES, *TOOL_ROLES}:
            return None
        if any(message.get("tool_calls") or message.get("function_call") for message in messages):
            return Claim("assistant turns hold tool_calls", 90)
        if roles & set(TOOL_ROLES):
            return Claim("messages with the role tool", 70)
        return Claim("messages with role and content, without tool calls", 40)

    def parse(self, record: dict[str, object]) -> ParsedTrajectory:
        """Read one chat.

        Raises:
            RecordError: no messages, an unknown role, a call without a function name, no question,
                or no assistant turn.
        """
        losses: Losses = {}
        name, messages = messages_of(record, "messages", "conversations")
        opening, turns = split_turns(messages, name)
        if not turns:
            raise RecordError("expected at least one assistant turn, came none")
        system, questions = _read_opening(opening, losses)
        steps = [read_turn(turn, losses, is_last=turn is turns[-1]) for turn in turns]
        envelope = read_envelope(record, name)
        acts = envelope.tools is not None or any(step.tool_calls for step in steps)
        parsed = envelope.trajectory(
            prompt="\n\n".join(questions),
            steps=steps,
            dialect="tool-calls" if acts else "plain",
            system_prompt="\n\n".join(system) or None,
        )
        parsed.kind = "agent" if acts or len(steps) > 1 else "cot"
        _conclude(parsed, turns[-1])
        parsed.losses = list(losses)
        return parsed


def _read_opening(opening: list[Turn], losses: Losses) -> tuple[list[str], list[str]]:
    """System prompts and questions before the first assistant turn."""
    system: list[str] = []
    questions: list[str] = []
    for turn in opening:
        if turn.role in TOOL_ROLES:
            losses["tool result before the first assistant turn (left out)"] = None
            continue
        texts = questions if turn.role == "user" else system
        if texts:
            losses[f"several {turn.role} turns before the first answer (joined)"] = None
        texts.append(content_text(turn.message.get("content"), turn.place, losses))
    return system, questions


def _conclude(parsed: ParsedTrajectory, last: Turn) -> None:
    """Mark the final answer, if the last turn gives one."""
    step = parsed.steps[-1]
    answer: str | None = None
    if step.tool_calls:
        call = step.tool_calls[-1]
        if call.name == FINAL_ANSWER and step.error_kind == "none" and (value := final_argument(call)) is not None:
            answer = answer_text(value)
            step.tool_calls.pop()
    elif step.completion and not last.replies:
        answer = step.completion
    if answer is not None:
        step.is_final = True
        parsed.final_answer = answer
        parsed.stop_reason = "final_answer"
