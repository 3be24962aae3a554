"""How sure one can be of an accuracy, and of a difference between two.

Questions are the unit everywhere: several samples of one question are not independent. Not covered: the spread
between trainings; an interval says nothing about another seed of the same student.
Sources: Efron 1979 (bootstrap); McNemar 1947, in its exact form; Chen et al. 2021 (arXiv 2107.03374), section 2.1, for
pass@k; Wang et al. 2022 (arXiv 2203.11171) for the majority vote.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb

CONFIDENCE = 0.95
RESAMPLES = 9_999
SEED = 0
BATCH_NUMBERS = 2_000_000
"""Numbers that are drawn at once."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over questions."""

    value: float
    low: float | None
    """Lower end of the 95 % interval. None: the sample shows no spread to make one from."""
    high: float | None


def estimate_share(values: Sequence[float]) -> Estimate:
    """Mean of at least one value in [0, 1], with the percentile interval of 9,999 seeded resamples.

    Where all values are 0, or all are 1, resampling shows no spread, which is no proof that there is none: there the
    exact binomial interval (Clopper and Pearson 1934) stands in.
    """
    from scipy.stats import binomtest

    if min(values) == max(values) and values[0] in (0, 1):
        found = binomtest(round(sum(values)), len(values)).proportion_ci(CONFIDENCE, method="exact")
        return Estimate(float(values[0]), float(found.low), float(found.high))
    return estimate_difference(values)


def estimate_difference(values: Sequence[float]) -> Estimate:
    """Mean of paired differences, with the same interval; none where all are equal."""
    import numpy as np
    from scipy.stats import bootstrap

    value = sum(values) / len(values)
    if min(values) == max(values):
        return Estimate(value, None, None)
    found = bootstrap(
        (np.asarray(values, dtype=float),),
        np.mean,
        n_resamples=RESAMPLES,
        batch=max(1, BATCH_NUMBERS // len(values)),
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return Estimate(value, float(found.low), float(found.high))


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p of McNemar's test from the numbers of discordant pairs; 1 if there are none."""
    from scipy.stats import binomtest

    pairs = only_first + only_second
    return float(binomtest(only_first, pairs, 0.5).pvalue) if pairs else 1.0


def pass_at_k(samples: int, right: int, k: int) -> float:
    """Share of the choices of `k` among `samples` that hold at least one of the `right` ones: unbiased.

    Raises:
        ValueError: `k` is below 1 or above `samples`, or `right` is not between 0 and `samples`.
    """
    if not (1 <= k <= samples and 0 <= right <= samples):
        raise ValueError(f"expected 1 <= k <= samples and right <= samples, got {k=}, {samples=}, {right=}")
    return 1 - comb(samples - right, k) / comb(samples, k)


def majority(answers: Sequence[str | None], same: Callable[[str, str], bool]) -> int | None:
    """Position of the answer that most agree with: the earliest of the largest group, and of equal groups the earlier.

    An answer joins the first group whose earliest answer it is the `same` as (later, earlier). None and white space
    do not vote. None: nobody voted.
    """
    groups: list[list[int]] = []
    for position, answer in enumerate(answers):
        if answer is None or not answer.strip():
            continue
        for group in groups:
            if same(answer, answers[group[0]] or ""):
                group.append(position)
                break
        else:
            groups.append([position])
    return max(groups, key=len)[0] if groups else None
