"""Signals about steps of any dialect: errors, repetition, loops, thoughts that do not fit."""

from __future__ import annotations

import pytest
from judged_episodes import code, episode, faulted, finish, said, search

QUESTION = "Which lake does the river under the Ostrel Bridge end in?"


def test_an_error_with_a_later_success_is_recovered() -> None:
    judged = episode("q", code("prnt(1)", error="execution"), code("", error="parse"), code("final_answer(1 + 1)"))
    whole, steps = said("unrecovered_errors", judged)
    assert (whole.value, whole.passed, whole.details) == (0, True, {"failed": {"execution": 1, "parse": 1}})
    assert {index: (found.value, found.passed) for index, found in steps.items()} == {0: (2, True), 1: (1, True)}
    assert steps[0].details == {"kind": "execution", "error": "it failed", "recovered_at": 2}


def test_errors_at_the_end_are_not_recovered() -> None:
    judged = episode("q", code("print(1 + 1)"), code("prnt(1)", error="execution"), code("prnt(2)", error="timeout"))
    assert faulted("unrecovered_errors", judged) == [1, 2]
    assert said("unrecovered_errors", judged)[0].value == 2


def test_without_errors_there_is_nothing_to_recover() -> None:
    whole, steps = said("unrecovered_errors", episode("q", code("print(1 + 1)"), code("final_answer(2)")))
    assert (whole.value, whole.passed, steps) == (0, True, {})


def test_the_same_call_again_is_repeated_wherever_it_stands() -> None:
    judged = episode(QUESTION, search("a", "x"), search("b", "y"), search("a", "x"), search("a", "z"))
    assert faulted("repeated_calls", judged) == [2, 3]
    whole, steps = said("repeated_calls", judged)
    assert whole.value == 2
    assert steps[2].details == {"calls": [{"tool": "search", "arguments": '{"query":"a"}', "first_step": 0}]}


def test_a_call_that_failed_may_be_made_again() -> None:
    judged = episode(QUESTION, search("a", None), search("a", "x"))
    assert said("repeated_calls", judged)[0].passed is True


def test_other_arguments_are_another_call() -> None:
    judged = episode(QUESTION, search("a", "x"), search("A", "x"), search("a b", "x"))
    assert said("repeated_calls", judged)[0].passed is True


def test_calls_of_imported_code_are_read_from_the_code() -> None:
    again = code("print(web_search('Ostrel'))", "told")
    judged = episode(QUESTION, again, code("print(web_search(query))", "told"), again)
    assert faulted("repeated_calls", judged) == [2]


def test_functions_of_the_code_itself_are_no_tools() -> None:
    judged = episode(QUESTION, code("def find(n):\n    return n\nfind(3)"), code("find(3)"))
    assert said("repeated_calls", judged)[0].passed is True


@pytest.mark.parametrize(
    ("actions", "looping"),
    [
        ("AA", [1]),
        ("AAA", [1, 2]),
        ("ABAB", [2, 3]),
        ("ABCABC", [3, 4, 5]),
        ("XABABY", [3, 4]),
        ("ABCD", []),
        ("ABA", []),
        ("ABCAB", []),
        ("ABCDEABCDE", []),
    ],
)
def test_blocks_that_repeat_right_after_themselves_are_loops(actions: str, looping: list[int]) -> None:
    judged = episode("q", *(code(f"step({name!r})", f"seen {name}") for name in actions))
    assert faulted("loops", judged) == looping
    assert said("loops", judged)[0].value == len(looping)


def test_a_new_observation_ends_a_loop() -> None:
    judged = episode("q", code("poll()", "1 of 3"), code("poll()", "2 of 3"), code("poll()", "3 of 3"))
    assert said("loops", judged)[0].passed is True


def test_white_space_does_not_hide_a_loop() -> None:
    assert faulted("loops", episode("q", code("step(1)", "a\nb"), code("step(1)\n", "a  b"))) == [1]


def test_the_final_step_is_no_loop() -> None:
    judged = episode("q", code("final_answer(1)", "x"), code("final_answer(1)", "x"))
    assert said("loops", judged)[0].passed is True


@pytest.mark.parametrize(
    "thought",
    ["I need to find out where Ostrel lies.", "Let me check the Ostrel Bridge first.", "Search for 'Vennal' next."],
)
def test_a_search_for_something_else_than_announced_is_a_mismatch(thought: str) -> None:
    judged = episode(QUESTION, search("population of Kordun 1950", "9", thought=thought), finish("Kordun"))
    assert faulted("thought_mismatch", judged) == [0]
    assert "announced" in said("thought_mismatch", judged)[1][0].details


@pytest.mark.parametrize(
    ("thought", "query"),
    [
        ("I need to find out where Ostrel lies.", "Ostrel bridge"),
        ("I need to find the director of The Tamber Song.", "who directed Tamber Song"),
        ("I should look further.", "population of Kordun"),
        ("It is short, and so was the last one.", "population of Kordun"),
    ],
)
def test_a_search_that_shares_a_word_or_follows_no_announcement_is_none(thought: str, query: str) -> None:
    assert said("thought_mismatch", episode(QUESTION, search(query, "x", thought=thought)))[0].passed is True


def test_a_pronoun_may_stand_for_what_was_observed() -> None:
    first = search("Ostrel Bridge", "It spans the Vennal.")
    then = search("Vennal", "It ends in Lake Tamber.", thought="Now I search for where 'this river' ends.")
    assert said("thought_mismatch", episode(QUESTION, first, then))[0].passed is True


def test_another_sum_than_announced_is_a_mismatch() -> None:
    judged = episode("q", code("print(40 + 50)", "90", thought="I multiply 12 * 34."), code("final_answer(90)"))
    assert faulted("thought_mismatch", judged) == [0]


@pytest.mark.parametrize("text", ["print(12 * 34)", "print(34 + 12)", "print(multiply())", "print(len('ab') + 1)"])
def test_the_sum_that_was_announced_is_none(text: str) -> None:
    assert said("thought_mismatch", episode("q", code(text, thought="I multiply 12 * 34.")))[0].passed is True


def test_answers_without_actions_are_not_judged() -> None:
    judged = episode("q", code("final_answer(1)"))
    judged.trajectory.kind = "cot"
    for signal in ("unrecovered_errors", "loops", "grounded"):
        whole, steps = said(signal, judged)
        assert (whole.value, whole.passed, steps) == (None, None, {})
