"""Tools from a file of the user's own."""

import asyncio
from pathlib import Path
from textwrap import dedent

import pytest

from toolkit.errors import InputError
from toolkit.tools import load_tools

TWO_TOOLS = '''
    """My tools."""
    from __future__ import annotations

    from dataclasses import dataclass

    from rates_for_test import RATE
    from toolkit.tools import tool

    @dataclass
    class Unit:
        name: str

    @tool(effect="pure")
    def to_euros(dollars: float) -> float:
        """Convert dollars.

        Args:
            dollars: An amount.
        """
        return dollars * RATE

    @tool
    async def unit() -> str:
        """The currency."""
        return Unit("EUR").name

    def helper() -> None:
        pass
'''


def written(folder: Path, text: str, name: str = "my_tools.py") -> Path:
    path = folder / name
    path.write_text(dedent(text))
    return path


def test_a_file_gives_its_tools_in_order(tmp_path: Path) -> None:
    written(tmp_path, "RATE = 0.5", "rates_for_test.py")
    tools = load_tools(written(tmp_path, TWO_TOOLS))
    assert list(tools) == ["to_euros", "unit"]
    assert (tools["to_euros"].effect, tools["unit"].effect) == ("pure", "read")
    assert tools["to_euros"].signature == "to_euros(dollars: float) -> float"

    async def main() -> list[object]:
        return [await tools["to_euros"].call(3), await tools["unit"].call()]

    assert asyncio.run(main()) == [1.5, "EUR"]


def test_a_tool_that_is_imported_into_the_file_is_one_of_its_tools(tmp_path: Path) -> None:
    declared = 'from toolkit.tools import tool\n@tool\ndef {0}() -> str:\n    """Says {0}."""\n    return "{0}"\n'
    written(tmp_path, declared.format("here") + declared.format("elsewhere"), "library_for_test.py")
    path = written(tmp_path, "from library_for_test import here\n" + declared.format("own"))
    assert sorted(load_tools(path)) == ["here", "own"]


def test_two_files_of_the_same_name_do_not_meet(tmp_path: Path) -> None:
    text = 'from toolkit.tools import tool\n@tool\ndef name() -> str:\n    """Its name."""\n    return __name__\n'
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    tools = [load_tools(written(folder, text))["name"] for folder in folders]

    async def main() -> set[object]:
        return {await each.call() for each in tools}

    assert len(asyncio.run(main())) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "there is no tool in it; write `from toolkit.tools import tool`"),
        ("x = 1\n\nimport no_such_module_at_all\n", "line 3: ModuleNotFoundError: No module named"),
        ("x = 1\ndef f(:\n", "line 2: SyntaxError: "),
        ("def f():\n    return 1 / 0\n\nx = f()\n", "line 2: ZeroDivisionError: division by zero"),
        (
            "from toolkit.tools import tool\n\n@tool\ndef f(x) -> int:\n    '''One.'''\n    return 1\n",
            "line 3: tool f: parameter x has no type hint; write x: str",
        ),
        (
            "from toolkit.tools import tool\n" + "@tool\ndef f() -> int:\n    '''One.'''\n    return 1\n" * 2,
            "two tools are called 'f'; rename one of the functions",
        ),
        (
            "from toolkit.tools import tool\n@tool\ndef print(x: str) -> None:\n    '''Out.'''\n",
            "line 2: tool print would hide Python's own print",
        ),
    ],
)
def test_a_file_that_gives_no_tools_says_where_and_why(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InputError) as caught:
        load_tools(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["absent.py", "."])
def test_a_path_that_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        load_tools(tmp_path / name)


def test_a_file_that_is_not_called_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"its name must end with \.py"):
        load_tools(written(tmp_path, "x = 1", "tools.txt"))


@pytest.mark.parametrize("text", ["x = 1\n\ndef f(:\n", "x = 1\n\ny = x / 0\n"], ids=["syntax", "run"])
@pytest.mark.parametrize("place", ["my_tools.py", "./my_tools.py", "../here/my_tools.py"])
def test_a_relative_path_is_told_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, place: str
) -> None:
    (tmp_path / "here").mkdir()
    written(tmp_path / "here", text)
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(InputError, match=r"my_tools\.py, line 3: ") as caught:
        load_tools(place)
    assert str(caught.value).startswith(f"{Path(place)}, ")
