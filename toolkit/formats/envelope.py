"""What a record says around its turns: id, question, gold answers, model, price, verdict.

One reading for all formats, so that `answer` means the same in each. Invariant: no field
is dropped. One that no column takes, or whose value is of another type than the column's
(`answer: {…}`, `cost: {…}`), goes to `metadata` as it is. Null and absent are the same:
Parquet files fill absent fields with null.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from toolkit.errors import RecordError
from toolkit.formats.json_values import decode, json_text, number
from toolkit.formats.parsed import ParsedStep, ParsedTrajectory


@dataclass(slots=True)
class Envelope:
    """The fields around the turns, as in `ParsedTrajectory`."""

    source_id: str | None = None
    question: str | None = None
    answers: list[str] = field(default_factory=list)
    system_prompt: str | None = None
    tools: str | None = None
    model: str | None = None
    reward: float | None = None
    cost_usd: float | None = None
    metadata: dict[str, object] = field(default_factory=dict)

    def trajectory(
        self, *, prompt: str, steps: list[ParsedStep], dialect: str, system_prompt: str | None
    ) -> ParsedTrajectory:
        """These fields with `steps`; the turns' own system prompt goes before the field of that name.

        The question is the field `question` where there is one (prompts often wrap it in instructions;
        `metadata.first_user_turn` keeps a differing one), else `prompt`, the first user turn.

        Raises:
            RecordError: there is neither.
        """
        question = self.question or prompt
        if not question.strip():
            raise RecordError('expected a question in the first user turn or in "question", came none')
        if prompt and prompt != question:
            self.metadata.setdefault("first_user_turn", prompt)
        return ParsedTrajectory(
            question=question,
            steps=steps,
            dialect=dialect,
            answers=self.answers,
            system_prompt=system_prompt or self.system_prompt,
            tools=self.tools,
            model=self.model,
            reward=self.reward,
            source_id=self.source_id,
            cost_usd=self.cost_usd,
            metadata=self.metadata,
        )


def read_envelope(record: dict[str, object], *turns: str) -> Envelope:
    """Everything of `record` but the fields `turns`, which the format reads itself.

    Of two names for one column (`answers`, `answer`, `true_answer`; `model`, `model_id`;
    `cost_usd`, `cost`) the first in the record counts, the other goes to `metadata`.
    """
    envelope = Envelope()
    for name, value in record.items():
        if value is None or name in turns:
            continue
        column, read = _COLUMNS.get(name, ("", _nothing))
        found = None if not column or getattr(envelope, column) else read(value)
        if found is None:
            envelope.metadata[name] = value
        else:
            setattr(envelope, column, found)
    return envelope


def _nothing(value: object) -> None:
    return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def scalar_text(value: object) -> str | None:
    """Text as it is, a number or truth value as Python prints it. None: `value` is none of these."""
    return str(value) if isinstance(value, (str, bool, int, float)) else None


def answer_text(value: object) -> str:
    """A final answer as text: scalars as Python prints them, lists and objects as JSON."""
    text = scalar_text(value)
    return json_text(value) if text is None else text


def _answers(value: object) -> list[str] | None:
    values = value if isinstance(value, list) else [value]
    texts = [text for item in values if (text := scalar_text(item)) is not None]
    return list(dict.fromkeys(texts)) if len(texts) == len(values) else None


def _number(value: object) -> float | None:
    try:
        return number(value, "it")
    except RecordError:
        return None


def _price(value: object) -> float | None:
    price = _number(value)
    return price if price is not None and price >= 0 else None


def _tools(value: object) -> str | None:
    """Tool definitions as JSON text; publishers write them as a list or as the text of one."""
    try:
        tools = decode(value) if isinstance(value, str) else value
    except RecordError:
        return None
    return json_text(tools) if isinstance(tools, list) and tools else None


_COLUMNS: dict[str, tuple[str, Callable[[object], object]]] = {
    "id": ("source_id", scalar_text),
    "question": ("question", _text),
    "answers": ("answers", _answers),
    "answer": ("answers", _answers),
    "true_answer": ("answers", _answers),
    "system_prompt": ("system_prompt", _text),
    "system": ("system_prompt", _text),
    "tools": ("tools", _tools),
    "model": ("model", _text),
    "model_id": ("model", _text),
    "reward": ("reward", _number),
    "cost_usd": ("cost_usd", _price),
    "cost": ("cost_usd", _price),
}
"""Field of a record: column, and what reads it (None: not of the column's type)."""
