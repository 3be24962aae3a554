"""Rows that teach to read: articles of Minipedia, and what they say, question by question.

The worlds are others than those of any question set in use (seeds from `FIRST_SEED`), and there are no tools, no
code and no plans in these rows: what an agent does is left to be learned from trajectories.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from toolkit.tasks.minipedia.entity import Entity, text_of
from toolkit.tasks.minipedia.profile import IN_DOMAIN
from toolkit.tasks.minipedia.steps import Library
from toolkit.tasks.minipedia.world import World
from trainers.tiny.names import Chat

FIRST_SEED = 1_000
WORLD_SIZE = 10_000
CHATS_A_WORLD = 15_000
MOST_QUESTIONS = 8


def reading_chats(draw: random.Random, seed: int = FIRST_SEED) -> Iterator[Chat]:
    """Without end; a new world every so often, from `seed` on, so that names are not learned by heart."""
    while True:
        library = Library(World(seed, WORLD_SIZE, IN_DOMAIN))
        for _ in range(CHATS_A_WORLD):
            yield _chat(library, draw)
        seed += 1


def _chat(library: Library, draw: random.Random) -> Chat:
    """One to three articles, then up to eight questions; the answer is what the article says."""
    pages = [(entity, library.page(entity)) for entity in _entities(library.world, draw)]
    asked = [
        (draw.choice(attribute.questions).format(s=entity.shown), text_of(entity.values[attribute.name]))
        for entity, page in pages
        for attribute in entity.kind.attributes
        if attribute.name in page.sentences
    ]
    asked = draw.sample(asked, min(len(asked), draw.randint(2, MOST_QUESTIONS)))
    shown = "\n".join(f"[1] {page.article.title}\n{page.article.text}" for _, page in pages)
    chat = []
    for place, (question, answer) in enumerate(asked):
        chat += [("user", f"{shown}\n\n{question}" if place == 0 else question), ("assistant", answer)]
    return chat


def _entities(world: World, draw: random.Random) -> list[Entity]:
    """Mostly several, and of one kind: one is learned soon, and of several only the name tells which is asked about."""
    count = draw.choice((1, 2, 2, 3, 3))
    if count > 1 and draw.random() < 0.75:
        members = world.by_kind[draw.choice(world.entities).kind.name]
        return draw.sample(members, min(count, len(members)))
    return draw.sample(world.entities, count)
