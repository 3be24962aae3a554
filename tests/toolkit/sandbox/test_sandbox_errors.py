"""What an action that fails tells: the user's own lines, and nothing that differs from run to run."""

from collections.abc import Callable

import pytest

from toolkit.sandbox import Outcome

Play = Callable[..., list[Outcome]]


def test_an_error_is_told_by_its_line(play: Play) -> None:
    (outcome,) = play("x = 1\ny = x / 0\n")
    assert outcome.error == "line 2: ZeroDivisionError: division by zero\n    y = x / 0"


def test_calls_on_the_way_are_told_with_their_action(play: Play) -> None:
    _, outcome = play("def f(n):\n    return 1 / n", "x = 0\nf(x)")
    assert outcome.error == (
        "line 2: f(x)\nline 2 of action 1, in f: ZeroDivisionError: division by zero\n    return 1 / n"
    )


def test_frames_of_libraries_are_left_out(play: Play) -> None:
    (outcome,) = play("import json\njson.loads('{')")
    assert outcome.error is not None
    assert outcome.error.startswith("line 2: JSONDecodeError: Expecting property name")
    assert len(outcome.error.splitlines()) == 2


def test_a_syntax_error_shows_its_line(play: Play) -> None:
    (outcome,) = play("x = 1\nprint((x)\n")
    assert outcome.error == "line 2: SyntaxError: '(' was never closed\n    print((x)"


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("shuot('a')", "name 'shuot' is not defined; did you mean 'shout'?"),
        ("total = 3\nprint(totl)", "did you mean 'total'?"),
        ("math.pi", "name 'math' is not defined; write 'import math' first"),
    ],
)
def test_a_name_that_is_not_defined_comes_with_advice(play: Play, code: str, advice: str) -> None:
    (outcome,) = play(code)
    assert advice in str(outcome.error)


@pytest.mark.parametrize(
    "code", ["import os", "from subprocess import run", "import socket.x", "__import__('sys')", "from . import x"]
)
def test_a_refused_import_lists_what_is_allowed(play: Play, code: str) -> None:
    (outcome,) = play(code)
    assert outcome.error_kind == "execution"
    assert "is not allowed here; allowed: " in str(outcome.error)
    assert " math, " in str(outcome.error)


@pytest.mark.parametrize(
    "code", ["import collections.abc", "from json.decoder import JSONDecoder", "import statistics"]
)
def test_an_allowed_package_comes_with_all_that_it_needs(play: Play, code: str) -> None:
    (outcome,) = play(code)
    assert outcome.error is None


def test_errors_name_no_path_of_the_host(play: Play) -> None:
    (outcome,) = play("from json import nothing")
    assert outcome.error == (
        "line 1: ImportError: cannot import name 'nothing' from 'json'\n    from json import nothing"
    )


def test_no_memory_address_is_shown(play: Play) -> None:
    (outcome,) = play("print(object(), (i for i in ()), sep='\\n')\nraise ValueError(lambda: 0)")
    assert outcome.stdout == "<object object at 0x0>\n<generator object <genexpr> at 0x0>\n"
    assert "<function <lambda> at 0x0>" in str(outcome.error)


def test_numbers_that_look_like_addresses_stay(play: Play) -> None:
    (outcome,) = play("print('at', hex(3735928559), 'look at 0xdeadbeef.')")
    assert outcome.stdout == "at 0xdeadbeef look at 0xdeadbeef.\n"


def test_an_exception_that_cannot_be_shown_is_still_told(play: Play) -> None:
    (outcome,) = play("class E(Exception):\n    def __str__(self):\n        raise ValueError\nraise E")
    assert outcome.error == "line 4: E: (its message cannot be shown)\n    raise E"


def test_a_very_long_message_is_cut(play: Play) -> None:
    (outcome,) = play("raise ValueError('x' * 100_000)")
    assert outcome.error is not None
    assert len(outcome.error) < 4_000
    assert "more characters" in outcome.error
