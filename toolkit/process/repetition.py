"""Calls and steps that say the same once more."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from schemas import ToolCall
from schemas.identity import canonical_json
from toolkit.contracts import Verdict
from toolkit.process.episode import Action, Episode

LONGEST_LOOP = 4
"""Most steps of a block that is looked for."""


def repeated_calls(episode: Episode) -> Iterator[Verdict]:
    """Calls of a tool with the arguments of an earlier call, in the same step or another.

    Arguments are compared as JSON, whatever the order of their names. Value: repeated calls.
    Does not count: a call again after the earlier one failed; the same words in another tool or another case.
    """
    first: dict[tuple[str, str], int] = {}
    total = 0
    for action in episode.actions:
        again = []
        for call in action.calls:
            key = (call.name, _canonical(call))
            if key in first:
                again.append({"tool": call.name, "arguments": key[1], "first_step": first[key]})
            elif call.error is None:
                first[key] = action.step.step_index
        if again:
            total += len(again)
            yield Verdict(float(len(again)), False, action.step.step_index, {"calls": again})
    yield Verdict(float(total), total == 0)


def loops(episode: Episode) -> Iterator[Verdict]:
    """Steps that repeat, one by one, the block of steps right before them, with the same observations.

    A block has 1 to 4 steps; A A is a loop, and so is A B A B. Actions are compared as written, without regard to
    white space; where there is no action, the whole completion is. Value: steps that only repeat.
    Does not count: the same action with a new observation, for something was learned; A B A; the final step.
    """
    marks = [_mark(action) for action in episode.actions if not action.step.is_final]
    period = [0] * len(marks)
    for length in range(1, LONGEST_LOOP + 1):
        run = 0
        for index in range(length, len(marks)):
            run = run + 1 if marks[index] == marks[index - length] else 0
            if run >= length:
                for member in range(index - run + 1, index + 1):
                    period[member] = period[member] or length
    for action, length in zip(episode.actions, period, strict=False):
        if length:
            index = action.step.step_index
            yield Verdict(float(length), False, index, {"repeats_step": index - length, "period": length})
    looping = sum(1 for length in period if length)
    yield Verdict(float(looping), looping == 0)


def _canonical(call: ToolCall) -> str:
    return canonical_json(orjson.loads(call.arguments))


def _mark(action: Action) -> tuple[str, str]:
    step = action.step
    written = step.code if step.code is not None else step.completion
    return " ".join(written.split()), " ".join((step.observation or "").split())
