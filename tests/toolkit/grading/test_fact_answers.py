import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import InputError
from toolkit.grading.answers import exact_match, grade_fact, normalize, token_f1

TEXTS = st.text(st.sampled_from("aAbBtThHeEnN 0159.,'-’é—\t\n") | st.characters(codec="utf-8"), max_size=40)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Quick, Brown Fox!", "quick brown fox"),
        ("  a   cat\tand\nan  owl ", "cat and owl"),
        ("anthem of theatre", "anthem of theatre"),
        ("U.S.A.", "usa"),
        ("rock-and-roll", "rockandroll"),
        ("Café Müller", "café müller"),
        ("“Imagine”", "“imagine”"),  # the official scripts remove ASCII punctuation only
        ("1914—1918", "1914—1918"),
        ("1914-1918", "19141918"),
        ("1,000", "1000"),
        ("3.5", "35"),  # so say the official scripts
        ("A", ""),
        ("a-n apple", "apple"),  # punctuation goes first, so that `a-n` becomes the article `an`
    ],
)
def test_normalization_is_that_of_the_official_script(text: str, expected: str) -> None:
    assert normalize(text) == expected


@pytest.mark.parametrize(
    ("prediction", "answer", "em", "f1"),
    [
        ("James Madison", "james madison", 1, 1),
        ("The Beatles", "Beatles", 1, 1),
        ("Coahuila, Mexico", "Coahuila Mexico", 1, 1),
        ("Mexico Coahuila", "Coahuila, Mexico", 0, 1),
        ("Mexico", "Coahuila, Mexico", 0, 2 / 3),
        ("in northern Mexico", "Mexico", 0, 1 / 2),
        ("Denver", "Boulder", 0, 0),
        ("the the cat cat", "cat", 0, 2 / 3),
        ("yes", "Yes.", 1, 1),
        ("yes", "no", 0, 0),
        ("yes it is", "yes", 0, 0),  # HotPotQA: no partial credit for yes, no and noanswer
        ("yes", "yes it is", 0, 0),
        ("no man", "no", 0, 0),
        ("noanswer", "noanswer", 1, 1),
        ("no one", "one", 0, 2 / 3),
        ("1,000", "1000", 1, 1),
        ("1000 people", "1,000", 0, 2 / 3),
        ("1984", "1985", 0, 0),
        ("cafe", "café", 0, 0),
        ("CAFÉ", "café", 1, 1),
        ("A", "a", 1, 1),
        ("A", "The", 0, 0),  # nothing is left of either: compared as they stand
        ("!!!", "!!!", 1, 1),
        ("???", "!!!", 0, 0),
        ("The Who", "Who", 1, 1),
        ("Richard Milhous Nixon", "President Richard Nixon", 0, 2 / 3),
        ("April 5 1940", "5 April 1940", 0, 1),
    ],
)
def test_metrics_of_a_pair(prediction: str, answer: str, em: float, f1: float) -> None:
    grade = grade_fact(prediction, [answer])
    assert grade.em == em
    assert grade.f1 == pytest.approx(f1)
    assert grade.correct is (em == 1)
    assert grade.reason is None


def test_the_best_alias_counts_for_each_metric_on_its_own() -> None:
    grade = grade_fact("NYC city", ["Big Apple", "New York City", "city of NYC"])
    assert (grade.em, grade.correct) == (0, False)
    assert grade.f1 == pytest.approx(4 / 5)
    assert grade_fact("nyc", ["New York City", "NYC"]).correct is True


@pytest.mark.parametrize("prediction", [None, "", " \n\t"])
def test_a_missing_answer_is_wrong_and_decided(prediction: str | None) -> None:
    grade = grade_fact(prediction, ["Denver"])
    assert (grade.correct, grade.em, grade.f1, grade.reason) == (False, 0, 0, None)


@pytest.mark.parametrize("answers", [[], [""], ["  "]])
def test_a_question_without_gold_answer_is_refused(answers: list[str]) -> None:
    with pytest.raises(InputError, match="at least one gold answer"):
        grade_fact("Denver", answers)


def test_one_text_in_place_of_a_list_is_refused() -> None:
    with pytest.raises(InputError, match="wrap it in a list"):
        grade_fact("D", "Denver")


def test_blank_aliases_do_not_count() -> None:
    assert grade_fact("Denver", ["", "Denver"]).correct is True


@given(TEXTS, TEXTS)
def test_an_exact_match_has_full_f1(prediction: str, answer: str) -> None:
    assert exact_match(prediction, answer) <= token_f1(prediction, answer) <= 1


@given(TEXTS, TEXTS)
def test_f1_is_symmetric(prediction: str, answer: str) -> None:
    assert token_f1(prediction, answer) == token_f1(answer, prediction)


@given(TEXTS.filter(str.strip))
def test_every_answer_is_right_against_itself(text: str) -> None:
    grade = grade_fact(text, [text])
    assert (grade.correct, grade.em, grade.f1) == (True, 1, 1)


@given(st.text(string.ascii_letters, min_size=4, max_size=12), st.sampled_from(["the ", "A ", "'", '"', "  "]))
def test_articles_punctuation_and_space_change_nothing(word: str, prefix: str) -> None:
    assert grade_fact(f"{prefix}{word}.", [word]).correct is True
