"""Chats with planted near-copies, for `bench.dedup`: seeded, as lines of JSON.

Every row is a question and three to seven turns of thought, action and observation, about 4 KB. A fifth of the rows are
copies of others: words replaced at a rate between none and 3 %, drawn for each copy, half of them with other spacing
and case, too. All others are unrelated: they share nothing but the prompt, where there is one.
Invariant: with and without the prompt, rows, copies and edits are the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random

from bench.synthetic import Prose

COPIES = 0.2
RATES = (0.0, 0.005, 0.01, 0.02, 0.03)
PROMPT_CHARS = 9_000


def write_rows(directory: Path, count: int, seed: int) -> list[int]:
    """Write `plain.jsonl` and `prompt.jsonl`; the family of each row, by number."""
    random = Random(seed)
    prose = Prose(random, sentences=50_000)
    pool = [prose.text(1, 1) for _ in range(50_000)]
    system = " ".join(random.choices(pool, k=200))[:PROMPT_CHARS]
    n_families = count - int(count * COPIES)
    families = [*range(n_families), *random.choices(range(n_families), k=count - n_families)]
    random.shuffle(families)
    seen: set[int] = set()
    with (directory / "plain.jsonl").open("w") as plain, (directory / "prompt.jsonl").open("w") as prompt:
        for index, family in enumerate(families):
            turns = _turns(Random(f"{seed} family {family}"), pool)
            if family in seen:
                turns = _edited(turns, Random(f"{seed} copy {index}"))
            seen.add(family)
            messages = [{"role": role, "content": text} for role, text in turns]
            plain.write(json.dumps({"messages": messages}) + "\n")
            prompt.write(json.dumps({"messages": [{"role": "system", "content": system}, *messages]}) + "\n")
    return families


def _turns(random: Random, pool: Sequence[str]) -> list[tuple[str, str]]:
    def text(least: int, most: int) -> str:
        return " ".join(random.choices(pool, k=random.randint(least, most)))

    turns = [("user", text(1, 2))]
    for _ in range(random.randint(2, 6)):
        turns.append(("assistant", f"Thought: {text(2, 3)}\nAction: search[{text(1, 1)}]"))
        turns.append(("user", f"Observation: {text(4, 7)}"))
    turns.append(("assistant", f"Thought: {text(2, 3)}\nAction: finish[{text(1, 1)[:30]}]"))
    return turns


def _edited(turns: list[tuple[str, str]], random: Random) -> list[tuple[str, str]]:
    """The turns of one copy; the words that make the format stay."""
    rate, is_restyled = random.choice(RATES), random.random() < 0.5
    found = []
    for role, text in turns:
        words = [
            f"edit{random.randrange(10**6)}" if random.random() < rate and word.isalpha() else word
            for word in text.split(" ")
        ]
        changed = " ".join(words)
        found.append((role, changed.replace(". ", ".  ").replace(" the ", " The ") if is_restyled else changed))
    return found
