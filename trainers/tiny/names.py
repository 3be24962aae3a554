"""Names and numbers that belong to nobody.

There are some five thousand names of two syllables on the in-domain side, and a base that reads about in-domain worlds
meets each of them many times: it comes to know where a name ends instead of looking, and copies names of another world
with a syllable too many. So most of what it reads is about somebody else, whose names have one to five syllables and
whose numbers have two to eight digits. Invariant: no name of an out-of-domain world is made, since those have two or
three syllables, and here words of that length are of the in-domain side.
"""

from __future__ import annotations

import random
import re

from toolkit.tasks.minipedia import SYLLABLES
from toolkit.tasks.minipedia.names import side_of

Chat = list[tuple[str, str]]
"""Turns as (role, text), a user's first."""

MOST_SYLLABLES = 5
MOST_DIGITS = 8
_IN_DOMAIN = 0
_OF_MINIPEDIA = (2, 3)
"""Syllables of a name there."""
_KEPT = ("100", "Give", "Lake", "Name", "Some")
"""What has the form of a name or a number and is none."""
_SYLLABLE = "|".join(sorted(SYLLABLES, key=len, reverse=True))
_NAME_OR_NUMBER = re.compile(rf"\b(?=[A-Z\d])(?:(?i:{_SYLLABLE}){{2,3}}|\d{{3,}})\b")


def any_name(draw: random.Random) -> str:
    """One to five syllables."""
    while True:
        count = draw.randint(1, MOST_SYLLABLES)
        word = "".join(draw.choice(SYLLABLES) for _ in range(count)).capitalize()
        if count not in _OF_MINIPEDIA or side_of(word) == _IN_DOMAIN:
            return word


def any_number(draw: random.Random) -> str:
    """Two to eight digits."""
    return str(draw.randint(10, 10 ** draw.randint(2, MOST_DIGITS)))


def disguised(chat: Chat, draw: random.Random) -> Chat:
    """`chat` about somebody else: every name and number (of three digits or more) becomes another, always the same."""
    instead = {word: word for word in _KEPT}

    def other(match: re.Match[str]) -> str:
        word = match[0]
        if word not in instead:
            instead[word] = (any_number if word.isdigit() else any_name)(draw)
        return instead[word]

    return [(role, _NAME_OR_NUMBER.sub(other, text)) for role, text in chat]
