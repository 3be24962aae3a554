"""Plans: what a teacher may follow."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from toolkit.tasks.minipedia import Compare, Compute, Lookup, Plan, references, stands_in

FOUNDER = Lookup(question="Who founded Suna Works?", query="founder of Suna Works", title="Suna Works", answer="Mi Ro")
BIRTH = Lookup(question="When was #1 born?", query="birth year of #1", title="Mi Ro", answer="1912", subject="#1")


def test_a_plan_survives_json() -> None:
    compare = Compare(values=("#2", "1900"), labels=("#1", "Ta Ko"), choose="max", answer="Mi Ro")
    plan = Plan(operations=(FOUNDER, BIRTH, Compute(expression="#2 + 1", answer="1913"), compare))
    assert Plan.model_validate_json(plan.model_dump_json(exclude_none=True)) == plan
    assert plan.answer == "Mi Ro"
    assert plan.lookups == (FOUNDER, BIRTH)


def test_a_plan_holds_a_musique_decomposition() -> None:
    decomposition = [
        {"question": "Brand >> author", "answer": "Henrik Ibsen", "title": "Brand (play)"},
        {"question": "#1 >> country of citizenship", "answer": "Norway", "title": "Henrik Ibsen"},
    ]
    hops = [Lookup(query=hop["question"], **hop) for hop in decomposition]
    assert Plan(operations=tuple(hops)).answer == "Norway"
    assert references(hops[1].query) == [1]


@pytest.mark.parametrize("reference", ["#2", "#3", "#0"])
def test_a_reference_to_no_earlier_operation_is_refused(reference: str) -> None:
    with pytest.raises(ValidationError, match=f"refers to {reference}, which is not an earlier one"):
        Plan(operations=(FOUNDER, Compute(expression=f"1 + {reference}", answer="2")))


def test_values_without_labels_are_refused() -> None:
    with pytest.raises(ValidationError, match="2 values cannot belong to 3 labels"):
        Compare(values=("1", "2"), labels=("a", "b", "c"), choose="min", answer="a")


def test_tenth_reference_is_not_the_first_followed_by_a_zero() -> None:
    assert references("#10 of #1") == [10, 1]


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        ("1912", "born in 1912.", True),
        ("1912", "It has 19123 books.", False),
        ("12", "It has 12,430 books.", False),
        ("12", "It has 3.12 metres.", False),
        ("12", "Of 12, few remain.", True),
        ("12", "They were 12.", True),
        ("Suna", "Sunara and Suna", True),
        ("Suna", "Sunara", False),
        ("Suna", "Suna's mayor", True),
        ("(play)", "Brand(play)s", True),
    ],
)
def test_a_value_stands_in_a_text_only_as_a_whole(value: str, text: str, expected: bool) -> None:
    assert stands_in(value, text) is expected
