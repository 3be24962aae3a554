r"""Answers that are no formulas: words (`\text{Evelyn}`), choices (`\text{(C)}`), numerals with a base (`52_8`), prose.

Idea: a computer algebra system would read `even` as a product of four variables and drop the 8 of
`52_8`; their letters and digits are what counts.
Invariant: pure functions of tidy texts.
Not covered: synonyms (`five`, `yes` for `true`), numbers in words.
"""

from __future__ import annotations

import re

_TEXT_COMMAND = re.compile(r"\\text(?![a-zA-Z])")
_TEXT = re.compile(r"\\text\{\s*\(?[a-zA-Z][^{}\\]*\}")
_LETTERS = re.compile(r"[a-zA-Z ,;.:&'()\"-]*[a-zA-Z][a-zA-Z ,;.:&'()\"-]*")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{[a-z]*\}")
_WORD = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]+(?![a-zA-Z(])")
_FORMULA_WORDS = frozenset(
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln exp sqrt pi inf infinity max min gcd lcm mod "
    "and or i e".split()
)
_CHOICES = re.compile(r"\(?[A-Z]\)?(?:(?:, ?| and )\(?[A-Z]\)?)*")
_CHOICE = re.compile(r"\(?([A-Z])\)(?:[ .:].*)?|([A-Z])[.:] .*")
_SUBSCRIPT_BASE = re.compile(r"(?:\\text\{)?([0-9a-zA-Z]+)\}?_\{?([0-9]{1,2})\}?")
_WORDED_BASE = re.compile(r"(?:\\text\{)?([0-9a-zA-Z]+)\}? ?\(?(?:\\text\{)? ?(?:in )?base ?\}? ?([0-9]{1,2})\)?\}?")
_NUMBER = re.compile(
    r"(?<![0-9a-zA-Z.,])-?(?:[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]*\.?[0-9]+)"
    r"(?:/[0-9]+)?(?: ?\\%)?(?![0-9a-zA-Z])"
)


def is_words(text: str) -> bool:
    r"""Whether a tidy text is made of letters: `\text{…}`, capital letters, or words that are no functions."""
    if _TEXT.fullmatch(text):
        return True
    bare = _without_text_command(text)
    if not _LETTERS.fullmatch(bare):
        return False
    if bare != text or _CHOICES.fullmatch(bare):
        return True
    return any(len(word) > 2 for word in _plain_words(bare))


def same_words(prediction: str, gold: str) -> bool:
    """Whether two tidy texts agree letter by letter, without case and punctuation; single letters in any order."""
    wanted = _parts(gold)
    given = _parts(prediction)
    if len(wanted) == 1 and len(wanted[0]) == 1:
        choice = _CHOICE.fullmatch(_without_text_command(prediction).strip())
        if choice is not None:
            given = [(choice[1] or choice[2]).lower()]
    if all(len(part) == 1 for part in wanted):
        return sorted(wanted) == sorted(given)
    return "".join(wanted) == "".join(given)


def same_digits(prediction: str, gold: str) -> bool | None:
    """Whether two numerals agree, digit by digit, where one names its base. None: neither does.

    A prediction may leave out the base of the gold answer, or add one; two bases must be equal.
    """
    wanted, given = _digits_and_base(gold), _digits_and_base(prediction)
    if wanted[1] is None and given[1] is None:
        return None
    return wanted[0] == given[0] and (wanted[1] == given[1] or None in (wanted[1], given[1]))


def is_prose(text: str) -> bool:
    """Whether a tidy text is a sentence rather than a formula: two words or more that are no functions."""
    return len(_plain_words(text)) > 1


def only_number(text: str) -> str | None:
    """The number in a sentence. None: there is none, or more than one."""
    numbers = _NUMBER.findall(text)
    return numbers[0] if len(numbers) == 1 else None


def _plain_words(text: str) -> list[str]:
    return [
        word
        for word in _WORD.findall(_ENVIRONMENT.sub("", text))
        if len(word) > 1 and word.lower() not in _FORMULA_WORDS
    ]


def _without_text_command(text: str) -> str:
    return _TEXT_COMMAND.sub("", text).replace("{", "").replace("}", "") if r"\text" in text else text


def _parts(text: str) -> list[str]:
    """The letters and digits of every item of a list, in lower case."""
    items = re.split(r"[,;&]|\band\b", _without_text_command(text).lower())
    return [letters for item in items if (letters := re.sub(r"[^a-z0-9]", "", item))]


def _digits_and_base(text: str) -> tuple[str, int | None]:
    """Digits in lower case and base of a numeral; the whole text and None if it names no base."""
    found = _SUBSCRIPT_BASE.fullmatch(text) or _WORDED_BASE.fullmatch(text)
    if found is None:
        return re.sub(r"[ {}]", "", _without_text_command(text)).lower(), None
    digits, base = found[1].lower(), int(found[2])
    is_numeral = any(digit.isdigit() for digit in digits) and all(int(digit, 36) < base for digit in digits)
    return (digits, base) if is_numeral and base <= 36 else (text, None)
