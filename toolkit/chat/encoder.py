"""Prompts and training rows of one tokenizer; see the package.

A conversation is one row if every prompt of it is the beginning of the next one. Where a template drops reasoning
from earlier turns, or asks with other words than it shows later (Qwen3), each trained turn becomes a row of its own
behind the prompt that the model would be asked with.
Not covered: tool calls that are no text, images, several special tokens after a turn (the first one is trained).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from toolkit.chat.layout import Layout, TemplateRefusal, find_layout, render, shown_texts
from toolkit.chat.pieces import Run, Tokens
from toolkit.chat.turns import Turn, folded
from toolkit.errors import InputError

_NEXT = Turn("user", "Next.")
"""What a conversation is rendered with behind it, so that its last turn looks as it does to later ones."""
_TRIED = (Turn("system", "Be brief."), Turn("user", "Who?"))


@dataclass(frozen=True, slots=True)
class Encoded:
    """One row of token ids."""

    input_ids: list[int]
    loss_weights: list[float]
    """Weight of predicting each token; 0: not trained."""
    turn_ends: list[int]
    """Number of tokens up to the end of each of the assistant's turns: where the row may be cut."""
    is_alone: bool = False
    """Whether the row trains its last turn only, because each trained turn of the conversation is a row."""


@dataclass(slots=True)
class _Plan:
    """A row before its texts are tokenized."""

    parts: list[tuple[int | Run, float, int]] = field(default_factory=list)
    """A special token or a run, its weight, and how many characters of it are not trained."""
    ends: list[int] = field(default_factory=list)
    """Number of parts up to the end of each of the assistant's turns."""
    is_alone: bool = False


class ChatEncoder:
    """What `tokenizer`, one of transformers, makes of conversations.

    Raises:
        InputError: it has no chat template, or one that does not show every text, or no fast implementation.
    """

    def __init__(self, tokenizer: Any) -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise InputError("the tokenizer has no chat template; expected one in chat_template.jinja beside it")
        self.tokenizer = tokenizer
        self._layouts: dict[tuple[tuple[str, ...], bool], Layout] = {}
        self._seamless: dict[tuple[str, ...], bool] = {}
        try:
            self.folds_system = self._must_fold()
            borders = [piece.literal for piece in self._layout(("user", "assistant", "user"), ask=False).pieces[1:]]
            asked = self._layout(("user",), ask=True).pieces[0].literal
        except TemplateRefusal as error:
            raise InputError(str(error)) from error
        self._tokens = Tokens(tokenizer, [*borders, asked])
        self._check()

    @cached_property
    def turn_end_id(self) -> int:
        """The token that ends the assistant's turn: a model must stop there.

        Raises:
            InputError: the template ends it without a special token.
        """
        after = self._layout(("user", "assistant", "user"), ask=False).pieces[2].literal
        for part in self._tokens.literal(after):
            if isinstance(part, int):
                return part
        raise InputError(
            f"the chat template puts {after!r} behind the assistant's turn: no special token, so that a student "
            "could not learn where to stop"
        )

    @cached_property
    def digest(self) -> str:
        """24 hexadecimal digits over the tokenizer's definition and its chat template."""
        total = hashlib.sha256(self.tokenizer.backend_tokenizer.to_str().encode())
        total.update(str(self.tokenizer.chat_template).encode())
        return total.hexdigest()[:24]

    def prompt_ids(self, turns: Sequence[Turn], prefix: str | None = None) -> list[int]:
        """What a model is asked with; with `prefix` its turn has begun with that text.

        Raises:
            InputError: the template refuses the conversation or changes a text.
        """
        try:
            plan = self._prompt(folded(turns) if self.folds_system else list(turns))
        except TemplateRefusal as error:
            raise InputError(str(error)) from error
        if prefix:
            plan.parts.append((Run(prefix, _ends_in_text(plan)), 0.0, 0))
        return self._encode([plan])[0].input_ids

    def rows(self, conversations: Iterable[Sequence[Turn]]) -> list[list[Encoded] | InputError]:
        """The training rows of each conversation, which ends with the assistant's turn; or why there are none."""
        plans: list[list[_Plan] | InputError] = []
        for turns in conversations:
            try:
                plans.append(self._plan(folded(turns) if self.folds_system else list(turns)))
            except TemplateRefusal as error:
                plans.append(InputError(str(error)))
            except InputError as error:
                plans.append(error)
        encoded = iter(self._encode([plan for some in plans if isinstance(some, list) for plan in some]))
        return [some if isinstance(some, InputError) else [next(encoded) for _ in some] for some in plans]

    def _must_fold(self) -> bool:
        """Whether the template wants nothing of system turns."""
        try:
            self._layout(("system", "user"), ask=True)
        except TemplateRefusal as refusal:
            try:
                self._layout(("user",), ask=True)
            except TemplateRefusal:
                raise refusal from None
            return True
        return False

    def _check(self) -> None:
        """Compare ids with those of the whole text tokenized at once."""
        turns = folded(_TRIED) if self.folds_system else list(_TRIED)
        text = render(self.tokenizer, _messages(turns), ask=True)
        expected = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        found = self.prompt_ids(_TRIED)
        if found != expected:
            raise InputError(
                f"the tokenizer makes other ids of a prompt piece by piece than of it all at once: {found}, {expected}"
            )

    def _layout(self, roles: tuple[str, ...], *, ask: bool) -> Layout:
        if (roles, ask) not in self._layouts:
            self._layouts[roles, ask] = find_layout(self.tokenizer, roles, ask=ask)
        return self._layouts[roles, ask]

    def _plan(self, turns: list[Turn]) -> list[_Plan]:
        """One row, or one for each trained turn."""
        _ = self.turn_end_id
        shown = [*turns, _NEXT]
        roles, contents = tuple(turn.role for turn in shown), [turn.content for turn in shown]
        layout = self._layout(roles, ask=False)
        texts = layout.texts(contents)
        if self._is_seamless(roles) and layout.fill(texts) == render(self.tokenizer, _messages(shown), ask=False):
            return [self._fill(layout, texts, turns)]
        return [self._alone(turns, number) for number, turn in enumerate(turns) if turn.weight > 0]

    def _alone(self, turns: list[Turn], number: int) -> _Plan:
        """The row that trains turn `number` only."""
        plan = self._prompt(turns[:number])
        plan.is_alone = True
        roles = tuple(turn.role for turn in turns[: number + 1])
        layout = self._layout((*roles, "user"), ask=False)
        text = layout.texts([*(turn.content for turn in turns[: number + 1]), ""])[number]
        self._answer(plan, turns[number], text, self._after(layout, number), _ends_in_text(plan))
        return plan

    def _prompt(self, turns: list[Turn]) -> _Plan:
        roles, contents = tuple(turn.role for turn in turns), [turn.content for turn in turns]
        layout = self._layout(roles, ask=True)
        rendered = render(self.tokenizer, _messages(turns), ask=True)
        texts = shown_texts(layout, contents, roles, rendered)
        return self._fill(layout, texts, [Turn(turn.role, turn.content) for turn in turns])

    def _is_seamless(self, roles: tuple[str, ...]) -> bool:
        """Whether every prompt of a conversation with these roles is the beginning of the next one."""
        if roles not in self._seamless:
            layout = self._layout(roles, ask=False)
            self._seamless[roles] = all(
                _literals_before(layout, number) == _asked_with(self._layout(roles[:number], ask=True))
                for number, role in enumerate(roles)
                if role == "assistant"
            )
        return self._seamless[roles]

    def _fill(self, layout: Layout, texts: Sequence[str], turns: Sequence[Turn]) -> _Plan:
        """The row up to the end of the last of `turns`, or of the layout if it asks for the assistant's turn."""
        plan, pending = _Plan(), ""
        after_answer = False
        for piece in layout.pieces:
            parts = self._tokens.literal(piece.literal)
            for part in _behind_end(parts) if after_answer else parts:
                if isinstance(part, str):
                    pending += part
                    continue
                plan.parts += [(Run(pending), 0.0, 0)] if pending else []
                plan.parts.append((part, 0.0, 0))
                pending = ""
            after_answer = False
            if piece.message is None or piece.message >= len(turns):
                break
            if turns[piece.message].role != "assistant":
                pending += texts[piece.message]
                continue
            plan.parts += [(Run(pending), 0.0, 0)] if pending else []
            turn, text = turns[piece.message], texts[piece.message]
            self._answer(plan, turn, text, self._after(layout, piece.message), goes_on=bool(pending))
            pending, after_answer = "", True
            if piece.message == len(turns) - 1:
                return plan
        plan.parts += [(Run(pending), 0.0, 0)] if pending else []
        return plan

    def _after(self, layout: Layout, number: int) -> list[int | str]:
        """What the layout puts behind message `number`."""
        position = next(index for index, piece in enumerate(layout.pieces) if piece.message == number)
        return self._tokens.literal(layout.pieces[position + 1].literal)

    def _answer(self, plan: _Plan, turn: Turn, text: str, after: list[int | str], goes_on: bool) -> None:
        """The assistant's words, and what follows up to the token that ends its turn."""
        # White space at the beginning may have been stripped, and counts among the injected characters.
        stripped = 0 if turn.content.startswith(text) else len(turn.content) - len(turn.content.lstrip())
        skipped = max(0, turn.prefix_chars - stripped)
        kept = len(after) - len(_behind_end(after))
        tail = "".join(part for part in after[:kept] if isinstance(part, str))
        ended_weight = turn.weight if turn.is_ended else 0.0
        if text and ended_weight == turn.weight:
            text, tail = text + tail, ""
        plan.parts += [(Run(text, goes_on), turn.weight, skipped)] if text else []
        plan.parts += [(Run(tail, True), ended_weight, 0)] if tail else []
        plan.parts += [(part, ended_weight, 0) for part in after[:kept] if isinstance(part, int)]
        plan.ends.append(len(plan.parts))

    def _encode(self, plans: Sequence[_Plan]) -> list[Encoded]:
        found = self._tokens.ids(part for plan in plans for part, _, _ in plan.parts if isinstance(part, Run))
        return [self._assembled(plan, found) for plan in plans]

    def _assembled(self, plan: _Plan, found: dict[Run, list[int]]) -> Encoded:
        ids: list[int] = []
        weights: list[float] = []
        lengths = [0]
        for part, weight, skipped in plan.parts:
            if isinstance(part, int):
                ids.append(part)
                weights.append(weight)
            else:
                ids += found[part]
                if skipped and weight:
                    weights += [weight if end > skipped else 0.0 for end in self._tokens.ends(part)]
                else:
                    weights += [weight] * len(found[part])
            lengths.append(len(ids))
        return Encoded(ids, weights, [lengths[end] for end in plan.ends], plan.is_alone)


def _messages(turns: Iterable[Turn]) -> list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def _behind_end(parts: list[int | str]) -> list[int | str]:
    """What follows the first special token; nothing is the turn's end if there is none."""
    first = next((index for index, part in enumerate(parts) if isinstance(part, int)), None)
    return parts if first is None else parts[first + 1 :]


def _ends_in_text(plan: _Plan) -> bool:
    return bool(plan.parts) and isinstance(plan.parts[-1][0], Run)


def _literals_before(layout: Layout, number: int) -> list[tuple[str, int | None]]:
    """The layout up to the text of message `number`."""
    position = next(index for index, piece in enumerate(layout.pieces) if piece.message == number)
    return [*layout.pieces[:position], (layout.pieces[position].literal, None)]


def _asked_with(layout: Layout) -> list[tuple[str, int | None]]:
    return list(layout.pieces)
