"""Texts from which the tiny tokenizer learns its words: articles, questions, and how an oracle speaks of them.

Only words are taken from here; the model itself never reads the oracle's turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from schemas import Task
from toolkit.contracts import ChatMessage, CompletionRequest
from toolkit.dialects import load_dialect
from toolkit.dialects.chain_of_thought import ChainOfThought
from toolkit.tasks.minipedia import Lookup, Minipedia, Plan
from toolkit.tasks.oracle import OracleTeacher
from trainers.tiny.reading import FIRST_SEED

WORLD_SIZE = 2_000
QUESTIONS = 1_000
ROLES = "system\nuser\nassistant\n"


def sample_texts() -> Iterator[str]:
    """Articles, questions and turns of a world that no question set uses."""
    world = Minipedia(FIRST_SEED, WORLD_SIZE)
    yield from (article.text for article in world.articles("train"))
    yield from [ROLES] * WORLD_SIZE
    yield from asyncio.run(_spoken(list(world.tasks("train", QUESTIONS))))


async def _spoken(tasks: Sequence[Task]) -> list[str]:
    """Each question, a chain of thought, an agent's first turn, and its last one when all is read."""
    dialect, chain = load_dialect("codeact"), ChainOfThought()
    oracle = OracleTeacher(tasks, dialect, slips=0.0, recall=1.0)
    texts = []
    for task in tasks:
        read = "\n".join(
            lookup.sentence or lookup.answer
            for lookup in Plan.model_validate_json(task.plan or "").operations
            if isinstance(lookup, Lookup)
        )
        agent = [ChatMessage("system", dialect.student_prompt([])), ChatMessage("user", task.question)]
        asked = [
            [ChatMessage("system", chain.system_prompt()), ChatMessage("user", task.question)],
            agent,
            [*agent, ChatMessage("assistant", ""), ChatMessage("user", read)],
        ]
        texts.append(task.question)
        for messages in asked:
            texts += [said.text for said in await oracle.complete(CompletionRequest(tuple(messages)))]
    return texts
