"""What counts as the same outcome, and who wins."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.agent.vote import count_votes, elect, normalized, outcome_key
from toolkit.contracts import Outcome, ToolUse

WHOLE = st.integers(-(10**40), 10**40)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def printed(text: str) -> str | None:
    return outcome_key(Outcome(ok=True, stdout=text))


def answered(text: str) -> str | None:
    return outcome_key(Outcome(ok=True, is_final=True, final_answer=text))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3", "3.0"),
        ("3", "3.00"),
        ("1e3", "1000"),
        ("1E+03", "1000.0"),
        (".5", "0.50"),
        ("-0.0", "0"),
        ("[1. 2. 3.]", "[1 2 3]"),
        ("the answer is 3.0.", "The answer is 3"),
        (str(0.1 + 0.2), "0.3"),
        ("1.2345678901200001e+20", "123456789012000000000"),
        ("Tallinn\n", "  tallinn "),
        ("a  b\n\nc", "A b\tc"),
        ("Zu\u0308rich", "Z\u00fcrich"),
        ("STRASSE", "straße"),
        ("7 %", "7.0 %"),
    ],
)
def test_what_says_the_same_has_one_key(one: str, other: str) -> None:
    assert printed(one) == printed(other)
    assert answered(one) == answered(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3", "4"),
        ("3", "-3"),
        ("12345678901", "12345678902"),
        ("100000000000000000000000000000001", "100000000000000000000000000000002"),
        ("0.3", "0.3001"),
        ("1,000", "1,0"),
        ("007", "7"),
        ("1.2.3", "1.20.3"),
        ("v1.0", "v1.00"),
        ("3 4", "34"),
        ("1e99999", "1e99998"),
        ("", "0"),
    ],
)
def test_what_differs_has_two_keys(one: str, other: str) -> None:
    assert printed(one) != printed(other)
    assert answered(one) != answered(other)


def test_a_final_answer_is_the_same_with_or_without_full_stop() -> None:
    assert answered("Paris.") == answered("paris")


def test_printing_a_value_answering_it_and_ending_in_it_are_three_outcomes() -> None:
    outcomes = [
        Outcome(ok=True, stdout="5"),
        Outcome(ok=True, value="5"),
        Outcome(ok=True, is_final=True, final_answer="5"),
    ]
    assert len({outcome_key(outcome) for outcome in outcomes}) == 3


def test_text_that_was_not_kept_counts_too() -> None:
    assert outcome_key(Outcome(ok=True, stdout="5", stdout_cut_chars=2)) != printed("5")


def test_by_printed_text_alone_answers_do_not_count_and_spelling_does() -> None:
    five, seven = (Outcome(ok=True, stdout="done\n", is_final=True, final_answer=answer) for answer in "57")
    assert outcome_key(five, "stdout") == outcome_key(seven, "stdout")
    assert outcome_key(five) != outcome_key(seven)
    assert outcome_key(Outcome(ok=True, stdout="3"), "stdout") != outcome_key(Outcome(ok=True, stdout="3.0"), "stdout")


def test_what_failed_has_no_key() -> None:
    failed = Outcome(ok=False, stdout="5", error_kind="execution", error="ZeroDivisionError")
    assert (outcome_key(failed), outcome_key(failed, "stdout")) == (None, None)


def test_what_is_held_votes_for_its_calls() -> None:
    def held(text: str, to: object, *before: str) -> str | None:
        uses = tuple(ToolUse("look", {"word": word}, result=word) for word in before)
        call = ToolUse("send", {"text": text, "to": to})
        return outcome_key(Outcome(ok=False, held=call, tool_uses=uses))

    assert held("Hi  Bo", [1.0, None], "x") == held("hi bo", [1, None], "x")
    assert len({held("hi", [1], "x"), held("ho", [1], "x"), held("hi", [2], "x"), held("hi", [1])}) == 4


@given(WHOLE, st.integers(0, 5))
def test_whole_numbers_are_equal_however_many_zeros_follow_the_point(number: int, zeros: int) -> None:
    assert normalized(f"{number}.{'0' * zeros}") == normalized(str(number))
    assert Decimal(normalized(str(number))) == number


@given(WHOLE, WHOLE)
def test_different_whole_numbers_never_agree(one: int, other: int) -> None:
    assert (normalized(str(one)) == normalized(str(other))) == (one == other)


@given(st.floats(-1e14, 1e14, allow_subnormal=False))
def test_all_spellings_of_a_float_agree(number: float) -> None:
    spellings = [repr(number), repr(number).upper(), f"{number:.17e}", format(Decimal(repr(number)), "f")]
    assert len({normalized(text) for text in spellings}) == 1


@given(FLOATS.filter(lambda number: number != 0), st.integers(-3, 3))
def test_floats_that_agree_to_nine_digits_and_differ_in_the_eighth_are_told_apart(number: float, digit: int) -> None:
    text = f"{number:.8e}"
    mantissa, exponent = text.split("e")
    moved = f"{Decimal(mantissa) + digit * Decimal('1e-8')}e{exponent}"
    assert (normalized(text) == normalized(moved)) == (digit == 0)


@given(st.text(), st.text())
def test_keys_tell_printed_text_from_value(one: str, other: str) -> None:
    key = outcome_key(Outcome(ok=True, stdout=one, value=other))
    swapped = outcome_key(Outcome(ok=True, stdout=other, value=one))
    assert (key == swapped) == (normalized(one) == normalized(other))


@given(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=8))
def test_the_winner_is_the_earliest_of_the_largest_group(keys: list[str | None]) -> None:
    votes = count_votes(keys)
    won = elect(votes)
    assert votes == [sum(other == key for other in keys) if key else 0 for key in keys]
    assert all(count < votes[won] for count in votes[:won])
    assert max(votes) == votes[won]
