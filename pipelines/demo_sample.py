"""A small sample of trajectories for the demo: varied, made up, with planted faults.

Two files as other people would hand them over: ReAct text with a search tool, and OpenAI
chat with a calculator. Planted on purpose: exact duplicates, wrong answers, turns without
an action, and one line that is cut off. Everything derives from the seed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import orjson

_FIRST = ["Ada", "Bruno", "Clea", "Dario", "Edda", "Felix", "Greta", "Hugo", "Ines", "Jonas", "Klara", "Lorin"]
_LAST = ["Amsel", "Birk", "Corvin", "Dahl", "Ebner", "Falk", "Gruber", "Hollis", "Ivers", "Jansen"]
_TOWNS = ["Arnfeld", "Brunnau", "Celden", "Dornach", "Elmstadt", "Farnholm", "Grauwick", "Hallburg"]
_CRAFTS = ["clock maker", "botanist", "bridge engineer", "composer", "cartographer", "glass blower"]


@dataclass(frozen=True, slots=True)
class Planted:
    """How many faults of each kind a sample holds, so that what is found can be compared."""

    duplicates: int = 5
    wrong_answers: int = 4
    missing_actions: int = 3
    unreadable_lines: int = 1


def write_sample(directory: Path, *, seed: int = 0) -> tuple[Path, Path, Planted]:
    """Write `react.jsonl` and `chat.jsonl` into `directory`; their paths and what was planted."""
    draw = random.Random(seed)
    planted = Planted()
    directory.mkdir(parents=True, exist_ok=True)
    react, chat = directory / "react.jsonl", directory / "chat.jsonl"
    episodes = _react_episodes(draw, planted)
    lines = [orjson.dumps(episode) for episode in episodes]
    lines.insert(len(lines) // 2, lines[0][: len(lines[0]) // 2])
    react.write_bytes(b"\n".join(lines) + b"\n")
    chat.write_bytes(b"".join(orjson.dumps(_sum(draw, index), option=orjson.OPT_APPEND_NEWLINE) for index in range(24)))
    return react, chat, planted


def _react_episodes(draw: random.Random, planted: Planted) -> list[dict[str, object]]:
    names = [f"{first} {last}" for first in _FIRST for last in _LAST]
    people = draw.sample(names, 36)
    episodes = [_lookup(draw, name, index) for index, name in enumerate(people)]
    for episode in episodes[: planted.wrong_answers]:
        episode["answer"] = "a town that is on no map"
    for episode in episodes[10 : 10 + planted.missing_actions]:
        messages = episode["messages"]
        assert isinstance(messages, list)
        hesitation = {"role": "assistant", "content": "Thought: I am not sure how to begin."}
        hint = {"role": "user", "content": "Observation: Every turn needs an action."}
        episode["messages"] = [messages[0], hesitation, hint, *messages[1:]]
    return episodes + episodes[20 : 20 + planted.duplicates]


def _lookup(draw: random.Random, name: str, index: int) -> dict[str, object]:
    town, craft, year = draw.choice(_TOWNS), draw.choice(_CRAFTS), draw.randint(1820, 1960)
    article = f"{name} ({year}–{year + 71}) was a {craft} who was born in {town} and worked in {draw.choice(_TOWNS)}."
    turns = [("assistant", f"Thought: I should look up {name}.\nAction: search[{name}]")]
    if index % 3 == 0:
        turns[0] = ("assistant", f"Thought: First I look for the profession.\nAction: search[{craft} {name}]")
        turns += [("user", f"Observation: No article is called “{craft} {name}”.")]
        turns += [("assistant", f"Thought: I search for the name alone.\nAction: search[{name}]")]
    turns += [("user", f"Observation: {article}")]
    turns += [("assistant", f"Thought: The article says {town}.\nAction: finish[{town}]")]
    turns += [("user", "Observation: Episode finished, reward = True")]
    question = f"In which town was the {craft} {name} born?"
    messages = [{"role": role, "content": content} for role, content in [("user", question), *turns]]
    return {"messages": messages, "answer": town}


def _sum(draw: random.Random, index: int) -> dict[str, object]:
    left, right = Fraction(draw.randint(1, 9), draw.randint(2, 9)), Fraction(draw.randint(1, 9), draw.randint(2, 9))
    total = left + right
    question = f"What is {left} + {right}? Give the exact value."
    expression = f"Fraction({left.numerator}, {left.denominator}) + Fraction({right.numerator}, {right.denominator})"
    call_id = f"call_{index}"
    call = {"name": "calculate", "arguments": orjson.dumps({"expression": expression}).decode()}
    slip = index % 8 == 7
    answer = str(total + 1 if slip else total)
    return {
        "id": f"sum-{index}",
        "answer": rf"\frac{{{total.numerator}}}{{{total.denominator}}}" if total.denominator > 1 else str(total),
        "messages": [
            {"role": "system", "content": "Answer with the value alone. Use the tool for every calculation."},
            {"role": "user", "content": question},
            {
                "role": "assistant",
                "content": "I add the two fractions.",
                "tool_calls": [{"id": call_id, "type": "function", "function": call}],
            },
            {"role": "tool", "tool_call_id": call_id, "content": str(total)},
            {"role": "assistant", "content": answer},
        ],
    }
