import json

import pytest

from toolkit.contracts import Tool
from toolkit.dialects import DIALECTS, load_dialect
from toolkit.dialects.recorded_tools import read_tools, tools_json


async def nothing(**arguments: object) -> object:
    return None


TOOLS = [
    Tool("web_search", "web_search(query: str) -> str", "Search.\n\nArgs:\n    query: words.", nothing),
    Tool("sum_up", "sum_up(x: list[int]) -> int", 'Adds "numbers" – ü.', nothing, effect="pure"),
]


@pytest.mark.parametrize("tools", [[], TOOLS[:1], TOOLS, TOOLS[::-1]])
def test_prompts_of_recorded_tools_are_those_of_the_tools_themselves(tools: list[Tool]) -> None:
    recorded = read_tools(tools_json(tools))
    assert recorded is not None
    for name in DIALECTS:
        dialect = load_dialect(name)
        assert dialect.student_prompt(recorded) == dialect.student_prompt(tools)
        assert dialect.teacher_prompt(recorded) == dialect.teacher_prompt(tools)


@pytest.mark.parametrize(
    "text", ["", "not JSON", "{}", "[1]", json.dumps([{"type": "function", "function": {"name": "add"}}])]
)
def test_tools_of_another_program_are_not_mistaken_for_ours(text: str) -> None:
    assert read_tools(text) is None
