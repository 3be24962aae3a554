"""The fields of one record of a question file: question, gold answers, id, domain.

Answers are text. A number becomes the text that a person would write: `13138980.0` is `13138980`,
`561161.7000000001` is `561161.7` (15 significant digits, all that a double guarantees), and there are
no exponents. Invariant: what a field cannot mean for certain is an error that says how to write it.
Not covered: whether an answer is right.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import get_args

from schemas import Domain
from toolkit.errors import RecordError
from toolkit.formats.json_values import decode, describe

DOMAINS: tuple[Domain, ...] = get_args(Domain)
ANSWER_FIELDS = ("answer", "answers", "answer_aliases", "aliases")
ID_FIELDS = ("id", "_id")

_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?")

Record = dict[str, object]


def question_of(record: Record) -> str:
    """The question, without surrounding white space.

    Raises:
        RecordError: there is none, or it is not text.
    """
    question = record.get("question")
    if isinstance(question, str) and question.strip():
        return question.strip()
    if question is None and "question" not in record:
        raise RecordError(f'"question" is missing; every task needs one, came {describe(record)}')
    raise RecordError(f'expected "question" to be text, came {describe(question)}')


def answers_of(record: Record) -> list[str]:
    """The gold answer, then its aliases, each once; empty if there is none.

    `answer` and `answers` hold a text, a number or a list of them, `answers` also what SQuAD writes
    (`{"text": […]}`) or, as a cell of a CSV file, the JSON text of a list.

    Raises:
        RecordError: an answer is something else.
    """
    answers = [answer for name in ANSWER_FIELDS for answer in _texts(record.get(name), name)]
    return list(dict.fromkeys(answers))


def answer_found(record: Record) -> str:
    """What stands where the gold answer should, for a message."""
    for name in ANSWER_FIELDS[:2]:
        if name in record:
            return f'"{name}" is {describe(record[name])}'
    return '"answer" is missing'


def id_of(record: Record) -> str | None:
    """The set's own id of the question as text. None: it has none.

    Raises:
        RecordError: it is neither text nor a whole number.
    """
    for name in ID_FIELDS:
        value = record.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if value is not None and value != "":
            raise RecordError(f'expected "{name}" to be text or a whole number, came {describe(value)}')
    return None


def name_of(record: Record, *fields: str) -> str | None:
    """The first of `fields` that holds text. None: there is none."""
    for name in fields:
        value = record.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return None


def domain_of(record: Record) -> Domain | None:
    """The domain that the record states. None: it states none.

    Raises:
        RecordError: it is no domain of ours.
    """
    value = record.get("domain")
    for domain in DOMAINS:
        if value == domain:
            return domain
    if value is None:
        return None
    raise RecordError(
        f'expected "domain" to be {", ".join(DOMAINS[:-1])} or {DOMAINS[-1]}, came {describe(value)}; '
        "rename the field, or give one domain for all questions"
    )


def guessed_domain(answers: Sequence[str]) -> Domain:
    """`math` if there are answers and all are plain numbers, else `fact`.

    As words, 3.5 and 35 would be the same answer.
    """
    return "math" if answers and all(_NUMBER.fullmatch(answer) for answer in answers) else "fact"


def number_text(value: int | float) -> str:
    """A number as a person writes it.

    Raises:
        ValueError: `value` is not finite.
    """
    if isinstance(value, int) or value.is_integer():
        return str(int(value))
    return format(Decimal(f"{value:.15g}"), "f")


def _texts(value: object, name: str) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        text = value.strip()
        if name == "answers" and text.startswith("["):
            return _listed(decode(text), name)
        return [text] if text else []
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return [number_text(value)]
    if isinstance(value, dict) and isinstance(value.get("text"), list):
        value = value["text"]
    return _listed(value, name)


def _listed(value: object, name: str) -> list[str]:
    if not isinstance(value, list):
        hint = '; write "yes" or "no" in quotes' if isinstance(value, bool) else ""
        raise RecordError(f'expected "{name}" to be text, a number or a list of them, came {describe(value)}{hint}')
    nested = next((part for part in value if isinstance(part, (list, dict, bool)) or part is None), value)
    if nested is not value:
        raise RecordError(f'expected "{name}" to be a list of texts and numbers, came a list with {describe(nested)}')
    return [text for part in value for text in _texts(part, "")]
