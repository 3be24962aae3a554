"""Names made of syllables: unlimited, unique in a world, and never shared between worlds' sides.

Invariant: every invented word belongs to one *side*, decided by its own checksum, so the
in-domain world of any seed and the out-of-domain world of any seed have no word in common,
although both are made of the same syllables.
"""

from __future__ import annotations

from zlib import crc32

from toolkit.tasks.minipedia.draws import Draws

_ONSETS = ("b", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "br", "dr", "gr", "kr", "st", "tr")
_VOWELS = ("a", "e", "i", "o", "u")
_CODAS = ("l", "n", "r", "s", "m", "k", "n", "nd")

OPEN = tuple(onset + vowel for onset in _ONSETS[:14] for vowel in _VOWELS)
"""Syllables that end in a vowel."""
CLOSED = tuple(
    onset + vowel + _CODAS[(5 * row + 3 * column) % len(_CODAS)]
    for row, onset in enumerate(_ONSETS)
    for column, vowel in enumerate(_VOWELS)
)
"""Syllables that end in a consonant."""
SYLLABLES = OPEN + CLOSED
"""All syllables, for a tokenizer that should cut names where they were joined."""

_SHORT = ((OPEN, CLOSED), (CLOSED, CLOSED), (OPEN, OPEN))
_LONG = ((OPEN, OPEN, CLOSED), (CLOSED, OPEN, CLOSED), (OPEN, OPEN, OPEN), (OPEN, CLOSED, OPEN))
_SHORT_PERCENT = 40
_REFUSED = ("nazi", "niga", "nige", "nigr", "fag", "kunt", "kuk", "sex", "tit", "puta", "rape", "pis", "dik", "kok")
_REAL = frozenset(
    "bali dakar fargo kuba lima lisbon madras madrid mali milan nepal paris peru rome roma sudan togo turin".split()
)


def side_of(word: str) -> int:
    """0 or 1: the side of worlds that may use `word`, which is compared in lower case."""
    return crc32(word.lower().encode()) & 1


class Namer:
    """Invents words of one side, each only once."""

    def __init__(self, draws: Draws, side: int) -> None:
        self._draws = draws
        self._side = side
        self._taken: set[str] = set()

    def word(self) -> str:
        """A capitalised word of two or three syllables that was not given out before."""
        draws, taken = self._draws, self._taken
        forms = _SHORT if draws.chance(_SHORT_PERCENT) else _LONG
        while True:
            word = "".join([draws.pick(syllables) for syllables in draws.pick(forms)])
            if word not in taken and side_of(word) == self._side and not _unfit(word):
                taken.add(word)
                return word.capitalize()
            if word in taken:
                forms = _LONG  # few short words exist: a large world would search them for ever


def _unfit(word: str) -> bool:
    return word in _REAL or any(part in word for part in _REFUSED)
