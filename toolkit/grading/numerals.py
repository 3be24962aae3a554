r"""Plain numbers, compared exactly: integers, decimals, fractions, mixed numbers, percentages, sums of money.

Idea: most answers to mathematical questions are numbers, and rational arithmetic settles them
without a computer algebra system. Rules: integers and fractions must be equal. A decimal may be a
rounding of the other number if it has decimal places and at least six significant digits
(`183931.47` for `183931.4666666667`, `0.333333` for `1/3`), or may miss it by the noise of binary
floating point; `50 %` is `50` and `0.5`.
Invariant: two numerals are the same or they are not; nothing is left undecided.
Not covered: radicals, multiples of pi, number words other than `million` and its like.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

_LEAST_WITH_SIX_DIGITS = 100_000
_DATASET_NOISE = Fraction(1, 2 * 10**10)
"""GSM-Hard rounds its answers to ten decimal places; tiny ones then have fewer than six digits."""
_FLOAT_NOISE = Fraction(2, 10**15)
"""Relative error that a few operations on doubles leave behind; integers below 5e14 are told apart."""
_MAX_EXPONENT = 300

_NUMBER = r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+"
_NUMERAL = re.compile(
    rf"(?P<sign>[+-]?)\s*(?:"
    r"(?:(?P<whole>[0-9]+)\s*(?:\s|(?=\\)))?(?:\\frac\{\s*(?P<top>-?[0-9]+)\s*\}\{\s*(?P<bottom>[0-9]+)\s*\}"
    r"|(?P<top2>[0-9]+)\s*/\s*(?P<bottom2>[0-9]+))"
    rf"|(?P<number>{_NUMBER})(?:[eE](?P<exponent>[+-]?[0-9]+)"
    r"|\s*(?:\\times|\\cdot|\*)\s*10\s*\^\s*(?:\{\s*(?P<power>[+-]?[0-9]+)\s*\}|(?P<power2>[0-9])))?"
    r")\s*(?P<percent>\\%)?(?:\s*(?:\\text\{)?\s*(?P<scale>hundred|thousand|million|billion|trillion)\s*\}?)?",
)
_POWERS_OF_TEN = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}


@dataclass(frozen=True, slots=True)
class Numeral:
    """A number as it was written."""

    value: Fraction
    """Its value; for a percentage the number before the sign."""
    is_decimal: bool = False
    """Whether it has a decimal point or an exponent."""
    places: int = 0
    """Number of decimal places; for a percentage those of the number before the sign. Negative: of the exponent."""
    is_percentage: bool = False
    """Whether a percent sign follows."""

    def may_round(self, other: Fraction) -> bool:
        """Whether this is `other` rounded to six significant digits or more, the last of them behind the point."""
        if self.places < 1 or self.value.denominator == 1:
            return False
        step = Fraction(1, 10**self.places)
        return abs(self.value) >= _LEAST_WITH_SIX_DIGITS * step and abs(self.value - other) * 2 <= step


def read_numeral(text: str) -> Numeral | None:
    """The number that a tidy text without unit is. None: it is something else, or out of range."""
    found = _NUMERAL.fullmatch(text)
    if found is None:
        return None
    sign = -1 if found["sign"] == "-" else 1
    scale = _POWERS_OF_TEN[found["scale"]] if found["scale"] else 0
    is_percentage = found["percent"] is not None
    if found["number"] is None:
        bottom = int(found["bottom"] or found["bottom2"])
        if bottom == 0:
            return None
        value = int(found["whole"] or 0) + Fraction(int(found["top"] or found["top2"]), bottom)
        return Numeral(sign * value * 10**scale, is_percentage=is_percentage)
    exponent = int(found["exponent"] or found["power"] or found["power2"] or 0) + scale
    if abs(exponent) > _MAX_EXPONENT:
        return None
    digits, point, decimals = found["number"].partition(".")
    value = sign * Fraction(int(digits + decimals or "0"), 1) * Fraction(10) ** (exponent - len(decimals))
    return Numeral(value, bool(point or exponent), len(decimals) - exponent, is_percentage)


def same_number(prediction: Numeral, gold: Numeral) -> bool:
    """Whether both are the same number by the rules of this module."""
    if _agree(prediction, gold):
        return True
    if prediction.is_percentage == gold.is_percentage:
        return False
    return _agree(_as_share(prediction), _as_share(gold))


def _as_share(numeral: Numeral) -> Numeral:
    if not numeral.is_percentage:
        return numeral
    return Numeral(numeral.value / 100, numeral.is_decimal, numeral.places + 2)


def _agree(one: Numeral, other: Numeral) -> bool:
    difference = abs(one.value - other.value)
    if difference == 0:
        return True
    if not (one.is_decimal or other.is_decimal):
        return False
    if difference <= _FLOAT_NOISE * abs(one.value):
        return True
    if difference <= _DATASET_NOISE and difference * 1000 <= abs(one.value):
        return True
    return one.may_round(other.value) or other.may_round(one.value)
