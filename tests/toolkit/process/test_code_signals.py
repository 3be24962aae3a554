"""Signals that read Python: idle code and hard-coded answers, positive and negative cases of each."""

from __future__ import annotations

import pytest
from judged_episodes import call, code, episode, faulted, finish, said, search

LIFT = "How many people can the two lifts of the Tarvel tower carry in 7 trips, 19 and 23 a trip?"


@pytest.mark.parametrize(
    "idle",
    [
        "",
        "# I think that I know this.",
        "pass",
        'print("The capital is Tarvel.")',
        'answer = "Tarvel"\nprint(answer)',
        'answer = "Tarvel"\nprint(f"Answer: {answer}")',
        "import math",
        "def area(r):\n    return 3 * r * r",
        "lengths = [1, -2, {'a': (3, 4)}]",
    ],
)
def test_code_that_computes_nothing_is_idle(idle: str) -> None:
    judged = episode("q", code(idle, "out"), code("final_answer(6 * 7)"), answer="42")
    assert faulted("idle_code", judged) == [0]
    assert said("idle_code", judged)[0].value == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("print(6 * 7)", "final_answer(6 * 7)"),
        ("print(search('Tarvel'))", "final_answer(6 * 7)"),
        ("import math", "final_answer(math.sqrt(9))"),
        ("import os.path", "final_answer(os.path.join('a', 'b'))"),
        ("from math import *", "final_answer(sqrt(9))"),
        ("def area(r):\n    return 3 * r * r", "final_answer(area(2))"),
        ("rate = 12", "print(rate * 3)\nfinal_answer(rate * 3)"),
        ("rate = 12", "final_answer(rate * 3"),
        ("for i in range(3):\n    print(i)", "final_answer(6 * 7)"),
        ("print(", "final_answer(6 * 7)"),
        ("rows.append(3)", "final_answer(6 * 7)"),
    ],
)
def test_code_that_computes_or_prepares_is_not_idle(first: str, second: str) -> None:
    judged = episode("q", code(first, "out"), code(second), answer="42")
    assert faulted("idle_code", judged) == []
    assert said("idle_code", judged)[0].passed is True


def test_showing_what_an_earlier_step_computed_is_not_idle() -> None:
    judged = episode("q", code("x = 6 * 7"), code("print(x)", "42"), code("final_answer(x)"), answer="42")
    assert faulted("idle_code", judged) == []


def test_the_final_step_is_never_idle() -> None:
    assert said("idle_code", episode("q", code("final_answer('Tarvel')"), answer="Tarvel"))[0].passed is True


@pytest.mark.parametrize("signal", ["idle_code", "hard_coded"])
def test_code_signals_do_not_apply_to_other_actions(signal: str) -> None:
    whole, steps = said(signal, episode("q", search("a", "b"), finish("Tarvel"), answer="Tarvel"))
    assert (whole.value, whole.passed, steps) == (None, None, {})
    assert "not_applicable" in whole.details


@pytest.mark.parametrize(
    "steps",
    [
        [code("final_answer(294)")],
        [code("answer = 294\nfinal_answer(answer)")],
        [code("answer = 294"), code("final_answer(answer)")],
        [code("print(6 * 7)", "42"), code("final_answer(294)")],
        [code("print('so it is 294')", "so it is 294"), code("final_answer(294)")],
        [code("answer = 294\nprint(f'It is {answer}')", "It is 294"), code("final_answer(answer=294)")],
        [code("final_answer('Lake Tamber')")],
    ],
)
def test_an_answer_written_down_from_nowhere_is_hard_coded(steps: list) -> None:  # type: ignore[type-arg]
    judged = episode(LIFT, *steps, answer="294")
    last = len(steps) - 1
    assert faulted("hard_coded", judged) == [last]
    whole = said("hard_coded", judged)[0]
    assert (whole.value, whole.passed, whole.details["step"]) == (1, False, last)


@pytest.mark.parametrize(
    "steps",
    [
        [code("final_answer(7 * (19 + 23))")],
        [code("total = 7 * (19 + 23)\nfinal_answer(total)")],
        [code("print(7 * (19 + 23))", "294"), code("final_answer(294)")],
        [code("print(7 * (19 + 23) / 1.0)", "294.0"), code("final_answer(294)")],
        [code("print(883 / 3)", "294.3333333333333"), code("final_answer(294.33)")],
        [code("print(294000)", "..."), code("print(590 - 1)", "589"), code("final_answer(589)")],
        [code("print(search('lifts'))", "They carry 294 people."), code("final_answer(294)")],
        [code("final_answer(19)")],
        [code("final_answer('unknown')")],
        [code("final_answer(None)")],
        [code("best = 1\nfor n in (19, 23):\n    best = n\nfinal_answer(best)")],
    ],
)
def test_an_answer_that_was_computed_observed_or_asked_is_not_hard_coded(steps: list) -> None:  # type: ignore[type-arg]
    judged = episode(LIFT, *steps, answer="294")
    whole, by_step = said("hard_coded", judged)
    assert (whole.value, whole.passed, by_step) == (0, True, {})


def test_a_tool_result_that_was_not_printed_is_a_source() -> None:
    step = code("found = search('lake')", "")
    step.tool_calls = [call("lake", "The river ends in Lake Tamber.")]
    judged = episode("Where does it end?", step, code("final_answer('Lake Tamber')"), answer="Lake Tamber")
    assert said("hard_coded", judged)[0].passed is True


@pytest.mark.parametrize(
    ("literal", "observation"),
    [
        ("'yes'", "Tarvel"),
        ("'B'", "Tarvel"),
        ("'It is sqrt(2)/2.'", "sqrt(2)/2"),
        (r"r'\frac{\sqrt{2}}{2}'", "sqrt(2)/2"),
    ],
)
def test_literals_that_cannot_be_traced_are_undecided(literal: str, observation: str) -> None:
    judged = episode("Is it?", code("print(f(2))", observation), code(f"final_answer({literal})"), answer="x")
    whole, by_step = said("hard_coded", judged)
    assert (whole.value, whole.passed, by_step) == (None, None, {})
    assert "undecided" in whole.details
