"""Rows that teach to look back and say again: lists, keys and their values, letters and their numbers.

What a model that has read much can do without thinking, a tiny one has to learn first: nothing that an agent does
(quote a passage, put operands into code) works without it.
"""

from __future__ import annotations

import random

from trainers.tiny.names import Chat, any_name, any_number

_OPERATORS = "+-*/"


def copying_chat(draw: random.Random) -> Chat:
    """One conversation in which everything that is said was shown."""
    return draw.choices((_list, _keys, _letters), (40, 30, 30))[0](draw)


def _list(draw: random.Random) -> Chat:
    """Every item, in quotes."""
    items = _items(draw)
    return [("user", "\n".join(items)), ("assistant", "\n".join(f"'{item}'" for item in items))]


def _keys(draw: random.Random) -> Chat:
    """What stands behind the keys that are asked for."""
    values = {any_name(draw): item for item in _items(draw)}
    asked = draw.sample(list(values), min(len(values), 5))
    shown = "\n".join(f"{key}: {value}" for key, value in values.items())
    chat = []
    for place, key in enumerate(asked):
        chat += [("user", f"{shown}\n\n{key}" if place == 0 else key), ("assistant", values[key])]
    return chat


def _letters(draw: random.Random) -> Chat:
    """Expressions, with numbers in the places of letters."""
    numbers = {letter: any_number(draw) for letter in draw.sample("abcxyz", draw.randint(2, 4))}
    shown = ", ".join(f"{letter} = {number}" for letter, number in numbers.items())
    chat = []
    for place in range(draw.randint(1, 3)):
        parts = [
            part for letter in draw.sample(list(numbers), len(numbers)) for part in (letter, draw.choice(_OPERATORS))
        ]
        asked = " ".join(parts[:-1])
        said = " ".join(numbers.get(part, part) for part in parts[:-1])
        chat += [("user", f"{shown}\n\n{asked}" if place == 0 else asked), ("assistant", said)]
    return chat


def _items(draw: random.Random) -> list[str]:
    return [_item(draw) for _ in range(draw.randint(2, 9))]


def _item(draw: random.Random) -> str:
    kind = draw.choices(("full name", "word", "number"), (35, 25, 40))[0]
    if kind == "number":
        return any_number(draw)
    return any_name(draw) if kind == "word" else f"{any_name(draw)} {any_name(draw)}"
