"""What became of what was observed: unused retrieval, grounded answers."""

from __future__ import annotations

import pytest
from judged_episodes import call, code, episode, faulted, finish, said, search

QUESTION = "Which lake does the river under the Ostrel Bridge end in?"
BRIDGE = "The Ostrel Bridge is a stone bridge over the Vennal, built by Marda Koll in 1874."
LONG = (
    "Kordun lies on a plateau. Its founders were weavers and smiths who came from the north; the town hall has nine "
    "bells, a clock of brass, two painted gates and a cellar where grain was kept during sieges, storms and floods."
)


def test_a_word_that_only_the_text_held_is_use() -> None:
    judged = episode(
        QUESTION, search("Ostrel Bridge", BRIDGE), search("Vennal", "It ends in Lake Tamber."), finish("Lake Tamber")
    )
    judged.trajectory.final_answer = "Lake Tamber"
    assert said("unused_retrieval", judged)[0].passed is True


def test_a_dismissed_text_is_unused() -> None:
    judged = episode(
        QUESTION,
        search("Ostrel", BRIDGE),
        search("lake of Ostrel", "It ends in Lake Tamber.", thought="The search did not provide what I need. Again."),
        finish("Lake Tamber", thought="It ends in Lake Tamber."),
        answer="Lake Tamber",
    )
    assert faulted("unused_retrieval", judged) == [0]
    (evidence,) = said("unused_retrieval", judged)[1][0].details["calls"]  # type: ignore[misc, attr-defined]
    assert evidence == {"tool": "search", "asked": "Ostrel", "told": BRIDGE, "ground": "dismissed"}


def test_a_dismissal_is_not_believed_where_the_text_is_used_after_all() -> None:
    judged = episode(
        QUESTION,
        search("Ostrel", BRIDGE),
        search("Vennal", "It ends in Lake Tamber.", thought="It does not mention the lake. I search for the Vennal."),
        finish("Lake Tamber", thought="Lake Tamber."),
        answer="Lake Tamber",
    )
    assert faulted("unused_retrieval", judged) == []


def test_asking_for_the_same_again_leaves_a_text_unused() -> None:
    need = "I need to find out: which river does the Ostrel Bridge span?"
    judged = episode(
        QUESTION,
        search("river", LONG, thought=need),
        search("river Ostrel Bridge", BRIDGE, thought=need),
        finish("Lake Tamber", thought="The Vennal ends in Lake Tamber."),
        answer="Lake Tamber",
    )
    assert faulted("unused_retrieval", judged) == [0]
    assert '"asked again"' in str(said("unused_retrieval", judged)[1][0].details).replace("'", '"')


def test_a_search_that_has_nothing_to_do_with_anything_is_off_topic() -> None:
    judged = episode(QUESTION, search("Kordun", LONG), finish("Tamber", thought="I guess."), answer="Tamber")
    assert faulted("unused_retrieval", judged) == [0]
    assert "'off topic'" in str(said("unused_retrieval", judged)[1][0].details)


def test_a_text_on_the_topic_may_be_used_in_silence() -> None:
    asked = episode(QUESTION, search("Ostrel age", LONG), finish("yes", thought="So it does."), answer="yes")
    read = episode(
        "Is its architect older than fifty?",
        search("who was its architect", "Marda Koll was."),
        search("age of Koll", "61 years", thought="I need the age."),
        finish("yes", thought="So it is."),
        answer="yes",
    )
    assert said("unused_retrieval", asked)[0].passed is None
    assert (said("unused_retrieval", read)[0].passed, faulted("unused_retrieval", read)) == (None, [])


def test_the_last_retrieval_of_a_rollout_that_was_cut_off_is_undecided() -> None:
    whole, steps = said("unused_retrieval", episode(QUESTION, search("Kordun", LONG)))
    assert (whole.value, whole.passed, steps[0].passed) == (0, None, None)


@pytest.mark.parametrize("result", [None, "No results found.", "nothing", "Ostrel Bridge?"])
def test_failed_empty_and_echoed_results_do_not_count(result: str | None) -> None:
    judged = episode(QUESTION, search("Ostrel Bridge", result), finish("x", thought="Not found."), answer="x")
    assert said("unused_retrieval", judged)[0].passed is True


@pytest.mark.parametrize(
    ("text", "unused"),
    [
        ("print(search('Kordun'))", [0]),
        ("found = search('Kordun')\nprint(found)", [0]),
        ("found = search('Kordun')\nprint(len(found))", []),
        ("print(search('Kordun').split()[3])", []),
    ],
)
def test_what_code_does_with_a_text_is_use(text: str, unused: list[int]) -> None:
    first = code(text, LONG)
    first.tool_calls = [call("Kordun", LONG)]
    judged = episode(QUESTION, first, code("final_answer('Tamber')", thought="I guess."), answer="Tamber")
    assert faulted("unused_retrieval", judged) == unused


def test_tools_that_do_not_retrieve_are_not_retrieval() -> None:
    first = code("print(convert('Kordun'))", LONG)
    first.tool_calls = [call("Kordun", LONG, name="convert")]
    judged = episode(QUESTION, first, code("final_answer('Tamber')", thought="I guess."), answer="Tamber")
    assert said("unused_retrieval", judged)[0].passed is True


@pytest.mark.parametrize(
    ("answer", "observation"),
    [
        ("Lake Tamber", "It ends in lake Tamber, far off."),
        ("1858", "September 19, 1858/Diary of a bridge keeper"),
        ("1,340", "It is 1340 km long."),
        ("3.14", "3.14159265358979"),
        ("12", "12.0"),
        ("$12", "No.12"),
        ("-3", "x = -3"),
    ],
)
def test_an_answer_that_was_observed_is_grounded(answer: str, observation: str) -> None:
    judged = episode(QUESTION, search("a", observation), finish(answer), answer=answer)
    whole, steps = said("grounded", judged)
    assert (whole.value, whole.passed, whole.details) == (1, True, {"observed_at": 0})
    assert (steps[1].value, steps[1].passed) == (1, True)


@pytest.mark.parametrize(
    ("answer", "observation"),
    [("Lake Kordun", BRIDGE), ("1875", BRIDGE), ("3.15", "3.14159"), ("85", "1858"), ("5", "0.5")],
)
def test_an_answer_from_nowhere_is_not_grounded(answer: str, observation: str) -> None:
    judged = episode("Where?", search("a", observation), finish(answer), answer=answer)
    assert said("grounded", judged)[0].passed is False
    assert faulted("grounded", judged) == [1]


@pytest.mark.parametrize("answer", ["yes", "No.", "B", "(c)", "unknown", "Ostrel Bridge"])
def test_answers_that_need_not_be_observed_are_undecided(answer: str) -> None:
    whole, steps = said("grounded", episode(QUESTION, search("a", LONG), finish(answer), answer=answer))
    assert (whole.value, whole.passed, steps) == (None, None, {})
    assert "undecided" in whole.details


def test_an_answer_of_which_half_was_observed_is_undecided() -> None:
    judged = episode(QUESTION, search("a", "The lake is called Tamber."), finish("Tamber Water"), answer="Tamber Water")
    whole = said("grounded", judged)[0]
    assert (whole.value, whole.passed) == (0.5, None)


def test_a_computed_answer_is_grounded_and_a_literal_is_not() -> None:
    computed = episode("q", code("x = 6 * 7\nfinal_answer(x)"), answer="42")
    assert said("grounded", computed)[0].details == {"computed_at": 0}
    assert said("grounded", episode("q", code("final_answer(42)"), answer="42"))[0].passed is False


def test_what_the_final_step_prints_does_not_ground_its_answer() -> None:
    judged = episode(
        "q", code("print('Lake Kordun')\nfinal_answer('Lake Kordun')", "Lake Kordun"), answer="Lake Kordun"
    )
    assert said("grounded", judged)[0].passed is False


def test_without_an_answer_nothing_can_be_grounded() -> None:
    whole, steps = said("grounded", episode(QUESTION, search("a", LONG)))
    assert (whole.passed, steps) == (None, {})
    assert "not_applicable" in whole.details
