from itertools import combinations
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.evaluation_rows import Question, Sample
from pipelines.evaluation_statistics import estimate_difference, estimate_share, majority, mcnemar, pass_at_k
from pipelines.majority_votes import vote


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.data())
def test_pass_at_k_is_the_share_of_all_choices_that_hold_a_right_one(right: list[bool], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(right)))
    choices = list(combinations(right, k))
    assert pass_at_k(len(right), sum(right), k) == pytest.approx(sum(map(any, choices)) / len(choices))


@pytest.mark.parametrize(("samples", "right", "k"), [(3, 1, 4), (3, 1, 0), (3, 4, 1), (3, -1, 1)])
def test_pass_at_k_refuses_what_has_no_meaning(samples: int, right: int, k: int) -> None:
    with pytest.raises(ValueError, match="expected 1 <= k"):
        pass_at_k(samples, right, k)


def test_mcnemar_is_twice_the_binomial_tail_of_the_discordant_pairs() -> None:
    # 1 of 9 or more extreme, on both sides: 2 * (1 + 9) / 512.
    assert mcnemar(1, 8) == pytest.approx(2 * (comb(9, 0) + comb(9, 1)) / 2**9)
    assert mcnemar(8, 1) == mcnemar(1, 8)
    assert mcnemar(3, 3) == mcnemar(0, 0) == 1.0


def test_an_interval_holds_the_exact_quantiles_of_the_resampled_mean() -> None:
    # Of 4 questions 2 right: the resampled mean is binomial(4, ½) / 4, and P(0) = P(4) = 1/16 > 2.5 %.
    found = estimate_share([1.0, 0.0, 1.0, 0.0])
    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)
    # Of 100 questions 50: binomial(100, ½) has its 2.5 % and 97.5 % points at 40 and 60.
    found = estimate_share([1.0, 0.0] * 50)
    assert (found.low, found.high) == (pytest.approx(0.40), pytest.approx(0.60))


def test_intervals_are_the_same_every_time() -> None:
    values = [0.25, 0.5, 0.0, 1.0, 1.0, 0.75]
    assert estimate_share(values) == estimate_share(values)


def test_where_all_are_right_the_exact_interval_stands_in() -> None:
    found = estimate_share([1.0] * 10)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.025 ** (1 / 10))
    assert estimate_share([0.0] * 10).high == pytest.approx(1 - 0.025 ** (1 / 10))


def test_differences_without_spread_have_no_interval() -> None:
    found = estimate_difference([0.0, 0.0, 0.0])
    assert (found.value, found.low, found.high) == (0.0, None, None)


@pytest.mark.parametrize(
    ("answers", "winner"),
    [
        (["a", "b", "b"], 1),
        (["b", "a", "a", "b"], 0),
        (["c", "a", "b", "b", "a"], 1),
        ([None, " ", "x"], 2),
        ([None, None, "x", "y"], 2),
        ([None, ""], None),
        ([], None),
    ],
)
def test_the_majority_is_the_earliest_of_the_largest_group(answers: list[str | None], winner: int | None) -> None:
    assert majority(answers, lambda later, earlier: later == earlier) == winner


def question(task_id: str, domain: str, answers: list[str | None], right: str) -> Question:
    samples = [Sample(f"{task_id}-{place}", answer == right, answer) for place, answer in enumerate(answers)]
    return Question(task_id, "?", [right], domain, {}, samples)


def test_votes_are_counted_with_the_equality_of_grading() -> None:
    questions = [
        question("words", "fact", ["Bo Li", "the Ann!", "ann", "Bo Li?"], "Bo Li"),
        question("articles", "fact", ["Bo", "The Ann", "ann."], "The Ann"),
        question("mathematics", "math", ["0.25", r"\frac{1}{2}", "0.5", "1/2"], r"\frac{1}{2}"),
        question("spread", "math", ["1/4", "1/2", "0.5", "0.25"], "1/4"),
        question("silent", "math", [None, ""], "1"),
    ]
    assert vote(questions) == {"words": True, "articles": True, "mathematics": True, "spread": True, "silent": False}


def test_a_majority_that_is_wrong_beats_a_right_minority() -> None:
    assert vote([question("q", "fact", ["Bo", "Ann", "Ann"], "Bo")]) == {"q": False}
