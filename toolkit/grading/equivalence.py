r"""Whether a mathematical answer equals the gold answer: spelling first, then numbers, then math-verify.

Idea: cheap and certain comparisons go first. Equal fingerprints are right; two numerals are decided
by rational arithmetic, words by their letters; the rest is parsed by latex2sympy2_extended and
compared by math-verify, which takes milliseconds. Prediction and gold answer are not
interchangeable: the gold answer sets the form (`x=5` accepts `5`; `52_8` accepts `52`, not `52_9`;
`(3, 4)` wants that order).
Invariant: no text is evaluated as Python. sympy evaluates digit strings only (`sympy.Number`);
math-verify's search for numbers in prose, which calls `parse_expr`, is not used.
math-verify's own timeouts (SIGALRM) are off: the caller bounds time and memory, see `pool`.
Not covered: units (`5 m` equals `5 cm`), several numbers in one sentence of prose.
Source: https://github.com/huggingface/Math-Verify.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from latex2sympy2_extended import NormalizationConfig, is_expr_of_only_symbols
from math_verify import LatexExtractionConfig, parse, verify
from sympy import (
    Basic,
    Equality,
    Expr,
    FiniteSet,
    Interval,
    MatrixBase,
    Rational,
    Symbol,
    Tuple,
    UnevaluatedExpr,
    Union,
)

from toolkit.grading.extraction import stated_answer
from toolkit.grading.notation import python_to_latex
from toolkit.grading.numerals import Numeral, read_numeral, same_number
from toolkit.grading.spelling import fingerprint, is_group, is_list, tidy, without_unit
from toolkit.grading.wording import is_prose, is_words, only_number, same_digits, same_words

for _name in ("math_verify.parser", "math_verify.grader"):
    logging.getLogger(_name).setLevel(logging.ERROR)  # each warns that its timeouts are off; that is the plan

_LATEX = LatexExtractionConfig(
    boxed_match_priority=-1,
    normalization_config=NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none", equations=False
    ),
)
"""Units stay off: math-verify would take the `t` of `3t` for one."""
_Parsed: TypeAlias = Basic | MatrixBase | None
_IMAGINARY_UNIT = re.compile(r"\\text\{\s*i\s*\}|(?<![a-zA-Z\\{_])i(?![a-zA-Z])")
_IMPLIED_PRODUCT = re.compile(r"(\)|(?<![_^0-9a-zA-Z.{])[0-9][0-9.]*)\s*(?=\()")
_DIGITS_APART = re.compile(r"[0-9] [0-9]")
"""math-verify reads `3 5` and `3(5)` as the mixed number 3 + 5."""
_POINTS = (Rational(7310585, 10**7), Rational(16180339, 10**7))
"""Values of the variables at which different expressions are told apart."""


def equivalent(prediction: str, answers: Sequence[str]) -> bool:
    """Whether `prediction` states one of the gold `answers`; only its last 2,000 characters are read.

    May run very long and take much memory on hostile input; `pool.MathPool` bounds both.
    """
    stated = stated_answer(prediction)
    return bool(stated) and any(_matches(stated, answer) for answer in answers)


@dataclass(frozen=True, slots=True)
class _Form:
    """What can be said about a text without a computer algebra system."""

    tidy: str
    fingerprint: str
    without_unit: str
    number: Numeral | None


@lru_cache(maxsize=2048)
def _form(text: str) -> _Form:
    clean = tidy(text)
    bare = without_unit(clean)
    return _Form(clean, fingerprint(clean), bare, read_numeral(bare))


def _matches(stated: str, answer: str) -> bool:
    ours, gold = _form(stated), _form(answer)
    if not (ours.fingerprint and gold.fingerprint):
        return False
    if ours.fingerprint == gold.fingerprint:
        return True
    if ours.number is not None and gold.number is not None:
        return same_number(ours.number, gold.number)
    if is_words(gold.tidy):
        return same_words(ours.tidy, gold.tidy)
    by_digits = same_digits(ours.tidy, gold.tidy)
    if by_digits is not None:
        return by_digits
    lists_as = "vector" if "matrix" in gold.tidy else "interval" if "[" in gold.tidy else "set"
    latex = python_to_latex(stated, lists_as=lists_as)
    if latex is None and is_prose(ours.without_unit):
        number = only_number(ours.without_unit)
        if number is not None:
            return _matches(number, answer)
        readings = _segments(stated)
    else:
        readings = [_reading(ours.without_unit if latex is None else tidy(latex), gold.tidy)]
    return any(_same_value(reading, _parsed(gold.without_unit)) for reading in readings)


def _reading(latex: str, gold: str) -> _Parsed:
    """What an answer stands for, given the form of the gold answer: `3, 4` may be a point, the set {3, 4} may not."""
    if is_group(gold, "()"):
        if is_group(latex, r"\{\}"):  # math-verify would call it equal to the point
            return None
        if is_list(latex):
            latex = f"({latex})"
    return _parsed(latex)


def _segments(stated: str) -> list[_Parsed]:
    """What stands between the last dollars of a sentence, parsed."""
    return list(parse(stated, [_LATEX], fallback_mode="no_fallback", parsing_timeout=None))


@lru_cache(maxsize=2048)
def _parsed(latex: str) -> _Parsed:
    """The sympy object of a tidy text. None: it is not in the grammar."""
    if _DIGITS_APART.search(latex):
        return None
    if r"\sum" not in latex and r"\prod" not in latex:
        latex = _IMAGINARY_UNIT.sub("I", latex)
    latex = _IMPLIED_PRODUCT.sub(r"\1\\cdot ", latex)
    found = parse(f"${latex}$", [_LATEX], fallback_mode="no_fallback", parsing_timeout=None)
    return found[0] if found else None


def _same_value(ours: _Parsed, gold: _Parsed) -> bool:
    if ours is None or gold is None or _differ(ours, gold):
        return False
    return bool(verify(gold, ours, timeout_seconds=None, allow_set_relation_comp=True))


def _differ(ours: Basic | MatrixBase, gold: Basic | MatrixBase) -> bool:
    """Whether the two are certainly different; math-verify's `simplify` takes up to 0.3 s to find the same."""
    if isinstance(ours, Tuple) and isinstance(gold, Tuple):
        return len(ours) != len(gold) or any(map(_differ, ours, gold))
    if isinstance(ours, MatrixBase) and isinstance(gold, MatrixBase):
        return ours.shape != gold.shape or any(map(_differ, ours.flat(), gold.flat()))
    if isinstance(ours, Interval) and isinstance(gold, Interval):
        return _differ(ours.start, gold.start) or _differ(ours.end, gold.end)
    if isinstance(ours, Equality) and isinstance(gold, Expr):
        # math-verify would take the right side, 0, of the equation of a plane for its value
        return bool(ours.lhs.free_symbols) and not is_expr_of_only_symbols(ours.lhs)
    if any(isinstance(side, Expr) for side in (ours, gold)) and any(map(_has_many, (ours, gold))):
        return True
    return _differ_as_numbers(ours, gold)


def _has_many(side: Basic | MatrixBase) -> bool:
    """Whether it is certainly more than one value."""
    return isinstance(side, Interval | MatrixBase | Union) or (isinstance(side, FiniteSet | Tuple) and len(side) > 1)


def _differ_as_numbers(one: Basic | MatrixBase, other: Basic | MatrixBase) -> bool:
    """Whether the two are expressions with different values, be it at chosen values of their variables."""
    if not all(isinstance(side, Expr) and not side.has(UnevaluatedExpr) for side in (one, other)):
        return False
    if isinstance(one, Symbol) or isinstance(other, Symbol):
        return False  # math-verify compares the symbol `even` with the product of its letters
    names = sorted({symbol.name for side in (one, other) for symbol in side.free_symbols})
    for first in _POINTS if names else _POINTS[:1]:
        values = {name: first + position for position, name in enumerate(names)}
        if _far_apart(_at(one, values), _at(other, values)):
            return True
    return False


def _at(expression: Expr, values: dict[str, Rational]) -> Expr | None:
    """The number that `expression` is at a point, to 20 digits. None: it is none there."""
    try:
        number = expression.subs({symbol: values[symbol.name] for symbol in expression.free_symbols}).evalf(20)
    except (ArithmeticError, AttributeError, NotImplementedError, RecursionError, TypeError, ValueError):
        return None  # what sympy and mpmath raise where a function has no value
    return number if number.is_number and number.is_finite else None


def _far_apart(one: Expr | None, other: Expr | None) -> bool:
    """Whether two numbers differ by more than rounding to six decimal places, math-verify's measure, explains."""
    if one is None or other is None:
        return False
    gap = abs(one - other)
    return bool(gap.is_comparable and gap > 2e-6 and gap > 1e-12 * abs(one))
