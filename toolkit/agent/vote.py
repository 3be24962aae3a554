r"""The vote among the candidates of a step: what each came to, as a key, and whose key is the most frequent.

Two candidates agree if they printed the same, ended in the same value, and gave the same final
answer or none. Invariant: keys alone decide, so that SQL over the stored ones rebuilds the vote.
Text is compared after Unicode NFC, case folding and collapsing of white space; numbers inside
it by value: `3`, `3.0` and `3.` are one number, so are `.5` and `0.5`, `1e3` and `1000`, and
`0.1 + 0.2` and `0.3`.
Not covered: what shows in variables only (two actions that print nothing agree); digits grouped
by commas, fractions, numbers in words; two floats on either side of a rounding border.
Source: Kang et al. 2025 (arXiv 2505.17612), section 4; Wang et al. 2022 (arXiv 2203.11171).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from decimal import Context, Decimal
from typing import Literal

from schemas.identity import canonical_json
from toolkit.contracts import Outcome, ToolUse

VoteRule = Literal["outcome", "stdout"]
"""What candidates must agree in: all that they came to, or (as in the paper's code) the exact printed text alone."""

VERSION = "1"
"""Raised with every change of what `outcome_key` makes of an outcome."""

# After casefolding. Leading zeros and letters around it make something a name or a code, not a
# number; a full stop behind a number ends a sentence, or is how numpy prints floats.
_NUMBER = re.compile(
    r"(?<![\w.])-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]+|\.(?=e))?|\.[0-9]+)(?:e[+-]?[0-9]{1,4})?\.?(?![\w.])"
)
_EXACT = Context(prec=100_000)
_DOUBLE = Context(prec=15)
"""Digits that a float holds for certain: what differs only behind them is noise."""
_AGREEING = Context(prec=10)
_PLAIN_DIGITS = 25


def outcome_key(outcome: Outcome, rule: VoteRule = "outcome") -> str | None:
    """What a candidate votes for, as JSON text; equal keys are votes for the same.

    A held candidate votes for the call that it is about to make, after the calls that it made. None: it failed.
    """
    if outcome.held is not None:
        return canonical_json({"calls": [_call(use) for use in (*outcome.tool_uses, outcome.held)]})
    if not outcome.ok:
        return None
    if rule == "stdout":
        return canonical_json({"printed": outcome.stdout})
    return canonical_json(
        {
            "printed": normalized(outcome.stdout),
            "cut_chars": outcome.stdout_cut_chars,
            "value": None if outcome.value is None else normalized(outcome.value),
            "is_final": outcome.is_final,
            "answer": None if outcome.final_answer is None else _answer(outcome.final_answer),
        }
    )


def count_votes(keys: Sequence[str | None]) -> list[int]:
    """How many candidates have each candidate's key; 0 for those without one."""
    counted = Counter(key for key in keys if key is not None)
    return [0 if key is None else counted[key] for key in keys]


def elect(votes: Sequence[int]) -> int:
    """Position of the winner: the earliest of the largest group, hence the first candidate if all failed."""
    return max(range(len(votes)), key=lambda index: (votes[index], -index))


def normalized(text: str) -> str:
    """`text` as the vote compares it."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return _NUMBER.sub(lambda found: _number(found[0]), " ".join(folded.split()))


def _number(spelling: str) -> str:
    """The one spelling of a number: integers exactly, anything else to ten significant digits."""
    value = Decimal(spelling.rstrip("."))
    if "e" in spelling or not _is_whole(value):
        value = _DOUBLE.plus(value)
        if not _is_whole(value):
            value = _AGREEING.plus(value)
    if not value:
        return "0"
    value = value.normalize(_EXACT)
    return format(value, "f") if abs(value.adjusted()) < _PLAIN_DIGITS else str(value)


def _is_whole(value: Decimal) -> bool:
    return value == value.to_integral_value()


def _answer(text: str) -> str:
    return normalized(text).rstrip(".").rstrip()


def _call(use: ToolUse) -> list[object]:
    return [use.name, _normalized_value(use.arguments)]


def _normalized_value(value: object) -> object:
    """A JSON value with its texts and numbers as the vote compares them."""
    if isinstance(value, dict):
        return {key: _normalized_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_normalized_value(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    return normalized(str(value))
