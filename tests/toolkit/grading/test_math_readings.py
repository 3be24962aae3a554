"""The steps before the computer algebra system: extraction, spelling, numerals, words, Python notation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.grading.extraction import MAX_PREDICTION_CHARS, stated_answer
from toolkit.grading.notation import python_to_latex
from toolkit.grading.numerals import read_numeral, same_number
from toolkit.grading.spelling import fingerprint, is_group, is_list, tidy, without_unit
from toolkit.grading.wording import is_prose, is_words, only_number, same_digits, same_words

PIECES = [*"0123456789abixyz+-*/^_=,.;:()[]{}|<>!%$ ", r"\frac", r"\sqrt", r"\left", r"\text{", r"\boxed{", "answer is"]
LATEX = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)
HOSTILE = st.text() | st.lists(st.sampled_from([*PIECES, "\\"]), max_size=25).map("".join)


@pytest.mark.parametrize(
    ("prediction", "stated"),
    [
        ("12", "12"),
        (r"so \boxed{\frac{1}{2}}, as {hoped}", r"\frac{1}{2}"),
        (r"\boxed{1} is too small, but a closer look at the bounds gives \boxed{2}", "2"),
        (r"\boxed{3} and $\boxed{\text{no}}$", r"3, \text{no}"),
        (r"\fbox {7}", "7"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{unclosed", "unclosed"),
        ("The answer is 5. The answer is 6.", "6."),
        ("The final answer to the question is: $x = 5$", "x = 5"),
        ("The answers are 3 and 5.", "3 and 5."),
        ("**Answer:** (B)", "(B)"),
        ("work\n#### 1,250", "1,250"),
        ("answer: 3.5 metres. Then I checked it.", "3.5 metres"),
        (r"\( x \)", "x"),
        ("$$ x $$", "x"),
        ("$1$ or $2$", "$1$ or $2$"),
        ("'5'", "5"),
    ],
)
def test_the_stated_answer_is_found(prediction: str, stated: str) -> None:
    assert stated_answer(prediction) == stated


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (r"\left( 3,\ \dfrac\pi2 \right)", r"( 3, \frac{\pi}{2} )"),
        (r"\frac9{19}", r"\frac{9}{19}"),
        (r"\frac{\frac12}3", r"\frac{\frac{1}{2}}{3}"),
        (r"11\sqrt2", r"11\sqrt{2}"),
        (r"\sqrt[3] 5", r"\sqrt[3]{5}"),
        ("sqrt(2 + x)/3", r"\sqrt{2 + x}/3"),
        (r"11,\! 111,\! 100", "11111100"),
        ("1{,}250", "1250"),
        ("81, 256", "81, 256"),
        ("(1,234)", "(1,234)"),
        (r"\mathbf{east}", r"\text{east}"),
        ("30 percent", r"30\%"),
        ("x²", "x^{2}"),
        ("12.", "12"),
        (r"1 \\ 2", r"1 \\ 2"),
    ],
)
def test_spelling_is_made_uniform(text: str, clean: str) -> None:
    assert tidy(text) == clean


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        (r"5 \text{ cm}^2", "5"),
        (r"\frac{270}{7}\text{ degrees}", r"\frac{270}{7}"),
        ("5 square feet", "5"),
        ("5 km", "5"),
        ("5cm", "5"),
        (r"5^\circ", "5"),
        (r"\text{east}", r"\text{east}"),
        ("5x", "5x"),
        ("5 x", "5 x"),
        ("2 million", "2 million"),
        ("2 million people", "2 million"),
        ("201 base 5", "201 base 5"),
        (r"2 \sin x", r"2 \sin x"),
        ("3 and 5", "3 and 5"),
    ],
)
def test_only_closing_units_are_dropped(text: str, bare: str) -> None:
    assert without_unit(text) == bare


@given(LATEX)
def test_delimiters_do_not_change_the_fingerprint(text: str) -> None:
    plain = fingerprint(tidy(text))
    assert fingerprint(tidy(f"$ {text} $")) == plain
    assert fingerprint(tidy(f"  {text}\n")) == plain


@given(HOSTILE)
def test_every_step_takes_every_text(text: str) -> None:
    clean = tidy(stated_answer(text))
    assert len(without_unit(clean)) <= len(clean)
    assert len(stated_answer(text)) <= MAX_PREDICTION_CHARS
    assert python_to_latex(text) is None or isinstance(python_to_latex(text), str)
    assert same_words(clean, clean)
    assert same_digits(clean, clean) in (None, True)
    assert is_words(clean) in (True, False)
    assert not is_group(clean, "()") or is_list(clean[1:-1])
    number = read_numeral(clean)
    assert number is None or same_number(number, number)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9))
def test_decimals_are_read_exactly(number: object) -> None:
    found = read_numeral(str(number))
    assert found is not None
    assert found.value == number
    assert found.places == 4


@given(st.integers(1, 6_999).filter(lambda k: k % 7))
def test_a_float_may_be_rounded_to_six_digits_but_not_to_four(sevenths: int) -> None:
    gold, fine, coarse = (read_numeral(text.format(sevenths / 7)) for text in ("{!r}", "{:.6f}", "{:.1f}"))
    assert gold is not None
    assert fine is not None
    assert coarse is not None
    assert same_number(fine, gold)
    assert not same_number(coarse, gold)


@pytest.mark.parametrize(
    ("text", "lists_as", "latex"),
    [
        ("3*sqrt(13)", "set", r"3\cdot \sqrt{13}"),
        ("x**2 - (y - 1)", "set", "{x}^{2}-(y-1)"),
        ("-(a + b)/2", "set", r"\frac{-(a+b)}{2}"),
        ("[1, 2]", "set", r"\{1, 2\}"),
        ("[1, 2]", "interval", "[1, 2]"),
        ("(1, 2)", "vector", r"\begin{pmatrix}1 \\ 2\end{pmatrix}"),
        ("[[1, 2], [3, 4]]", "set", r"\begin{pmatrix}1 & 2 \\ 3 & 4\end{pmatrix}"),
        ("1, -2", "set", "1, -2"),
        ("sympy.Rational(1, 3)", "set", r"\frac{1}{3}"),
        ("1e-05", "set", r"1\cdot 10^{-5}"),
        ("Eq(x, 5)", "set", "x=5"),
        ("x <= 5", "set", r"x\le 5"),
        ("theta_1", "set", None),
        ("52_8", "set", None),
        ("1,250", "set", None),
        ("open('x')", "set", None),
        ("(lambda: 1)()", "set", None),
        ("[].__class__", "set", None),
        ("sqrt(open)", "set", None),
        ("x if y else z", "set", None),
        ("True", "set", None),
        ("1e999", "set", None),
        ("(" * 500, "set", None),
    ],
)
def test_python_notation_is_translated_whole_or_not_at_all(text: str, lists_as: str, latex: str | None) -> None:
    assert python_to_latex(text, lists_as=lists_as) == latex


def test_prose_is_told_from_formulas() -> None:
    assert is_prose("So Nora has 12 stamps")
    assert not is_prose(r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}")
    assert not is_prose(r"\sin x + \cos y")
    assert only_number("So Nora has 1,250 stamps") == "1,250"
    assert only_number("3 of 5 stamps") is None
