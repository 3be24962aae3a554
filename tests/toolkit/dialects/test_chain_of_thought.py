"""First thoughts and answers of chains of thought."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.contracts import Passage
from toolkit.dialects.chain_of_thought import ChainOfThought, final_answer, first_paragraph


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("First.\n\nSecond.\n\nFinal answer: 1", "First."),
        ("First,\nstill first.\n\nSecond.", "First,\nstill first."),
        ("First.\n \t\nSecond.", "First."),
        ("First.\r\n\r\nSecond.", "First."),
        ("\n\n  First.\n\nSecond.", "First."),
        ("Only one.", "Only one."),
        ("Only one.\n", "Only one."),
        ("", ""),
        (" \n\n ", ""),
    ],
)
def test_first_paragraph_ends_at_the_first_blank_line(text: str, expected: str) -> None:
    assert first_paragraph(text) == expected


@given(text=st.text(st.sampled_from("ab \n\t")))
def test_first_paragraph_is_a_part_of_the_text_without_blank_lines(text: str) -> None:
    paragraph = first_paragraph(text)
    assert paragraph in text
    assert all(line.strip() for line in paragraph.split("\n")) or not paragraph
    assert bool(paragraph) == bool(text.strip())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("So it is Nemel.\n\nFinal answer: Nemel", "Nemel"),
        ("Final answer: 1\n\nNo.\n\nFinal answer: 2\n", "2"),
        ("**Final answer:** Nemel", "Nemel"),
        ("**Final Answer**: Nemel", "Nemel"),
        ("### Final answer: **Nemel**", "Nemel"),
        ("FINAL ANSWER: 3.5", "3.5"),
        ("The final answer is: 42", "42"),
        ("Final answer is 42", "42"),
        ("Final answer:\n\nNemel\n", "Nemel"),
        ("Final answer: J. R. Sornrud Jr.", "J. R. Sornrud Jr."),
        (r"Final answer: $\boxed{\frac{1}{2}}$", r"\frac{1}{2}"),
        (r"Hence \boxed{7}.", "7"),
        (r"First \boxed{1}, then \boxed{\left\{ 2 \right\}}.", r"\left\{ 2 \right\}"),
        (r"Hence \boxed{7} and \boxed{8", "7"),
        ("So it is Nemel.", None),
        ("We give the final answer: later", None),
        ("Final answers follow.", None),
        ("Final answer:", None),
        (r"\boxed{ }", None),
        ("", None),
    ],
)
def test_answer_is_what_the_last_answer_line_or_box_states(text: str, expected: str | None) -> None:
    assert final_answer(text) == expected


@given(text=st.text() | st.text(st.sampled_from("\\boxed{} Final answer:\n*")))
def test_any_text_has_an_answer_or_none(text: str) -> None:
    answer = final_answer(text)
    assert answer is None or (answer in text and answer.strip())


def test_the_prompt_asks_for_the_line_that_is_read() -> None:
    for with_passages in (False, True):
        prompt = ChainOfThought().system_prompt(with_passages=with_passages)
        assert final_answer(prompt) == "the bare answer"


def test_passages_stand_before_the_question_best_first() -> None:
    passages = [Passage("Tarvik", "A town\non the Nemel."), Passage("Nemel", "A river.")]
    assert ChainOfThought().task_turn("Which river?", passages) == (
        "[1] Tarvik\nA town on the Nemel.\n[2] Nemel\nA river.\n\nQuestion: Which river?"
    )
    assert ChainOfThought().task_turn("Which river?", []) == "(no passages were found)\n\nQuestion: Which river?"
    assert ChainOfThought().task_turn("Which river?") == "Which river?"
