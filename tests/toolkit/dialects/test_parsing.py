"""What a completion says, in both dialects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.contracts import ParsedAction
from toolkit.dialects import DIALECTS, load_dialect

SPOKEN = {name: load_dialect(name) for name in DIALECTS}
MARKS = {"codeact": ("Code:\n```py", "```"), "smolagents": ("<code>", "</code>")}
every_dialect = pytest.mark.parametrize("name", DIALECTS)


def say(name: str, template: str) -> str:
    """`template` with OPEN and CLOSE replaced by the dialect's marks."""
    opening, closing = MARKS[name]
    return template.replace("OPEN", opening).replace("CLOSE", closing)


@every_dialect
@pytest.mark.parametrize(
    ("template", "thought", "code"),
    [
        ("Thought: I add.\nOPEN\nprint(1 + 1)\nCLOSE", "I add.", "print(1 + 1)"),
        ("Thought: I add.\nOPEN\nprint(1 + 1)\nCLOSE\n", "I add.", "print(1 + 1)"),
        ("OPEN\nprint(1)\nCLOSE", None, "print(1)"),
        ("I add.\nOPEN\nprint(1)\nCLOSE", "I add.", "print(1)"),
        ("Thought:\nI add.\n\nThen I print.\nOPEN\nprint(1)\nCLOSE", "I add.\n\nThen I print.", "print(1)"),
        ("**Thought:** I add.\n**Code:**\n```py\nprint(1)\n```", "I add.", "print(1)"),
        ("Thoughts: I add.\nOPEN\nx = 1\n\nprint(x)\nCLOSE", "I add.", "x = 1\n\nprint(x)"),
        ("Thought: a\nCode:\n```python\nprint(1)\n```", "a", "print(1)"),
        ("Thought: a\nCode: ```python3\nprint(1)\n```", "a", "print(1)"),
        ("Thought: a\n```\nprint(1)\n```", "a", "print(1)"),
        ("Thought: a\n```PY \nprint(1)\n``` ", "a", "print(1)"),
        ("Thought: a\n```py\r\nprint(1)\r\n```\r\n", "a", "print(1)\r"),
        ("Thought: a\n```py\nprint(1)```", "a", "print(1)"),
        ("Thought: a\n```py\nprint(1)\n```<end_code>", "a", "print(1)"),
        ("Thought: a\n<code>print(1)</code>", "a", "print(1)"),
        ("Thought: a\nCode:\nprint(1)\nprint(2)", "a", "print(1)\nprint(2)"),
        ("Thought: a\nCode:\nprint(1)\n```\n", "a", "print(1)"),
        ("Thought: a\n**Code:**\nprint(1)\nObservation:\n1", "a", "print(1)"),
        ("Thought: a\nOPEN\nif x\nCLOSE", "a", "if x"),
        ("Thought: a\nOPEN\nprint(1)\nCLOSE\nThis prints 1.", "a", "print(1)"),
        ("Thought: a\nOPEN\nprint(1)\nCLOSE\nObservation:\n1\n\nThought: b\nOPEN\nprint(2)\nCLOSE", "a", "print(1)"),
        ("Thought: of ```inline``` code\nOPEN\nprint(1)\nCLOSE", "of ```inline``` code", "print(1)"),
        ("The table:\n```\na b\n```\nCode:\n```py\nprint(1)\n```", "The table:\n```\na b\n```", "print(1)"),
        ('OPEN\nprint("Observation: none")\nCLOSE', None, 'print("Observation: none")'),
        ('OPEN\nprint("```")\nCLOSE', None, 'print("```")'),
    ],
)
def test_what_can_only_mean_one_thing_is_accepted(name: str, template: str, thought: str | None, code: str) -> None:
    assert SPOKEN[name].parse(say(name, template)) == ParsedAction(thought, code)


@every_dialect
@pytest.mark.parametrize(
    ("template", "thought", "advice"),
    [
        ("", None, "no code block"),
        ("Thought: I am thinking.", "I am thinking.", "no code block"),
        ("Thought: a\nOPEN\nprint(1)", "a", "has no end"),
        ("Thought: a\nOPEN", "a", "has no end"),
        ("Thought: a\nOPEN\n\n  \nCLOSE", "a", "is empty"),
        ("Thought: a\nCode:\n", "a", "is empty"),
        ("Thought: a\nOPEN\nx = 1\nCLOSE\nand\nOPEN\nprint(x)\nCLOSE", "a", "There are 2 code blocks"),
        ("Thought: a\nOPEN\nx = 1\nCLOSE\nOPEN\nprint(x)", "a", "There are 2 code blocks"),
        ('Thought: a\n```json\n{"x": 1}\n```', "a", "labelled json"),
        ('Thought: so I call final_answer("Nemel").', 'so I call final_answer("Nemel").', "call final_answer inside"),
        ("Final Answer: 7", "Final Answer: 7", "call final_answer inside"),
        ("Thought: a\nObservation:\n7\n\nThought: b\nOPEN\nfinal_answer(7)\nCLOSE", "a", "you wrote yourself"),
        ("Observation: 7", None, "you wrote yourself"),
        ("print(1)", "print(1)", "no code block"),
    ],
)
def test_what_is_not_certain_is_answered_with_advice(
    name: str, template: str, thought: str | None, advice: str
) -> None:
    action = SPOKEN[name].parse(say(name, template))
    assert (action.thought, action.code) == (thought, None)
    assert action.error is not None
    assert advice in action.error
    assert action.error in SPOKEN[name].parse_error(action)


@every_dialect
def test_advice_shows_a_form_that_is_understood(name: str) -> None:
    shown = SPOKEN[name].parse_error(SPOKEN[name].parse("nothing"))
    form = shown[shown.index("Thought") :].split("\nMake sure")[0]
    assert SPOKEN[name].parse(form).error is None


def test_advice_names_the_marks_of_the_dialect() -> None:
    assert "begins with ```py." in str(SPOKEN["codeact"].parse("x").error)
    assert "begins with <code>." in str(SPOKEN["smolagents"].parse("x").error)
    assert "end it with </code>." in str(SPOKEN["smolagents"].parse("<code>\nx").error)


@every_dialect
@pytest.mark.parametrize("code", ["print(1)", "for i in range(3):\n    print(i)", 'x = """\na\n"""'])
def test_model_is_stopped_behind_its_code_and_not_before(name: str, code: str) -> None:
    dialect = SPOKEN[name]
    turn = dialect.render("I count.", code)
    written = f"{turn}\nObservation:\n1\n\nThought: invented"
    end = min(written.index(stop) + len(stop) for stop in dialect.stop if stop in written)
    assert written[:end].rstrip("\n") == turn
    assert dialect.parse(written[:end]) == ParsedAction("I count.", code)


pieces = st.sampled_from(
    ["Thought:", "Code:", "```", "```py\n", "```json", "<code>", "</code>", "Observation:", "\n", " ", "x", "**", "\r"]
)


@every_dialect
@given(text=st.text() | st.lists(pieces).map("".join))
def test_every_text_is_parsed_or_answered_with_advice(name: str, text: str) -> None:
    action = SPOKEN[name].parse(text)
    assert (action.code is None) != (action.error is None)
    assert action.thought is None or (action.thought and action.thought == action.thought.strip())
    assert action.code is None or (action.code.strip() and action.code in text)


plain = st.characters(exclude_characters="`<*", codec="utf-8")


@every_dialect
@given(
    thought=st.none() | st.text(plain, min_size=1).map(str.strip).filter(bool),
    code=st.text(plain).filter(lambda code: bool(code.strip())),
)
def test_a_rendered_turn_is_parsed_to_what_it_says(name: str, thought: str | None, code: str) -> None:
    assert SPOKEN[name].parse(SPOKEN[name].render(thought, code)) == ParsedAction(thought, code)


@every_dialect
@pytest.mark.parametrize(
    ("thought", "code"),
    [
        ("a", ""),
        ("a", "x\n```\ny\n</code>\nz"),
        (" a", "x"),
        ("", "x"),
        ("a\nObservation: b", "x"),
        ("a\n```py\ny\n```\n<code>y</code>", "x"),
    ],
)
def test_a_turn_that_would_be_misread_is_not_rendered(name: str, thought: str, code: str) -> None:
    with pytest.raises(ValueError, match="so that it is understood"):
        SPOKEN[name].render(thought, code)


@every_dialect
def test_a_forced_first_thought_is_the_beginning_of_the_parsed_one(name: str) -> None:
    prefix = SPOKEN[name].prefix("I need two years.")
    assert prefix == "Thought: I need two years."
    assert SPOKEN[name].parse(say(name, f"{prefix} First one.\nOPEN\nprint(1)\nCLOSE")).thought == (
        "I need two years. First one."
    )


@every_dialect
def test_a_long_row_of_marks_is_read_in_linear_time(name: str) -> None:
    # In quadratic time one of these would take minutes.
    for piece in ("```py\n", "`", "\nObservation", "<code></code>", "```   ", " \n", "Code: "):
        assert SPOKEN[name].parse(piece * (200_000 // len(piece))).error
