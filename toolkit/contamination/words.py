r"""Texts as words that compare equal whatever the typography, each with its place in the text.

Case, accents, punctuation, spacing and the layout of LaTeX (`\left`, `\dfrac` for `\frac`, dollar signs) do not
count; numbers stand without thousands separators. Operators are no words, so that `x^2+1` is `x 2 1`: variants of a
formula stay comparable. `exact_key` keeps them. Drawings (`[asy]…[/asy]`) are left out: figures are copied between
problems that ask different things.
Invariant: `text[start:end]` of a word's span is what it was made from.
Not covered: languages written without spaces, other than one word a character of Chinese and Japanese.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

_WORD = re.compile(
    r"\[asy\].*?\[/asy\]"
    r"|\\[A-Za-z]+"
    r"|\d{1,3}(?:,\d{3})+(?!\d)|\d+"
    r"|[\u3040-\u30ff\u3400-\u9fff]"
    r"|(?:[^\W\d_\u3040-\u30ff\u3400-\u9fff][\u0300-\u036f]*)+",
    re.DOTALL,
)
_LAYOUT = frozenset(
    "left right big bigl bigr bigg biggl biggr quad qquad displaystyle text textbf textit mathrm mathbf mbox".split()
)
_SAME = {"dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "leq": "le", "geq": "ge", "neq": "ne", "ldots": "dots"}
_OPERATORS = re.compile(r"[-+*/=<>^!|%]")
_DASHES = str.maketrans({"−": "-", "–": "-", "×": "*", "·": "*", "÷": "/"})


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one text."""

    words: list[str]
    spans: list[tuple[int, int]]
    """Where each word stands: first character and the one behind the last."""


def split(text: str) -> Words:
    """The words of `text` in their order."""
    words, spans = [], []
    for match in _WORD.finditer(text):
        word = _normal(match[0])
        if word:
            words.append(word)
            spans.append(match.span())
    return Words(words, spans)


def names(text: str) -> set[str]:
    """Words of three letters and more that are capitalised in `text`, its first word aside."""
    found = split(text)
    pairs = list(zip(found.words, found.spans, strict=True))[1:]
    return {word for word, (start, end) in pairs if end - start > 2 and text[start].isupper()}


def exact_key(text: str) -> tuple[str, ...]:
    """What two texts share that are equal but for typography: their words, then their operators."""
    return (*split(text).words, "".join(_OPERATORS.findall(text.translate(_DASHES).rstrip("!"))))


@lru_cache(maxsize=100_000)
def _normal(found: str) -> str:
    """The word that `found` stands for; empty for layout and drawings."""
    if found[0] == "[":
        return ""
    if found[0] == "\\":
        name = found[1:]
        return "" if name in _LAYOUT else _SAME.get(name, name).casefold()
    bare = found.replace(",", "").casefold()
    if bare.isascii():
        return bare
    return "".join(part for part in unicodedata.normalize("NFKD", bare) if not unicodedata.combining(part))
