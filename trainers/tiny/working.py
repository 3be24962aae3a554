"""Rows that teach to work a question off: what is known, what is asked next, and what is left to do.

Each simple question is answered by an article, or by two or three at once; the model says what it read there, asks
the next question, and carries the rest of its plan along. The questions are of Minipedia's worlds that no question set
in use has, with the names of its in-domain side; they are as long as out-of-domain ones, for a model that has
read much has seen long chains. There are no searches and no code in these rows.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from schemas import Task
from toolkit.tasks.minipedia import Minipedia
from toolkit.tasks.minipedia.profile import IN_DOMAIN, OUT_OF_DOMAIN
from toolkit.tasks.oracle import SEARCHES_A_STEP
from toolkit.tasks.oracle_answers import Facts, read_facts
from toolkit.tasks.oracle_chain import ending, learned, outlook
from toolkit.tasks.plan import Plan
from trainers.tiny.asking import filled
from trainers.tiny.names import Chat
from trainers.tiny.reading import CHATS_A_WORLD, FIRST_SEED, WORLD_SIZE

LONG = replace(OUT_OF_DOMAIN, name="long", side=IN_DOMAIN.side)
KEPT = {0: 0.2, 1: 0.3, 2: 0.6}
"""Shares of the questions with so many lookups: from simple ones there is little to learn."""
MANNER = "Step by step."
"""Behind a question: the same one alone is to be taken apart at once (`asking`)."""


def working_chats(draw: random.Random, seed: int = FIRST_SEED) -> Iterator[Chat]:
    """Without end; a new world every so often, from `seed` on."""
    while True:
        minipedia = Minipedia(seed, WORLD_SIZE, in_domain=LONG)
        articles = {article.title: article.text for article in minipedia.articles("train")}
        for task in minipedia.tasks("train", CHATS_A_WORLD):
            plan = Plan.model_validate_json(task.plan or "")
            if draw.random() < KEPT.get(len(plan.lookups), 1.0):
                yield _chat(task, plan, articles)
        seed += 1


def _chat(task: Task, plan: Plan, articles: dict[str, str]) -> Chat:
    read = ""
    facts = read_facts(plan, read)
    chat = [("user", f"{task.question}\n{MANNER}")]
    said = f"{outlook(plan, facts, facts.open)}\n" if plan.lookups else ""
    while facts.open:
        asked = facts.open[:SEARCHES_A_STEP]
        questions = " ".join(facts.fill(lookup.question) for lookup in asked)
        left = f" {outlook(plan, facts, facts.open[SEARCHES_A_STEP:])}" if read else ""
        chat.append(("assistant", f"{said}{questions}{left}"))
        shown = "\n".join(f"[1] {lookup.title}\n{articles[lookup.title]}" for lookup in asked)
        chat.append(("user", shown))
        read = f"{read}\n{shown}"
        facts = read_facts(plan, read)
        said = _said(plan, facts, chat)
    end = ending(plan)
    chat.append(("assistant", f"{said}Now I {end}.\n{filled(plan, plan.operations[-1])}" if end else said.strip()))
    return chat


def _said(plan: Plan, facts: Facts, chat: Chat) -> str:
    written = "\n".join(text for role, text in chat if role == "assistant")
    return "".join(f"{sentence} " for sentence in learned(plan, facts, written))
