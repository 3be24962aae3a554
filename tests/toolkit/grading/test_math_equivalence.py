"""Which answers are equal, as one table: spelling, numbers, words, bases, Python notation, sets and points."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.grading.equivalence import equivalent

RIGHT = [
    # delimiters and spelling
    (r"$\frac{5}{12}$", r"\frac{5}{12}"),
    (r"\boxed{\dfrac5{12}}", r"\frac{5}{12}"),
    (r"\[ \tfrac{5}{12} \]", r"\frac5{12}"),
    (r"\( 7\sqrt 3 \)", r"7\sqrt{3}"),
    (r"\left( 4,\, \frac{\pi}{3} \right)", r"(4,\frac\pi3)"),
    (r"7 \cdot \sqrt{3}", r"7\sqrt3"),
    ("7√3", r"7\sqrt{3}"),
    ("−¾", r"-\frac{3}{4}"),
    ("2π/5", r"\frac{2\pi}{5}"),
    # where the answer stands
    ("The answer is 12.", "12"),
    ("We add both.\n\nThe answer is $x = 12$. That is all.", "12"),
    (r"Final Answer: The final answer is $\boxed{-\frac{\pi}{6}}$. I hope it is correct.", r"-\frac{\pi}{6}"),
    (r"Either \boxed{3} or \boxed{-5}.", "-5, 3"),
    ("**Answer:** 12", "12"),
    ("#### 12", "12"),
    ("So Nora has 1,250 stamps left.", "1250"),
    (r"Hence the area must equal $\frac{9}{2}$ in total.", "4.5"),
    ("a remark without an answer " * 200 + "The answer is 12", "12"),
    # numbers
    ("13,138,980", "13138980.0"),
    (r"11,\!111,\!100", "11111100"),
    ("1 250 000", "1,250,000"),
    ("007", "7"),
    ("4.6666666666666667", r"\frac{14}{3}"),
    ("0.333333", "1/3"),
    ("183931.47", "183931.4666666667"),
    ("561161.7", "561161.7000000001"),
    ("0.6", "3/5"),
    (r"6.72 \times 10^{-5}", ".0000672"),
    ("6.72e-05", ".0000672"),
    ("3.5087719e-07", "3.509e-07"),  # a gold answer that was rounded to ten places
    ("9/4", r"2\frac{1}{4}"),
    ("2 1/4", "2.25"),
    ("2.5 million", "2,500,000"),
    ("40", r"40\%"),
    ("0.4", r"40\%"),
    ("40 percent", r"40\%"),
    ("2^{10}", "1024"),
    ("2**2020", "2^{2020}"),
    # units, money, degrees
    ("5", r"5 \text{ cm}^2"),
    ("5 square feet", "5"),
    ("$18.90", r"\$18.9"),
    ("18.90 dollars", r"\$18.90"),
    ("72 degrees", r"72^\circ"),
    ("72", r"72^{\circ}"),
    ("8:34", r"8\!:\!34 \text{ p.m.}"),
    # words and choices
    ("nadia", r"\text{Nadia}"),
    (r"\mathrm{even}", r"\text{even}"),
    ("(B)", r"\text{B}"),
    ("B. forty", r"\text{(B)}"),
    ("C, A", r"\text{A,C}"),
    ("['D', 'E']", "D, E"),
    # bases
    ("201_5", "201_{5}"),
    ("201", "201_5"),
    ("201 (base 5)", "201_5"),
    ("B7_12", r"\text{B7}_{12}"),
    # expressions
    ("-q + p", "p - q"),
    ("(x-3)(x+3)", "x^2-9"),
    (r"\frac{\cos x}{\sin x}", r"\cot x"),
    ("(1+2i)^2", "-3+4i"),
    ("2(3)", "6"),
    # equations and relations
    ("4", "x=4"),
    ("k = 4", "4"),
    ("2x+3", "y = 2x + 3"),
    ("2x - 4y + 6z = 8", "x-2y+3z-4=0"),
    (r"\frac{10}{2} = 5", "5"),
    # sets, intervals, points, matrices
    ("7, 3 and 5", "3,5,7"),
    (r"\{-2, 1\}", "1,-2"),
    (r"1+\sqrt{7}, 1-\sqrt{7}", r"1 \pm \sqrt{7}"),
    ("(-oo, 2) U (3, oo)", r"(-\infty,2)\cup(3,\infty)"),
    ("x > 2", r"(2,\infty)"),
    ("[-2, 7]", r"x \in [-2,7]"),
    ("(0.5, -3)", r"\left(\frac{1}{2},-3\right)"),
    ("5, 1", "(5,1)"),
    (r"\begin{bmatrix} 1 \\ 0.5 \end{bmatrix}", r"\begin{pmatrix} 1 \\ \frac12 \end{pmatrix}"),
    # Python and sympy
    ("7*sqrt(3)", r"7\sqrt{3}"),
    ("12.124355652982141", r"7\sqrt{3}"),
    ("Fraction(14, 3)", r"\frac{14}{3}"),
    ("(6-5j)", "6 - 5i"),
    ("log(2)", r"\ln 2"),
    ("[3, 5, 7]", "7, 5, 3"),
    ("{1, -2}", "1,-2"),
    ("(1, -2)", "1,-2"),
    ("[np.int64(1), np.int64(-2)]", "1,-2"),
    ("Union(Interval.open(0, 9), Interval.Ropen(9, 36))", r"(0,9)\cup[9,36)"),
    ("Matrix([[1], [2]])", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
    ("[1, 2]", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
    ("{x: 4}", "4"),
    ("x**2 - 9", "(x-3)(x+3)"),
]

WRONG = [
    ("6", "5"),
    ("-5", "5"),
    ("", "5"),
    ("$$", "5"),
    (r"\boxed{}", "5"),
    ("13138981", "13138980.0"),
    ("13138980.4", "13138980.0"),
    ("183931", "183931.4666666667"),
    ("0.33", r"\frac13"),
    ("3.14", r"\pi"),
    ("0", "3.509e-07"),
    ("7e-07", "3.509e-07"),
    ("1", "1,000"),
    ("12", "1, 2"),
    ("81256", "81, 256"),
    ("3 5", "35"),
    ("3 5", "8"),
    ("4", r"40\%"),
    ("5", r"5 \text{ million}"),
    ("2^{2020}+1", "2^{2020}"),
    ("Nadia Smith", r"\text{Nadia}"),
    ("odd", r"\text{even}"),
    ("B", r"\text{(A)}"),
    ("A, B", r"\text{A,B,C}"),
    ("I do not know", "5"),
    ("5 apples and 7 pears", "7"),
    ("201_6", "201_5"),
    ("51", "201_5"),
    ("q - p", "p - q"),
    ("3", "3t"),
    ("2", "2k"),
    ("5x", "5"),
    ("x+1", "y+1"),
    ("y=4", "x=4"),
    ("0", "x-2y+3z-4=0"),
    ("x-2y+3z-4=0", "0"),
    ("x-2y+3z-5=0", "x-2y+3z-4=0"),
    ("3-4i", "3+4i"),
    ("1", "1,-2"),
    ("1,2", "1,-2"),
    ("1,-2,3", "1,-2"),
    ("(1, 5)", "(5,1)"),
    ("1, 5", "(5,1)"),
    ("{1, 5}", "(1,5)"),
    ("[3,4]", "(3,4)"),
    ("(3,4]", "(3,4)"),
    ("x >= 2", r"(2,\infty)"),
    ("(0,36)", r"(0,9)\cup(9,36)"),
    (r"\begin{pmatrix} 2 \\ 1 \end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
    (r"\begin{pmatrix} 1 & 2 \end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
    (r"2\sqrt{3}", r"7\sqrt{3}"),
    ("oo", r"-\infty"),
    (r"\frac{1}{0}", "5"),
    (r"\frac{", "5"),
    ("1e999999999", "5"),
    ("the", "5"),
]


@pytest.mark.parametrize(("prediction", "answer"), RIGHT)
def test_an_equal_answer_is_right(prediction: str, answer: str) -> None:
    assert equivalent(prediction, [answer])


@pytest.mark.parametrize(("prediction", "answer"), WRONG)
def test_a_different_answer_is_wrong(prediction: str, answer: str) -> None:
    assert not equivalent(prediction, [answer])


FRAMES = ["{}", "${}$", r"\boxed{{{}}}", "The answer is {}.", "Thus it is so. The answer is ${}$", r"\[{}\]"]


@pytest.mark.parametrize("answer", sorted({answer for _, answer in RIGHT + WRONG}))
def test_a_gold_answer_is_right_against_itself_in_every_frame(answer: str) -> None:
    assert [frame for frame in FRAMES if not equivalent(frame.format(answer), [answer])] == []


def test_any_alias_makes_an_answer_right() -> None:
    assert equivalent("0.5", ["7", r"\frac{1}{2}"])
    assert not equivalent("0.5", ["7", "8"])


def test_prediction_and_gold_answer_are_not_interchangeable() -> None:
    assert equivalent("3, 4", ["(3,4)"])
    assert not equivalent("4, 3", ["(3,4)"])
    assert equivalent("(4,3)", ["3, 4"])


def test_only_the_end_of_a_long_prediction_is_read() -> None:
    assert not equivalent("The answer is 12." + " and so on" * 300, ["12"])


@given(st.integers(-(10**20), 10**20))
def test_integers_are_equal_only_to_themselves(number: int) -> None:
    spellings = [f"{number}", f"{number:,}", f"${number}$", rf"\boxed{{{number}}}", f"{number}.0"]
    assert all(equivalent(spelling, [str(number)]) for spelling in spellings)
    assert not any(equivalent(str(number + step), [str(number)]) for step in (1, -1, 10))


@given(st.integers(-999, 999), st.integers(1, 999), st.integers(-999, 999), st.integers(1, 999))
def test_fractions_are_equal_exactly_when_their_cross_products_are(a: int, b: int, c: int, d: int) -> None:
    assert equivalent(f"{a}/{b}", [rf"\frac{{{c}}}{{{d}}}"]) is (a * d == b * c)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(-99, 99), min_size=2, max_size=5, unique=True))
def test_the_order_of_a_list_of_solutions_does_not_matter(numbers: list[int]) -> None:
    answer = ", ".join(map(str, numbers))
    assert equivalent(str(sorted(numbers)), [answer])
    assert not equivalent(str(sorted(numbers)[1:]), [answer])


PAYLOADS = [
    "__import__('os').system('touch {}')",
    r"\text{{__import__('os').system('touch {}')}}",
    r"\operatorname{{__import__('os').system}}('touch {}')",
    r"x_{{__import__('os').system('touch {}')}}",
    r"\variable{{__import__('os').system('touch {}')}}",
    r"\frac{{open('{}','w')}}{{2}}",
    "[open('{}','w') for _ in '1']",
    "5 + open('{}','w').fileno()",
    "The answer is open('{}','w') or so, I think",
    r"\begin{{pmatrix}} open('{}','w') \\ 2 \end{{pmatrix}}",
]
AUDIT = r"""
import json, sys
from toolkit.grading.equivalence import equivalent

payloads, ran = json.loads(sys.argv[1]), []
gold = ["5", "x+1", r"\sqrt{2}", "(1,2)", "x=3", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", "1,2"]
for answer in gold:
    equivalent("y+2", [answer])

def hook(event, arguments):
    if event == "exec" and {"open", "system", "__import__"} & set(arguments[0].co_names):
        ran.append(arguments[0].co_names)
    if event in ("os.system", "subprocess.Popen"):
        ran.append(event)

sys.addaudithook(hook)
for payload in payloads:
    equivalent(payload, gold)
    equivalent("5", [payload])
print(ran)
"""


def test_no_answer_is_ever_run_as_python(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    payloads = [payload.format(canary) for payload in PAYLOADS]
    run = subprocess.run(
        [sys.executable, "-c", AUDIT, json.dumps(payloads)], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"
    assert not canary.exists()
