"""What is known of published question sets: one name each, how answers are compared, the licence.

The same set goes by many names (`hotpotqa/hotpot_qa`, `hotpot_qa`); one name keeps task ids equal.
Not covered: which split a file holds. Licences are those of the copies we have seen documented;
an absent one is not known to us, not free.
"""

from __future__ import annotations

from dataclasses import dataclass

from schemas import Domain


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """A published question set."""

    name: str
    domain: Domain
    license: str | None = None
    """SPDX name. None: not known."""


_SETS = {
    QuestionSet("hotpotqa", "fact", "CC-BY-SA-4.0"): ("hotpotqa/hotpot_qa", "hotpot_qa", "hotpot"),
    QuestionSet("musique", "fact", "CC-BY-4.0"): ("dgslibisey/musique", "musique_ans", "musique_full"),
    QuestionSet("2wikimultihopqa", "fact", "Apache-2.0"): ("2wiki", "2wikimultihop"),
    QuestionSet("bamboogle", "fact"): ("chiayewken/bamboogle",),
    QuestionSet("math", "math"): (
        "hendrycks/competition_math",
        "math_500",
        "math-500",
        "math_1000",
        "math_medium_1000",
    ),
    QuestionSet("gsm-hard", "math"): ("reasoning-machines/gsm-hard", "gsm_hard"),
    QuestionSet("aime", "math"): (),
    QuestionSet("olymmath", "math"): ("olymath", "rucaibox/olymmath"),
}
_BY_NAME = {name: known for known, others in _SETS.items() for name in (known.name, *others)}


def known_set(name: str) -> QuestionSet | None:
    """The set that goes by `name`, whatever its case. None: we know none of that name."""
    return _BY_NAME.get(name.strip().lower())
