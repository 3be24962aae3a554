import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.similarity.programs import MAX_CHARS, program_shape

PROGRAM = """
import numpy as np
def area(width, height=2):
    # the product
    "says nothing"
    return width * height
total = 0
for index in range(3):
    total += area(index, height=4) + np.sqrt(index)
print(web_search(query="rivers", k=total))
"""
RENAMED = """
import numpy as xx
def f(a, b=7):
    return a * b
s = 1
for i in range(9):
    s += f(i, b=1) + xx.sqrt(i)  # another remark
print(web_search(query='towns', k=s))
"""


def test_a_renamed_program_has_the_same_shape() -> None:
    assert program_shape([PROGRAM]) == program_shape([RENAMED])


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("web_search(", "lookup("),
        ("np.sqrt", "np.exp"),
        ("width * height", "width + height"),
        ("query=", "question="),
        ("for index in range(3):", "if index := range(3):"),
        ("import numpy", "import scipy"),
        ("print(web_search", "final_answer(web_search"),
    ],
)
def test_what_it_calls_and_how_is_part_of_the_shape(part: str, other: str) -> None:
    assert program_shape([PROGRAM]) != program_shape([PROGRAM.replace(part, other)])


def test_what_one_action_binds_the_next_may_use() -> None:
    first = program_shape(["def find(x):\n    return x", "hits = find(3)", "print(hits)"])
    assert first == program_shape(["def look(y):\n    return y", "found = look(4)", "print(found)"])
    assert first != program_shape(["def look(y):\n    return y", "found = search(4)", "print(found)"])


def test_code_that_does_not_parse_is_compared_by_its_tokens() -> None:
    broken = 'hits = web_search("rivers"  # oh\nprint(hits[0].title'
    assert program_shape([broken]) == program_shape(["rows = web_search('towns'\nprint(rows[7].title"])
    assert program_shape([broken]) != program_shape([broken.replace("web_search", "lookup")])
    assert program_shape([broken]) != program_shape([broken.replace("[0]", "")])


@pytest.mark.parametrize("nothing", [[], [""], ["# only a remark"], ['"only a text"']])
def test_remarks_are_no_program(nothing: list[str]) -> None:
    assert program_shape(nothing) == ""


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "hostile",
    [
        "(" * 5_000,
        "-" * 50_000 + "1",
        "+".join(["1"] * 30_000),
        "a" + ".b" * 20_000,
        "x = 1\x00",
        "'\\d'",
        "9" * 5_000,
        "\ud800",
        "x = 1\n" * MAX_CHARS,
    ],
    ids=["nested", "unary", "sum", "chain", "null byte", "escape", "long number", "surrogate", "long"],
)
def test_hostile_code_has_some_shape(hostile: str) -> None:
    assert program_shape([hostile, "print(1)"])


@given(st.text(max_size=60))
def test_any_text_has_some_shape(text: str) -> None:
    program_shape([text])
