"""Whether an answer is right: words by exact match, mathematics by equivalence.

`answers` grades facts and defines `Grade`; `pool` grades mathematics in processes that can be
killed; `grader` sends each answer to the one that fits its domain. The steps of mathematical
equivalence are `extraction`, `spelling`, `notation`, `numerals`, `wording` and `equivalence`; only
the last one imports sympy, and only in the pool's processes.
"""

from toolkit.grading.answers import FACT_SCORER, MATH_SCORER

__all__ = ["FACT_SCORER", "MATH_SCORER"]
