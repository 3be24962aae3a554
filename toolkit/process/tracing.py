"""Where an answer comes from: does a text hold it, as words or as a number?

Two answers are compared as graders compare them; in texts, punctuation also separates words (`1858/Diary`). A number
is found in a text if one there rounds to it. Not covered: synonyms, abbreviations, numbers in words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from toolkit.grading.answers import answer_key
from toolkit.process.episode import TEXTS_KEPT, words

REFUSAL = "it is a refusal"
"""One of the reasons of `untraceable`."""
_CLOSED = frozenset({"yes", "no", "true", "false"})
_REFUSALS = frozenset({"unknown", "none", "nan", "not sure", "i dont know", "no answer", ""})
_OPTION = re.compile(r"^\(?([A-Za-z])\)?[.:]?$")
_NUMBER = re.compile(r"(?<!\d)(?<!\d[.,])-?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?![\d])", re.IGNORECASE)
_LATEX = re.compile(r"\\[A-Za-z]+")
_BREAKS = re.compile(r"[^\w\s]+")


def untraceable(answer: str, question: str) -> str | None:
    """Why no text need hold `answer` word for word. None: one should.

    Such are yes and no, letters of options, refusals, and whatever the question offers to choose from.
    """
    key = answer_key(answer)
    if key in _CLOSED:
        return "yes and no need not be observed word for word"
    if key in _REFUSALS:
        return REFUSAL
    if _OPTION.match(answer.strip()):
        return "it is the letter of an option"
    if observed_share(answer, [question]) == 1:
        return "the answer stands in the question"
    return None


def observed_share(answer: str, texts: Iterable[str]) -> float:
    """The greatest share of the answer that one of `texts` holds, in [0, 1].

    A number is there (1), also as one with more decimals that rounds to it, or it is not (0). Of other answers 1: as
    whole words in this order; less: the share of its words that are there, in any order; LaTeX commands are no words.
    """
    number = _number(answer)
    if number is not None:
        return float(any(_rounds_to(text, *number) for text in texts))
    keys = {f" {key} " for key in (answer_key(answer), answer_key(_BREAKS.sub(" ", answer))) if key}
    wanted = words(_LATEX.sub(" ", answer))
    best = 0.0
    for text in texts:
        if _holds(text, keys):
            return 1.0
        if wanted:
            # Below 1 by definition: all its words in another order are not the answer.
            best = max(best, min(len(wanted & words(text)) / len(wanted), 0.99))
    return best


def _holds(text: str, keys: set[str]) -> bool:
    return any(key in form for form in _forms(text) for key in keys)


@lru_cache(TEXTS_KEPT)
def _forms(text: str) -> tuple[str, ...]:
    """A text as answers are compared, with spaces around it, in two forms.

    `1,000` is 1000 only if marks vanish, and `1858/Diary` holds 1858 only if they part.
    """
    return tuple(f" {answer_key(form)} " for form in (text, _BREAKS.sub(" ", text)))


def _number(text: str) -> tuple[float, int] | None:
    """A number and its decimals. None: `text` is none."""
    bare = text.strip().strip("$€£%").strip()
    if not _NUMBER.fullmatch(bare):
        return None
    mantissa = bare.lower().partition("e")[0]
    return float(bare.replace(",", "")), len(mantissa.partition(".")[2])


@lru_cache(TEXTS_KEPT)
def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(match[0].replace(",", "")) for match in _NUMBER.finditer(text))


def _rounds_to(text: str, number: float, decimals: int) -> bool:
    return any(value == number or (decimals and round(value, decimals) == number) for value in _numbers(text))
