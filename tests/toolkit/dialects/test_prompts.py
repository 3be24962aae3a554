"""Prompts from templates, shipped ones and a user's own."""

from __future__ import annotations

import contextlib
import io
import re
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from toolkit.contracts import Outcome, Tool
from toolkit.dialects import DIALECTS, load_dialect
from toolkit.dialects.chain_of_thought import ChainOfThought
from toolkit.dialects.prompts import Prompts, shipped
from toolkit.errors import InputError


async def nothing(**arguments: object) -> None:
    """A tool that is never called here."""


SEARCH = Tool(
    "web_search", "web_search(query: str) -> str", "Search an encyclopedia.\n\nReturns three passages.", nothing
)
PRICE = Tool("price", "price(item: str, *, year: int = 2020) -> float", "Price in euros.", nothing)
SEND = Tool("send", "send(text: str) -> None", "", nothing, effect="write")

every_dialect = pytest.mark.parametrize("name", DIALECTS)


@every_dialect
@pytest.mark.parametrize("tools", [(), (SEARCH,), (PRICE, SEND), (SEARCH, PRICE, SEND)])
def test_prompts_show_every_tool_and_the_steps(name: str, tools: tuple[Tool, ...]) -> None:
    dialect = load_dialect(name, max_steps=7)
    for prompt in (dialect.teacher_prompt(tools), dialect.student_prompt(tools)):
        assert all(tool.signature in prompt for tool in tools)
        assert all(tool.description.split("\n")[0] in prompt for tool in tools)
        assert "at most 7 steps" in prompt
        assert "final_answer(x)" in prompt
        assert ("{%" in prompt, "{{" in prompt, "\n\n\n" in prompt) == (False, False, False)


@every_dialect
def test_examples_search_only_where_there_is_a_search(name: str) -> None:
    dialect = load_dialect(name)
    assert 'web_search("' in dialect.teacher_prompt([SEARCH])
    assert "web_search" not in dialect.teacher_prompt([PRICE])


@every_dialect
def test_the_student_prompt_is_a_few_lines(name: str) -> None:
    dialect = load_dialect(name)
    assert len(dialect.student_prompt([SEARCH])) < 300
    assert len(dialect.teacher_prompt([SEARCH])) > 10 * len(dialect.student_prompt([SEARCH]))


@every_dialect
def test_worked_examples_are_what_a_run_would_show(name: str) -> None:
    """Every example's code is run; what it prints or raises must be what the prompt shows next."""
    dialect = load_dialect(name)
    examples = dialect.teacher_prompt([SEARCH]).split("Examples of whole tasks:\n\n")[1]
    closing = "\n```\n" if name == "codeact" else "\n</code>\n"
    scope: dict[str, object] = {}
    answers = []
    for chunk in examples.split("\n\nThought: ")[1:]:
        turn, found, rest = f"Thought: {chunk}".partition(closing)
        action = dialect.parse(turn + found)
        assert action.thought, turn
        assert action.code, turn
        shown = re.split(r"\n\n(?:Task: |Now )|\nTask: ", f"\n{rest}")[0].strip()
        scope["web_search"] = search_that_finds(shown)
        scope["final_answer"] = answers.append
        assert bool(shown) != ("final_answer(" in action.code)
        outcome = run(action.code, scope)
        if shown:
            assert dialect.observation_turn(dialect.observation(outcome)[0]).strip() == shown
    assert [str(answer) for answer in answers] == ["Nemel", "53", "584", "2*sqrt(3)"]


def search_that_finds(shown: str) -> Callable[[str], str]:
    """A search that gives one after another the results that `shown` holds; each begins with [1]."""
    passages = re.sub(r"\nLast output from code snippet:\nNone$", "", shown)
    results = [result.strip() for result in re.split(r"^(?=\[1\])", passages, flags=re.MULTILINE)[1:]]
    return lambda query: results.pop(0)


def run(code: str, scope: dict[str, object]) -> Outcome:
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(code, scope)
    except NameError as error:
        number = traceback.extract_tb(error.__traceback__)[-1].lineno or 0
        text = f"line {number}: NameError: {error}\n    {code.splitlines()[number - 1]}"
        return Outcome(ok=False, error_kind="execution", error=text, stdout=printed.getvalue())
    return Outcome(ok=True, stdout=printed.getvalue())


def write(folder: Path, **templates: str) -> Path:
    for name, text in templates.items():
        (folder / f"{name}.jinja").write_text(text, encoding="utf-8")
    return folder


def test_a_template_of_the_users_own_replaces_the_shipped_one(tmp_path: Path) -> None:
    dialect = load_dialect(
        "codeact", write(tmp_path, codeact_student="{{ max_steps }} steps, {{ tools | length }} tools")
    )
    assert dialect.student_prompt([SEARCH]) == "5 steps, 1 tools"
    assert dialect.teacher_prompt([SEARCH]) == load_dialect("codeact").teacher_prompt([SEARCH])


def test_own_examples_are_used_by_the_teachers_of_both_dialects(tmp_path: Path) -> None:
    write(tmp_path, examples="{{ open }}\nprint(1)\n{{ close }}\n{% filter printed %}\n1\n{% endfilter %}\nTHE END")
    assert "```py\nprint(1)\n```\nObservation:\n1\nTHE END" in load_dialect("codeact", tmp_path).teacher_prompt([])
    expected = (
        "<code>\nprint(1)\n</code>\nObservation:\nExecution logs:\n1\nLast output from code snippet:\nNone\nTHE END"
    )
    assert expected in load_dialect("smolagents", tmp_path).teacher_prompt([])


@every_dialect
def test_identity_changes_with_the_text_of_a_template_that_the_role_sees(name: str, tmp_path: Path) -> None:
    shipped_one, own = load_dialect(name), load_dialect(name, write(tmp_path, examples="None."))
    assert own.identity("teacher") != shipped_one.identity("teacher")
    assert own.identity("student") == shipped_one.identity("student")
    assert own.identity() != shipped_one.identity()
    assert shipped_one.identity() == load_dialect(name, max_steps=5).identity()


@every_dialect
def test_identity_names_dialect_version_limits_and_templates(name: str) -> None:
    identity = load_dialect(name, max_steps=3, observation_chars=500).identity()
    templates = identity.pop("templates")
    assert isinstance(templates, dict)
    assert set(templates) == {f"{name}_teacher", f"{name}_student", "examples"}
    assert identity == {"name": name, "version": "1", "max_steps": 3, "observation_chars": 500}


def test_identity_of_a_chain_of_thought_is_that_of_its_own_template(tmp_path: Path) -> None:
    shipped_one, own = ChainOfThought(), ChainOfThought(write(tmp_path, cot="Think.\nFinal answer: x"))
    assert own.identity() != shipped_one.identity()
    assert own.identity(with_passages=True) == shipped_one.identity(with_passages=True)


@pytest.mark.parametrize(
    ("name", "text", "line", "message"),
    [
        ("codeact_student", "a\n{{ toolz }}", 2, "'toolz' is undefined; a template may use tools, max_steps"),
        ("codeact_student", "\n\n{% for t in tools %}\n{{ t.nam }}{% endfor %}", 4, "has no attribute 'nam'"),
        ("codeact_student", "a\n{% if %}", 2, "Expected an expression"),
        ("codeact_student", "{{ 1 // 0 }}", 1, "by zero"),
        ("codeact_student", "{{ tools | shuffle }}", 1, "No filter named 'shuffle'"),
        ("codeact_student", "{{ tools.append(1) }}", 1, "is unsafe"),
        ("examples", "\n\n{{ opne }}", 3, "'opne' is undefined"),
        ("codeact_student", "{% include 'rules' %}", None, "includes rules; a template may include these, by name"),
        ("codeact_student", "{% include max_steps %}", None, "includes a template by a computed name"),
        ("codeact_student", "{% include 'codeact_student' %}", 1, "recursion"),
        ("codeact_studnet", "a", None, "replaces no template; expected one of codeact_student.jinja"),
    ],
)
def test_a_wrong_template_is_named_with_its_line(
    tmp_path: Path, name: str, text: str, line: int | None, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        load_dialect("codeact", write(tmp_path, **{name: text}))
    place = f"{tmp_path / name}.jinja: "
    assert str(caught.value).startswith(f"line {line} of {place}" if line else place)
    assert message in str(caught.value)


def test_a_missing_or_unreadable_template_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such directory"):
        load_dialect("codeact", tmp_path / "missing")
    with pytest.raises(InputError, match="holds no template; expected one or more of codeact_student.jinja"):
        load_dialect("codeact", tmp_path)
    (tmp_path / "cot.jinja").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot be read"):
        ChainOfThought(tmp_path)


def test_only_dialects_that_can_be_spoken_are_loaded() -> None:
    with pytest.raises(InputError, match="no dialect 'react-text' can be spoken: choose one of codeact, smolagents"):
        load_dialect("react-text")


@pytest.mark.parametrize(("wrong", "message"), [({"max_steps": 0}, "1 step"), ({"observation_chars": 100}, "200")])
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_dialect("codeact", **wrong)


def test_every_shipped_template_says_which_values_it_has() -> None:
    for name, text in shipped().items():
        assert text.startswith("{#"), name
        assert Prompts().hashes([name])[name]
