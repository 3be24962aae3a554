r"""One spelling for a mathematical text: LaTeX without delimiters, layout commands and Unicode symbols.

Idea: most right answers differ from the gold answer only in spelling (`$\dfrac12$`, `\frac{1}{2}`,
`½`), and seeing that costs microseconds where a computer algebra system costs milliseconds.
Invariant: texts of equal `fingerprint` mean the same; units are the one thing that is dropped, and
only by `without_unit`.
Not covered: Python notation (see `notation`), `array` and `cases` environments.
"""

from __future__ import annotations

import re

_SYMBOLS = str.maketrans(
    {
        **dict.fromkeys("\u2212\u2013\u2014\u2010\u2011\ufe63\uff0d", "-"),
        **dict.fromkeys("\u00a0\u2007\u2009\u202f\u3000\t\r\n", " "),
        **dict.fromkeys("\u200b\u200e\u200f\ufeff", ""),
        **{digit: f"^{{{value}}}" for value, digit in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
        **{digit: f"_{{{value}}}" for value, digit in enumerate("₀₁₂₃₄₅₆₇₈₉")},
        **{"½": r"\frac{1}{2}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}"},
        **{"\u00d7": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "÷": r"\div ", "±": r"\pm ", "⁄": "/", "∕": "/"},
        **{"π": r"\pi ", "θ": r"\theta ", "∞": r"\infty ", "°": r"^\circ ", "º": r"^\circ ", "％": "%"},
        **{"≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "≈": r"\approx "},
        **{"∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset "},
    }
)
_LAYOUT = re.compile(
    r"\\(?:left|right|[bB]igg?[lr]?|displaystyle|textstyle|limits|qquad|quad)(?![a-zA-Z])"
    r"|(?<!\\)\\[!,;: ()\[\]$]|[~$€£]"
)
_SYNONYMS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"√\s*([0-9]+(?:\.[0-9]+)?|[a-zA-Z])", r"\\sqrt{\1}"),
        (r"√", r"\\sqrt "),
        (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
        (r"\\(?:text(?:normal|bf|it|rm|sf|tt)|math(?:rm|bf|it|sf)|[mhf]box)\s*(?=\{)", r"\\text"),
        (r"\\text\{\s*,?\s*(and|or)\s*\}", r" \1 "),
        (r"\\operatorname\{\s*a(?:rc)?(sin|cos|tan)\s*\}", r"\\arc\1"),
        (r"\\lbrace(?![a-zA-Z])", r"\\{"),
        (r"\\rbrace(?![a-zA-Z])", r"\\}"),
        (r"\\(le|ge)q(?:slant)?(?![a-zA-Z])", r"\\\1"),
        (r"\\neq(?![a-zA-Z])", r"\\ne"),
        (r"\\varnothing(?![a-zA-Z])", r"\\emptyset"),
        (r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-zA-Z])|\{?\s*\\degree\s*\}?)|\\degree(?![a-zA-Z])", r"^\\circ "),
        (r"\s*\\?%|\s*\\text\{\s*(?:percent|pct)\s*\}|\s*\b(?:percent|pct)\b", r"\\%"),
        (r"\{\s*,\s*\}", ","),
        (r"(?<![a-zA-Z\\])(?:oo|inf|infinity)(?![a-zA-Z])", r"\\infty "),
        (r"(?<![a-zA-Z\\{])((?:arc)?(?:sin|cos|tan)|ln|log|exp|sqrt|pi|theta)(?![a-zA-Z])", r"\\\1 "),
        (r"<=", r"\\le "),
        (r">=", r"\\ge "),
        (r"!=", r"\\ne "),
        (r"(?<=[a-zA-Z]) in (?=[\[({])", r" \\in "),
        (r"(?<=[)\]])\s*U\s*(?=[(\[])", r"\\cup "),
    )
)
_GROUPED = re.compile(r"[^0-9,()\[\]{}]*[0-9]{1,3}(?:(?:,[0-9]{3})+|(?: [0-9]{3})+)(?:\.[0-9]+)?[^0-9,()\[\]]*")
_PADDED_GROUP = re.compile(r",\s*\\!\s*(?=[0-9]{3})")
_END = re.compile(r"[\s.,;:]+$")
_TAKES_ARGUMENTS = re.compile(r"\\(?:frac|sqrt)(?![a-zA-Z])")
_BARE_ARGUMENT = re.compile(r"\\[a-zA-Z]+|[0-9a-zA-Z]")
_ROOT_DEGREE = re.compile(r"\s*\[[^\[\]]*\]")
_CLOSING = {"{": "}", "(": ")"}

_TEXT_UNIT = re.compile(r"\s*\\text\{([^{}]*)\}\s*(?:\^\s*\{?\s*[0-9]\s*\}?)?$")
_WORD_UNIT = re.compile(
    r"(?:(?<=[0-9})\]%])(?:\s+|(?=(?:[cmk]m|kg|deg)\b))(?!hundred|thousand|[mbtr]+illion)|(?<=illion|ousand|undred)\s+)"
    r"((?:[a-zA-Z]{2,}|[mgshL]|[ap]\.m)\b[a-z A-Z./-]*)(?:\^\{?[0-9]\}?)?$"
)
_NOT_UNITS = frozenset(
    "and or if when where for mod base cup cap sin cos tan cot csc log ln exp sqrt pi infinity "
    "hundred thousand million billion trillion".split()
)
_DEGREES = re.compile(r"\s*\^\\circ\s*[CF]?$")


def tidy(text: str) -> str:
    r"""The same text without delimiters, thousands separators and layout; every `\frac` and `\sqrt` gets its braces."""
    text = _PADDED_GROUP.sub(",", text.translate(_SYMBOLS))
    text = _LAYOUT.sub(" ", text)
    for pattern, replacement in _SYNONYMS:
        text = pattern.sub(replacement, text)
    text = _END.sub("", text)
    if _GROUPED.fullmatch(text):
        text = re.sub(r"(?<=[0-9])[, ](?=[0-9]{3})", "", text)
    return re.sub(r"\s+", " ", _with_braces(text)).strip()


def fingerprint(text: str) -> str:
    """A tidy text without insignificant spaces and braces, for comparing two of them as strings."""
    text = re.sub(r"(?<![0-9]) +| +(?![0-9])", "", text)
    return re.sub(r"([\^_])\{(\w)\}", r"\1\2", text)


def without_unit(text: str) -> str:
    r"""A tidy text without a closing unit: `5 \text{ cm}^2`, `5 square feet` and `5^\circ` become `5`."""
    for unit in (_TEXT_UNIT, _WORD_UNIT, _DEGREES):
        found = unit.search(text)
        if found is None or (found.re.groups and not _NOT_UNITS.isdisjoint(found[1].split())):
            continue
        rest = text[: found.start()].strip()
        if rest and rest[-1] not in "+-*/=^_(,\\":
            text = rest
    return text


def is_group(text: str, brackets: str) -> bool:
    r"""Whether `text` is one group in `brackets`, such as `()` or `\{\}`, with a comma inside."""
    half = len(brackets) // 2
    text = text.strip()
    if not (text.startswith(brackets[:half]) and text.endswith(brackets[half:])):
        return False
    depths = _comma_depths(text[half:-half])
    return depths is not None and 0 in depths


def is_list(text: str) -> bool:
    """Whether `text` has a comma outside of all brackets, and its brackets match."""
    depths = _comma_depths(text)
    return depths is not None and 0 in depths


def _comma_depths(text: str) -> set[int] | None:
    """In how many brackets the commas stand. None: a bracket closes that was not opened."""
    depth, found = 0, set()
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            return None
        if character == ",":
            found.add(depth)
    return found


def _with_braces(text: str) -> str:
    r"""Braces for every argument of `\frac` and `\sqrt`; from right to left, so that inner ones come first."""
    for found in reversed(list(_TAKES_ARGUMENTS.finditer(text))):
        position = found.end()
        is_fraction = found[0] == r"\frac"
        if not is_fraction and (degree := _ROOT_DEGREE.match(text, position)):
            position = degree.end()
        for _ in range(2 if is_fraction else 1):
            text = text[:position] + text[position:].lstrip()
            bare = _BARE_ARGUMENT.match(text, position)
            end = _closing(text, position)
            if bare is not None:
                text = f"{text[:position]}{{{bare[0]}}}{text[bare.end() :]}"
                end = position + len(bare[0]) + 1
            elif end is None:
                break
            elif text[position] == "(" and not is_fraction:
                text = f"{text[:position]}{{{text[position + 1 : end]}}}{text[end + 1 :]}"
            position = end + 1
    return text


def _closing(text: str, start: int) -> int | None:
    """Position of the bracket that closes the one at `start`. None: there is none, or it stays open."""
    opening = text[start : start + 1]
    if opening not in _CLOSING:
        return None
    depth = 0
    for position in range(start, len(text)):
        depth += (text[position] == opening) - (text[position] == _CLOSING[opening])
        if depth == 0:
            return position
    return None
