"""Tools as the lake keeps them: what a prompt says about each, as one JSON array.

Invariant: a prompt made from tools that were read back equals the one made from the tools themselves.
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from toolkit.contracts import Tool

_KEYS = ("name", "signature", "description", "effect")


def tools_json(tools: Iterable[Tool]) -> str:
    """What prompts may use of the tools, in their order."""
    return orjson.dumps([{key: getattr(tool, key) for key in _KEYS} for tool in tools]).decode()


def read_tools(text: str) -> list[Tool] | None:
    """The tools of `tools_json`, for prompts: they cannot be called. None: another program wrote the text."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(found, list) or not all(isinstance(entry, dict) and set(entry) == set(_KEYS) for entry in found):
        return None
    return [Tool(**entry, call=_recorded) for entry in found]


async def _recorded(**arguments: object) -> object:
    raise AssertionError(f"a recorded tool was called with {arguments}")
