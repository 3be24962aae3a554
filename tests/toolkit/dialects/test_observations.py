"""What a model is shown of an outcome."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import ErrorKind
from toolkit.contracts import Outcome
from toolkit.dialects import DIALECTS, load_dialect
from toolkit.dialects.observations import ADVICE, shorten

CODEACT = load_dialect("codeact")
SMOLAGENTS = load_dialect("smolagents")
SMALL = {name: load_dialect(name, observation_chars=200) for name in DIALECTS}
RETRY = (
    "\nNow let's retry: take care not to repeat previous errors! "
    "If you have retried several times, try a completely different approach.\n"
)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome(ok=True, stdout="Nemel\n"), "Nemel"),
        (Outcome(ok=True, stdout="a\n\nb\n"), "a\n\nb"),
        (Outcome(ok=True), "(nothing was printed)"),
        (Outcome(ok=True, stdout="\n\n"), "(nothing was printed)"),
        (Outcome(ok=True, value="'Nemel'"), "Out: 'Nemel'"),
        (Outcome(ok=True, stdout="a\n", value="3"), "a\nOut: 3"),
        (Outcome(ok=True, is_final=True, final_answer="53"), "Final answer: 53"),
        (Outcome(ok=True, stdout="a\n", is_final=True, final_answer="53", value="1"), "a\nFinal answer: 53"),
        (
            Outcome(ok=False, stdout="a\n", error_kind="execution", error="NameError: name 'x' is not defined\n"),
            f"a\nError:\nNameError: name 'x' is not defined\n{ADVICE['execution']}",
        ),
    ],
)
def test_codeact_shows_what_was_printed_then_the_result(outcome: Outcome, expected: str) -> None:
    assert CODEACT.observation(outcome) == (expected, 0)
    assert CODEACT.observation_turn(expected) == f"Observation:\n{expected}"


@pytest.mark.parametrize("kind", ["execution", "timeout", "tool", "denied", "sandbox"])
def test_every_kind_of_error_comes_with_its_own_advice(kind: ErrorKind) -> None:
    text, _ = CODEACT.observation(Outcome(ok=False, error_kind=kind, error="It failed."))
    assert text == f"Error:\nIt failed.\n{ADVICE[kind]}"
    assert list(ADVICE.values()).count(ADVICE[kind]) == 1


# The turns that smolagents 1.26.0 showed its model for such outcomes, without "Call id: …" and the failing line.
@pytest.mark.parametrize(
    ("outcome", "turn"),
    [
        (
            Outcome(ok=True, stdout="hi\n2\n"),
            "Observation:\nExecution logs:\nhi\n2\nLast output from code snippet:\nNone",
        ),
        (
            Outcome(ok=True, value="'ab\\ncd'"),
            "Observation:\nExecution logs:\nLast output from code snippet:\nab\ncd",
        ),
        (
            Outcome(ok=True, is_final=True, final_answer="7"),
            "Observation:\nExecution logs:\nLast output from code snippet:\n7",
        ),
        (
            Outcome(ok=False, stdout="x\n", error_kind="execution", error="The variable `zz` is not defined."),
            f"Observation:\nExecution logs:\nx\n\nError:\nThe variable `zz` is not defined.{RETRY}",
        ),
        (
            Outcome(ok=False, error_kind="execution", error="The variable `zz` is not defined."),
            f"Error:\nThe variable `zz` is not defined.{RETRY}",
        ),
    ],
)
def test_smolagents_shows_what_the_library_shows(outcome: Outcome, turn: str) -> None:
    text, cut = SMOLAGENTS.observation(outcome)
    assert (SMOLAGENTS.observation_turn(text), cut) == (turn, 0)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("'a'", "a"),
        ('"it\'s"', "it's"),
        ("[1, 'a']", "[1, 'a']"),
        ("'a' + 'b'", "'a' + 'b'"),
        (r"'\ud800'", r"'\ud800'"),
    ],
)
def test_smolagents_undoes_the_repr_of_strings_only(value: str, shown: str) -> None:
    assert SMOLAGENTS.observation(Outcome(ok=True, value=value))[0].endswith(f"snippet:\n{shown}")


def test_a_long_output_keeps_beginning_and_end_and_says_how_much_is_left_out() -> None:
    dialect = load_dialect("codeact", observation_chars=200)
    text, cut = dialect.observation(Outcome(ok=True, stdout="a" * 1_000 + "b" * 1_000))
    assert text == "a" * 100 + "\n[1,800 characters left out]\n" + "b" * 100
    assert cut == 1_800


def test_smolagents_notes_a_cut_in_the_words_of_the_library() -> None:
    dialect = load_dialect("smolagents", observation_chars=200)
    text, cut = dialect.observation(Outcome(ok=True, stdout="a" * 1_000 + "\n"))
    assert "\n..._This content has been truncated to stay below 200 characters_...\n" in text
    assert cut == 801


def test_what_the_sandbox_did_not_keep_is_counted_and_noted() -> None:
    text, cut = CODEACT.observation(Outcome(ok=True, stdout="a\n", stdout_cut_chars=5_000))
    assert (text, cut) == ("a\n[5,000 characters left out]", 5_000)


def test_an_error_is_shown_whatever_was_printed() -> None:
    text, _ = CODEACT.observation(
        Outcome(ok=False, stdout="x" * 20_000, error_kind="execution", error="ValueError: no such title")
    )
    assert "ValueError: no such title" in text


def test_a_long_value_may_use_the_room_that_nothing_printed_takes() -> None:
    text, cut = CODEACT.observation(Outcome(ok=True, value="v" * 5_900))
    assert (text, cut) == ("Out: " + "v" * 5_900, 0)


texts = st.text(st.sampled_from("ab\n"), max_size=900)


@pytest.mark.parametrize("name", DIALECTS)
@given(stdout=texts, value=st.none() | texts, error=st.none() | texts, final=st.booleans(), dropped=st.integers(0, 99))
def test_an_observation_stays_near_its_limit_and_counts_what_it_drops(
    name: str, stdout: str, value: str | None, error: str | None, final: bool, dropped: int
) -> None:
    outcome = Outcome(
        ok=error is None,
        stdout=stdout,
        value=value,
        is_final=final and error is None,
        final_answer=value,
        error=error,
        error_kind="none" if error is None else "execution",
        stdout_cut_chars=dropped,
    )
    text, cut = SMALL[name].observation(outcome)
    said = len(stdout) + len(value or "") + len(error or "")
    assert len(text) <= 200 + 500
    assert dropped <= cut <= said + dropped
    assert cut - dropped <= max(0, said - 200 + 2) or error is not None


@given(text=st.text(), limit=st.integers(1, 50))
def test_shortening_keeps_exactly_the_limit(text: str, limit: int) -> None:
    shown, cut = shorten(text, limit, lambda number: f"<{number}>")
    assert cut == max(0, len(text) - limit)
    if cut:
        head, _, tail = shown.partition(f"<{cut}>")
        assert len(head + tail) == limit
        assert text.startswith(head)
        assert text.endswith(tail)
    else:
        assert shown == text
