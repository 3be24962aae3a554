"""A thought that announces one thing, and an action that does another."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from toolkit.contracts import Verdict
from toolkit.process.code import literal_text
from toolkit.process.episode import Action, Episode, arguments_text, excerpt, stems

_ANNOUNCED = re.compile(
    r"\b(?:search(?:ing)?|look(?:ing)? up|look for|google|query|find|check|verify|confirm|determine)\b[^.!?\n]*", re.I
)
_NAME = re.compile(r"(?<=\s)[A-Z][\w'-]+|\"[^\"]+\"|'[^']{3,}'|\d+")
_SUM = re.compile(r"(\d+(?:\.\d+)?)\s*(?:[-+*/×÷]|times|plus|minus|divided by)\s*(\d+(?:\.\d+)?)")


def thought_mismatch(episode: Episode) -> Iterator[Verdict]:
    """Steps whose thought announces a search or a calculation that their action does not make.

    Two cases. A thought says that it will search for or find something with a name, a quotation or a number in it, and
    no retrieval of the step has a word (by its first five letters) in common with the whole thought, nor with the
    observation before it, where pronouns get their meaning from. Or a thought has a sum such as `12 * 34`, the code
    calculates with at least two numbers, and none of them stands in the thought. Value: such steps.
    Not seen: the right words with another meaning, thoughts that announce nothing, actions that do more than was said.
    """
    total = 0
    before = ""
    for action in episode.actions:
        details = _wrong_search(episode, action, before) or _wrong_sum(action)
        if details is not None:
            total += 1
            yield Verdict(1.0, False, action.step.step_index, details)
        before = action.step.observation or ""
    yield Verdict(float(total), total == 0)


def _wrong_search(episode: Episode, action: Action, before: str) -> dict[str, object] | None:
    thought = action.step.thought or ""
    announced = _ANNOUNCED.search(thought)
    if announced is None or not _NAME.search(announced[0]):
        return None
    asked = [text for call in action.calls if episode.is_retrieval(call) and (text := arguments_text(call))]
    queried = stems(" ".join(asked))
    if not queried or queried & (stems(thought) | stems(before)):
        return None
    return {"announced": excerpt(announced[0]), "searched": [excerpt(text) for text in asked]}


def _wrong_sum(action: Action) -> dict[str, object] | None:
    announced = _SUM.search(action.step.thought or "")
    if announced is None:
        return None
    used = [
        side
        for node in action.nodes
        if isinstance(node, ast.BinOp)
        for side in (node.left, node.right)
        if isinstance(side, ast.Constant) and isinstance(side.value, int | float)
    ]
    said = {float(number) for number in re.findall(r"\d+(?:\.\d+)?", (action.step.thought or "").replace(",", ""))}
    values = {side.value for side in used}
    if len(values) < 2 or values & said:
        return None
    return {"announced": announced[0], "calculated_with": [excerpt(literal_text(side)) for side in used]}
