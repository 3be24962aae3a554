"""What one action shows, and what it leaves to the next."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.sandbox import Outcome

Play = Callable[..., list[Outcome]]

LANGUAGE = {
    "generator": ("def g():\n    x = yield 1\n    yield x\ni = g()\n(next(i), i.send(5))", "(1, 5)"),
    "match": ("match [1, 2]:\n    case [a, b]:\n        r = a + b\nr", "3"),
    "nonlocal": (
        "def f():\n    n = 1\n    def g():\n        nonlocal n\n        n += 1\n    g()\n    return n\nf()",
        "2",
    ),
    "super": ("class A:\n    v = 1\nclass B(A):\n    def f(self):\n        return super().v\nB().f()", "1"),
    "property": ("class A:\n    @property\n    def p(self):\n        return 7\nA().p", "7"),
    "dataclass": (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\nP(3)",
        "P(x=3)",
    ),
    "comprehension in a class": ("class A:\n    t = [i for i in range(3)]\nA.t", "[0, 1, 2]"),
    "global": ("n = 1\ndef f():\n    global n\n    n += 1\nf()\nn", "2"),
    "walrus": ("[y := 3, y**2]", "[3, 9]"),
    "async": (
        "async def f():\n    return 4\ntry:\n    f().send(None)\nexcept StopIteration as e:\n    v = e.value\nv",
        "4",
    ),
    "exception group": (
        "try:\n    raise ExceptionGroup('g', [ValueError(1)])\nexcept* ValueError as e:\n    n = len(e.exceptions)\nn",
        "1",
    ),
    "large numbers": ("len(str(2 ** 20_000))", "6021"),
    "star import": ("from math import *\nround(pi, 2)", "3.14"),
    "eval of names": ("k = 5\neval('k + 1')", "6"),
}


def test_state_lasts_from_action_to_action(play: Play) -> None:
    *_, last = play("import math\nx = 20", "def f(n):\n    return n + x", "x = 21", "f(math.floor(0.5))")
    assert last.value == "21"


def test_the_last_expression_is_shown_as_an_interpreter_shows_it(play: Play) -> None:
    text, nothing, statement = play("print('a')\n'b'", "None", "x = 1")
    assert (text.stdout, text.value) == ("a\n", "'b'")
    assert nothing.value is statement.value is None


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("x = 4\n# what it is\nx  # four\n\n# so much\n", "4"),
        ("x = [1,\n2]\n(\nx +\n[3]\n)\n", "[1, 2, 3]"),
        ("x = '''a\nb'''\nx", "'a\\nb'"),
        ("x = '''a\nb'''", None),
        ("'''a\nb'''", "'a\\nb'"),
        ("x = 1 + \\\n2", None),
        ("x = 1; x", "1"),
        ("x = 1\n\\\nx", "1"),
        ("if True:\n    7\nelse:\n    8", None),
        ("x = 1\r\nx + 1", "2"),
        ("x = 1\rx + 1", "2"),
        ("*[1, 2], 3", "(1, 2, 3)"),
        ("'a doc'\n__doc__", "'a doc'"),
        ("1\nfor n in [2]: n", None),
    ],
)
def test_the_value_is_that_of_a_last_statement_that_is_an_expression(play: Play, code: str, value: str | None) -> None:
    (outcome,) = play(code)
    assert (outcome.error, outcome.value) == (None, value)


def test_an_error_in_the_last_expression_is_told_with_its_line(play: Play) -> None:
    first, second, third = play("x = 0\n\n1 / x", "x = 1\nx.y.\nz.", "x = 0\r\r\n1 / x")
    assert str(first.error).startswith("line 3: ZeroDivisionError")
    assert str(second.error).startswith("line 2: SyntaxError")
    assert str(third.error).startswith("line 3: ZeroDivisionError")


@pytest.mark.parametrize("name", LANGUAGE)
def test_the_whole_language_is_spoken(play: Play, name: str) -> None:
    code, expected = LANGUAGE[name]
    (outcome,) = play(code)
    assert (outcome.error, outcome.value) == (None, expected)


def test_what_was_done_before_an_exception_stays_done(play: Play) -> None:
    failed, after = play("x = 1\nprint('before')\nx / 0\nx = 2", "x")
    assert (failed.ok, failed.stdout, failed.error_kind) == (False, "before\n", "execution")
    assert after.value == "1"


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("final_answer('42')", "42"),
        ("final_answer(6 * 7)", "42"),
        ("final_answer(2.5)", "2.5"),
        ("final_answer(['a', 1])", "['a', 1]"),
        ("def solve():\n    final_answer('deep')\nsolve()", "deep"),
        ("try:\n    final_answer('caught')\nexcept:\n    print('on')\nraise ValueError", "caught"),
        ("final_answer = 3\ndel final_answer\nfinal_answer('own')", "own"),
    ],
)
def test_final_answer_ends_the_action_and_is_its_outcome(play: Play, code: str, answer: str) -> None:
    (outcome,) = play(code)
    assert (outcome.ok, outcome.is_final, outcome.final_answer) == (True, True, answer)


def test_nothing_runs_after_final_answer(play: Play) -> None:
    outcome, after = play("x = 1\ntry:\n    final_answer('done')\nexcept Exception:\n    x = 2\nx = 3", "x")
    assert (outcome.value, after.value, after.is_final) == (None, "1", False)


def test_names_of_tools_mean_the_tools_again_in_the_next_action(play: Play) -> None:
    *_, call, final = play(
        "shout = final_answer = 5", "shout('a')", "def final_answer(x):\n    return 0", "final_answer('b')"
    )[1:]
    assert (final.is_final, final.final_answer) == (True, "b")
    assert call.error is None
    assert play("shout = 5", "shout('a')")[1].value == "'A'"


@pytest.mark.parametrize("code", ["input('name? ')", "exit()", "breakpoint()"])
def test_what_waits_for_a_person_fails_at_once(play: Play, code: str) -> None:
    (outcome,) = play(code)
    assert outcome.error_kind == "execution"


def test_system_exit_ends_the_action_but_not_the_session(play: Play) -> None:
    ended, after = play("x = 4\nraise SystemExit(1)", "x")
    assert (ended.error_kind, after.value) == ("execution", "4")


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=60))
def test_printed_text_arrives_as_it_was_printed(play: Play, text: str) -> None:
    (outcome,) = play(f"print({text!r}, end='')")
    assert (outcome.stdout, outcome.stdout_cut_chars) == (text, 0)


def test_text_that_utf8_cannot_hold_arrives_with_question_marks(play: Play) -> None:
    (outcome,) = play("print('a\\ud800b')\nfinal_answer('\\udfff')")
    assert (outcome.stdout, outcome.final_answer) == ("a?b\n", "?")


def test_a_backslash_escape_in_printed_text_is_no_surrogate(play: Play) -> None:
    (outcome,) = play(r"print('\\ud800')")
    assert outcome.stdout == "\\ud800\n"


@pytest.mark.parametrize("code", ["x = '\0'", "x = '\ud800'", "(" * 300, "\t\n  x\n y"])
def test_text_that_is_no_code_is_an_error_of_the_code(play: Play, code: str) -> None:
    broken, after = play(code, "1 + 1")
    assert (broken.error_kind, after.value) == ("execution", "2")


def test_endless_recursion_is_told_in_a_few_lines(play: Play) -> None:
    outcome, after = play("def f(n):\n    return f(n + 1)\nf(0)", "1")
    assert outcome.error is not None
    assert "RecursionError" in outcome.error
    assert len(outcome.error.splitlines()) < 15
    assert after.ok


def test_numpy_and_sympy_are_at_hand(play: Play) -> None:
    pytest.importorskip("numpy", reason="numpy is not installed")
    pytest.importorskip("sympy", reason="sympy is not installed")
    array, roots = play(
        "import numpy as np\nfloat(np.linalg.det(np.eye(3)))", "from sympy import *\nsolve(Symbol('x')**2 - 2)"
    )
    assert (array.value, roots.value) == ("1.0", "[-sqrt(2), sqrt(2)]")
