"""Whether a short factual answer is right: exact match and token F1 after SQuAD normalization.

Idea: two answers are the same if they are equal without case, punctuation, articles and extra
white space. Invariant: an exact match has F1 1, and F1 does not change when prediction and gold
answer are swapped. Several gold answers: the best of them counts, for each metric on its own.
As in the official scripts, only ASCII punctuation is removed (curly quotes and long dashes stay,
and so do accents), and digits lose their points and commas: `1,000` equals `1000`, and `3.5`
equals `35`. One deviation: answers of which nothing is left (`The`, `!!!`) are compared as they
stand, where the scripts would call them all equal.
Not covered: synonyms, paraphrase, dates and numbers in words; those need more gold answers.
Source: Rajpurkar et al. 2016 (evaluate-v1.1.py, evaluate-v2.0.py); Yang et al. 2018
(hotpot_evaluate_v1.py) for the yes/no rule of F1.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.errors import InputError

FACT_SCORER = "fact@1"
"""Name and version under which verdicts of `grade_fact` are stored."""
MATH_SCORER = "math@1"
"""Name and version under which verdicts of mathematical equivalence are stored."""

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)
_CLOSED = frozenset({"yes", "no", "noanswer"})
"""Answers that earn no partial credit."""


@dataclass(frozen=True, slots=True)
class Grade:
    """The verdict on one answer."""

    correct: bool | None
    """Whether the answer is right. None: undecided; `reason` says why."""
    em: float
    """Exact match with the best gold answer: 0 or 1."""
    f1: float
    """Token F1 with the best gold answer, in [0, 1]."""
    reason: str | None = None
    """Why there is no verdict. None: there is one."""


def normalize(text: str) -> str:
    """Lower case, without ASCII punctuation, then without the words a, an, the; single spaces."""
    bare = text.lower().translate(_WITHOUT_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def exact_match(prediction: str, answer: str) -> float:
    """1 if both are equal after normalization, else 0."""
    return float(answer_key(prediction) == answer_key(answer))


def token_f1(prediction: str, answer: str) -> float:
    """Harmonic mean of token precision and recall after normalization, in [0, 1]; `yes` and `no` only match whole."""
    ours, theirs = answer_key(prediction), answer_key(answer)
    if ours == theirs:
        return 1.0
    if ours in _CLOSED or theirs in _CLOSED:
        return 0.0
    our_tokens, their_tokens = ours.split(), theirs.split()
    shared = (Counter(our_tokens) & Counter(their_tokens)).total()
    # 2pr / (p + r) with p = shared / ours and r = shared / theirs, in one rounding: exactly symmetric.
    return 2 * shared / (len(our_tokens) + len(their_tokens)) if shared else 0.0


def grade_fact(prediction: str | None, answers: Sequence[str]) -> Grade:
    """The verdict on a factual answer: right if it exactly matches one of `answers`.

    No prediction, or one of white space only, is wrong.

    Raises:
        InputError: `answers` holds no gold answer, or is a text instead of a list of texts.
    """
    em, f1 = text_metrics(prediction, answers)
    return Grade(correct=em == 1.0, em=em, f1=f1)


def text_metrics(prediction: str | None, answers: Sequence[str]) -> tuple[float, float]:
    """Exact match and token F1, each with the gold answer that suits it best.

    Raises:
        InputError: `answers` holds no gold answer, or is a text instead of a list of texts.
    """
    known = known_answers(answers)
    if not known:
        raise InputError(f"expected at least one gold answer, got {answers!r}; leave questions without one ungraded")
    if prediction is None or not prediction.strip():
        return 0.0, 0.0
    return max(exact_match(prediction, gold) for gold in known), max(token_f1(prediction, gold) for gold in known)


def known_answers(answers: Sequence[str]) -> list[str]:
    """The gold answers that say something; a blank one is none.

    Raises:
        InputError: `answers` is a text instead of a list of texts.
    """
    if isinstance(answers, str):
        raise InputError(f"expected a list of gold answers, got the text {answers!r}; wrap it in a list")
    return [answer for answer in answers if answer.strip()]


def answer_key(text: str) -> str:
    """What two factual answers must share to be the same."""
    return normalize(text) or " ".join(text.lower().split())
