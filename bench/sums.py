"""Sums that a model works out in three turns: two that print, and one that ends with the answer.

The turns need each other's variables, so that a wrong session gives a wrong answer. No model is needed to write
them: the question says it all, and the number of turns written so far says which one is next.
Not covered: errors, searches.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from itertools import groupby

from toolkit.contracts import ChatMessage
from toolkit.errors import ModelError

TURNS = 3
_SUM = re.compile(r"What remains of (\d+) \* (\d+) \+ (\d+) when it is divided by (\d+)\?")
_THOUGHTS = ("First I multiply.", "Now I add the third number.", "What remains is the answer.")


def questions(count: int, seed: int) -> list[dict[str, object]]:
    """Different sums with their answers."""
    draw = random.Random(seed)
    return [_question(f"s{seed}-{number}", draw) for number in range(count)]


def _question(name: str, draw: random.Random) -> dict[str, object]:
    a, b, c, d = (draw.randrange(10**6, 10**7) for _ in range(4))
    text = f"What remains of {a} * {b} + {c} when it is divided by {d}?"
    return {"id": name, "question": text, "answer": str((a * b + c) % d)}


def turn(messages: Sequence[ChatMessage]) -> str:
    """The turn that comes next, in fences or, where the system prompt shows them, in tags.

    Raises:
        ModelError: there is no such sum in the messages.
    """
    asked = next(filter(None, (_SUM.search(message.content) for message in messages if message.role != "system")), None)
    if asked is None:
        raise ModelError("no sum is asked for")
    # Some clients put a turn of the assistant into two messages.
    written = sum(role == "assistant" for role, _ in groupby(message.role for message in messages))
    a, b, c, d = asked.groups()
    code = (f"x = {a} * {b}\nprint(x)", f"y = x + {c}\nprint(y)", f"final_answer(y % {d})")[min(written, TURNS - 1)]
    tagged = any("<code>" in message.content for message in messages if message.role == "system")
    block = f"<code>\n{code}\n</code>" if tagged else f"Code:\n```py\n{code}\n```"
    return f"Thought: {_THOUGHTS[min(written, TURNS - 1)]}\n{block}"
