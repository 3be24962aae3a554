"""Rows that teach to take questions apart: simple questions, and what is to be calculated from their answers.

A model that has read much can do this; a tiny one, that has read one encyclopedia, could learn it from trajectories
only. The questions are of Minipedia's worlds that no question set in use has, with the names of its in-domain side.
There are no searches, no code and no articles in these rows.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from toolkit.tasks.minipedia import Minipedia
from toolkit.tasks.oracle_chain import told
from toolkit.tasks.plan import Compute, Lookup, Operation, Plan
from trainers.tiny.names import Chat
from trainers.tiny.reading import CHATS_A_WORLD, FIRST_SEED, WORLD_SIZE

KEPT = {1: 0.2, 2: 0.5}
"""Shares of the questions with so many lookups: from simple ones there is little to learn."""
_REFERENCE = re.compile(r"#(\d+)")


def asking_chats(draw: random.Random, seed: int = FIRST_SEED) -> Iterator[Chat]:
    """Without end; a new world every so often, from `seed` on."""
    while True:
        for task in Minipedia(seed, WORLD_SIZE).tasks("train", CHATS_A_WORLD):
            plan = Plan.model_validate_json(task.plan or "")
            if draw.random() < KEPT.get(len(plan.lookups), 1.0):
                yield _chat(task.question, plan, draw)
        seed += 1


def _chat(question: str, plan: Plan, draw: random.Random) -> Chat:
    """First what has to be found out; then the answers are told, and the questions asked that were waiting for them."""
    lines = [told(_asked(operation)) for operation in plan.operations]
    chat = [("user", question), ("assistant", "\n".join(lines))]
    given: set[int] = set()
    for operation in plan.operations:
        waiting_for = [number for number in _referenced(plan, operation) if number not in given]
        if waiting_for:
            given.update(waiting_for)
            answers = [f"(result {number}): {plan.operations[number - 1].answer}" for number in waiting_for]
            draw.shuffle(answers)
            chat += [("user", "\n".join(answers)), ("assistant", filled(plan, operation))]
    return chat


def _asked(operation: Operation) -> str:
    if isinstance(operation, Lookup):
        return operation.question
    if isinstance(operation, Compute):
        return operation.expression
    pairs = zip(operation.labels, operation.values, strict=True)
    return f"{operation.choose}: " + ", ".join(f"{label} {value}" for label, value in pairs)


def _referenced(plan: Plan, operation: Operation) -> list[int]:
    """The lookups behind an operation; what is calculated on the way is calculated again."""
    found: list[int] = []
    for number in operation.referenced():
        earlier = plan.operations[number - 1]
        found += _referenced(plan, earlier) if isinstance(earlier, Compute) else [number]
    return list(dict.fromkeys(found))


def filled(plan: Plan, operation: Operation) -> str:
    """What is asked or calculated, with all that is known in it."""

    def known(match: re.Match[str]) -> str:
        earlier = plan.operations[int(match[1]) - 1]
        return f"({filled(plan, earlier)})" if isinstance(earlier, Compute) else earlier.answer

    return _REFERENCE.sub(known, _asked(operation))
