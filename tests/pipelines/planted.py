"""Rollouts of the oracle in a real sandbox, and observations of theirs that are corrupted on purpose."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from pipelines.generate import GenerateOptions, generate
from pipelines.parts import ModelOptions
from pipelines.policy import PolicyOptions
from schemas import Row, Step
from toolkit.api import Lake, open_lake
from toolkit.contracts import Passage
from toolkit.lake.records import read_records
from toolkit.retrieval.lexical import LexicalRetriever
from toolkit.tasks.minipedia import Minipedia

GREEDY = PolicyOptions()
StepKey = tuple[str, int]
"""trajectory_id, step_index."""


def oracle_lake(path: Path, count: int, policy: PolicyOptions = GREEDY) -> Lake:
    """`count` rollouts of the oracle, a third of whose turns slip, over a Minipedia."""
    world = Minipedia(0, count)
    lake = open_lake(path, create=True)
    options = GenerateOptions(ModelOptions("oracle", slips=0.3), ftp=False, policy=policy)
    retriever = LexicalRetriever.over(Passage(article.title, article.text) for article in world.articles("train"))
    tasks = list(world.tasks("train", limit=count))
    asyncio.run(generate(lake, tasks, options, retriever, run_kind="generate"))
    return lake


def corrupt(lake: Lake, observed: int, faults: int, seed: int = 0) -> tuple[set[StepKey], set[StepKey]]:
    """Corrupt `faults` of the first `observed` observations, as a new attempt; the corrupted ones, and all."""
    draw = random.Random(seed)
    connection = lake.snapshot().connect()
    records = list(read_records(connection, "SELECT trajectory_id FROM trajectories"))
    connection.close()
    steps = [step for record in records for step in record.steps if step.observation is not None][:observed]
    assert len(steps) == observed
    texts = [step.observation or "" for step in steps]
    chosen = draw.sample(steps, faults)
    changed = {
        (step.trajectory_id, step.step_index): damaged(step.observation or "", place % KINDS, texts, draw)
        for place, step in enumerate(chosen)
    }
    with lake.write("damage") as batch:
        for record in records:
            ids = [(step.trajectory_id, step.step_index) for step in record.steps]
            if any(key in changed for key in ids):
                rows: list[Row] = [record.trajectory, *map(lambda step: _with(step, changed), record.steps)]
                batch.add(row.model_copy(update={"attempt": 1}) for row in [*rows, *record.tool_calls])
    return set(changed), {(step.trajectory_id, step.step_index) for step in steps}


def _with(step: Step, changed: dict[StepKey, str]) -> Step:
    key = step.trajectory_id, step.step_index
    return step.model_copy(update={"observation": changed[key]}) if key in changed else step


KINDS = 8


def damaged(text: str, kind: int, others: list[str], draw: random.Random) -> str:
    """`text`, changed in one of `KINDS` ways; never equal to it."""
    place = draw.randrange(len(text))
    words = text.split(" ")
    found = [
        text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :],  # one bit of one character
        text[: len(text) // 2],  # cut off
        text + "\nThe answer is 42.",  # a sentence that nobody printed
        "",  # lost
        draw.choice([other for other in others if other != text]),  # of another step
        " ".join(words[::-1]) if words != words[::-1] else text + " ",  # words in another order
        text.swapcase() if text != text.swapcase() else f"-{text}",  # letters
        f"{text[:place]} {text[place:]}",  # one space more
    ][kind]
    assert found != text
    return found
