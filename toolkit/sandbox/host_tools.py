"""The host's end of a tool call: find the tool, bind the arguments to its parameters, run it, time it.

Invariant: whatever a tool does, the answer is a frame for the session and a `ToolUse` for the record; a
failing tool fails in the session, not here. Not covered: stopping a plain function that hangs; its thread is
left alone.
"""

from __future__ import annotations

import asyncio
import builtins
import inspect
import json
import keyword
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from toolkit.contracts import Tool, ToolUse, Trial
from toolkit.errors import InputError
from toolkit.sandbox.frames import Call, frame_of
from toolkit.sandbox.sharing import shared

AnyTool = Tool | Callable[..., object]
RESULT_BYTES = 8 << 20
"""Longest result of one call, as JSON."""
ERROR_CHARS = 2_000
"""Longest message of a tool's failure."""
CALLS = 200
"""Most calls of tools in one action."""


class HeldError(Exception):
    """A candidate calls a tool that writes; `use` is the call, which was not made."""

    def __init__(self, use: ToolUse) -> None:
        super().__init__(use.name)
        self.use = use


class HostTools:
    """Tools by the name under which actions call them.

    Raises:
        InputError: a name cannot be called, or hides something that actions rely on.
    """

    def __init__(self, tools: Mapping[str, AnyTool], timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._tools = {name: _as_tool(_checked(name), tool) for name, tool in tools.items()}
        self._signatures = {name: _signature(tool.call) for name, tool in self._tools.items()}

    def documentation(self) -> dict[str, str]:
        """What `help` would tell of each tool."""
        return {name: f"{tool.signature}\n\n{tool.description}" for name, tool in self._tools.items()}

    async def answer(self, call: Call, trial: Trial | None = None) -> tuple[ToolUse, bytes]:
        """Run the called tool; what happened, and the frame that tells the session.

        In a `trial`, equal calls are made once, and writing tools are not called.

        Raises:
            HeldError: the tool writes.
        """
        arguments: dict[str, object] = {}
        started = time.perf_counter()
        try:
            tool, signature = self._find(call.name)
            arguments = _bind(tool, signature, call)
        except (LookupError, TypeError) as error:
            return _failed(call.name, arguments, error, _since(started))
        if trial is None:
            return await self._answer(tool, call, arguments)
        if tool.effect == "write":
            raise HeldError(ToolUse(call.name, arguments))
        return await shared(trial, call.name, arguments, lambda: self._answer(tool, call, arguments))

    async def _answer(self, tool: Tool, call: Call, arguments: dict[str, object]) -> tuple[ToolUse, bytes]:
        started = time.perf_counter()
        try:
            text = _json(call.name, await self._run(tool, call))
        # A tool is somebody else's code: whatever it raises belongs to the action that called it.
        except Exception as error:
            return _failed(call.name, arguments, error, _since(started))
        use = ToolUse(call.name, arguments, json.loads(text), latency_ms=_since(started))
        return use, frame_of({"result": use.result})

    def _find(self, name: str) -> tuple[Tool, inspect.Signature]:
        if name not in self._tools:
            raise LookupError(f"there is no tool {name!r}")
        return self._tools[name], self._signatures[name]

    async def _run(self, tool: Tool, call: Call) -> object:
        try:
            async with asyncio.timeout(self._timeout_s) as limit:
                return await tool.call(*call.args, **call.kwargs)
        except TimeoutError:
            if limit.expired():
                raise TimeoutError(f"{call.name} gave no answer within {self._timeout_s:g} s") from None
            raise


def _failed(name: str, arguments: dict[str, object], error: Exception, latency_ms: float) -> tuple[ToolUse, bytes]:
    kind, message = type(error).__name__, _clean(str(error)[:ERROR_CHARS])
    use = ToolUse(name, arguments, error=f"{kind}: {message}", latency_ms=latency_ms)
    return use, frame_of({"error": kind, "message": message})


def _bind(tool: Tool, signature: inspect.Signature, call: Call) -> dict[str, object]:
    try:
        bound = signature.bind(*call.args, **call.kwargs).arguments
        return {name: list(value) if isinstance(value, tuple) else value for name, value in bound.items()}
    except TypeError as error:
        raise TypeError(f"{call.name}(): {error}; it is called as {tool.signature}") from None


def _json(name: str, result: object) -> str:
    try:
        text = _clean(json.dumps(result, allow_nan=False, ensure_ascii=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"{name} returned a {type(result).__name__} that is not a JSON value: {error}") from None
    if len(text) > RESULT_BYTES:
        raise ValueError(f"{name} returned {len(text):,} bytes, at most {RESULT_BYTES:,} are handed on")
    return text


def _clean(text: str) -> str:
    """`text` with question marks for lone surrogates, which UTF-8 and so no table could hold."""
    return text.encode("utf-8", "replace").decode()


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000


def _signature(function: Callable[..., object]) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except ValueError:  # some functions written in C do not tell
        return inspect.Signature([inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL)])


def _checked(name: str) -> str:
    if not name.isidentifier() or keyword.iskeyword(name):
        raise InputError(f"tool name {name!r} is no Python name, so no code could call it")
    if name == "final_answer" or hasattr(builtins, name):
        raise InputError(f"tool name {name!r} would hide Python's or the agent's own; give it another name")
    return name


def _as_tool(name: str, tool: AnyTool) -> Tool:
    if isinstance(tool, Tool):
        return tool
    function: Callable[..., Any] = tool
    signature = _signature(function)

    async def call(*args: object, **kwargs: object) -> object:
        if inspect.iscoroutinefunction(function):
            return await function(*args, **kwargs)
        return await asyncio.to_thread(function, *args, **kwargs)

    call.__signature__ = signature  # type: ignore[attr-defined]
    awaitable: Callable[..., Awaitable[object]] = call
    return Tool(name, f"{name}{signature}", inspect.getdoc(function) or "", awaitable)
