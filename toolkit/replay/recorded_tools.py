"""Tools for running recorded trajectories again: what was answered then is the answer now.

An action that runs as it was recorded gets its own recorded results, in order. One that runs freely, because it or
one before it was changed, is lent the result of an equal call of the same trajectory; else the tool itself is asked,
where it is here and does not write. A call that nothing answers fails with `ToolNotAvailableError`.

    tools = RecordedTools([record], live={})
    sandbox = ProcessSandbox(tools.tools)
    tools.begin(record)                # of the asyncio task that runs the actions: several may run at once
    tools.as_recorded(step_index)

Invariant: names, signatures and descriptions are those of the record, as far as it holds them, so that a call that
was refused then is refused now, in the same words.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import json
import keyword
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

from schemas import ToolCall
from schemas.identity import canonical_json
from toolkit.contracts import Tool
from toolkit.dialects.recorded_tools import read_tools
from toolkit.lake.records import TrajectoryRecord

NOT_AVAILABLE = "ToolNotAvailableError"
"""Name of the error of a call that nothing can answer."""


def not_here(name: str) -> str:
    """How the error of a call begins whose tool was not given."""
    return f"{NOT_AVAILABLE}: {name} is not here"


@dataclass(slots=True)
class _Running:
    """One trajectory that is running again."""

    calls: list[ToolCall]
    own: list[ToolCall] | None = None
    """Calls of the current step that were not made again yet. None: the step runs freely."""
    unanswered: list[str] = field(default_factory=list)


class RecordedTools:
    """The tools of some trajectories.

    Args:
        records: The trajectories; of tools with one name, the first one counts.
        live: Tools that are here, by name.
        guessed: Names of further tools that programs call and no record tells of; they take any arguments.
    """

    def __init__(
        self, records: Iterable[TrajectoryRecord], live: Mapping[str, Tool], guessed: Iterable[str] = ()
    ) -> None:
        self._live = dict(live)
        self._running: ContextVar[_Running] = ContextVar("running")
        self.tools: dict[str, Tool] = {name: self._answering(tool) for name, tool in live.items()}
        """To give to a sandbox."""
        for record in records:
            for tool in tools_of(record):
                if tool.name not in self.tools:
                    self.tools[tool.name] = self._answering(tool)
        for name in guessed:
            if name not in self.tools and can_be_called(name):
                self.tools[name] = self._answering(_absent(name, _ANYTHING))

    def begin(self, record: TrajectoryRecord) -> None:
        """From now on, this trajectory runs in the current task."""
        self._running.set(_Running(list(record.tool_calls)))

    def as_recorded(self, step_index: int) -> None:
        """From now on, this step runs as it was recorded."""
        running = self._running.get()
        running.own = [call for call in running.calls if call.step_index == step_index]
        running.unanswered.clear()

    def freely(self) -> None:
        """From now on, steps run that differ from what was recorded, or may."""
        running = self._running.get()
        running.own = None
        running.unanswered.clear()

    @property
    def unanswered(self) -> tuple[str, ...]:
        """Names of the tools that the current step called and nothing answered."""
        return tuple(self._running.get().unanswered)

    def _answering(self, tool: Tool) -> Tool:
        signature = inspect.signature(tool.call)

        async def call(*args: object, **kwargs: object) -> object:
            running = self._running.get()
            found = _recorded(running, tool.name, dict(signature.bind(*args, **kwargs).arguments))
            if found is not None:
                return _result(found)
            live = self._live.get(tool.name)
            if live is not None and live.effect != "write" and running.own is None:
                return await live.call(*args, **kwargs)
            running.unanswered.append(tool.name)
            if live is None:
                what = not_here(tool.name)
            elif live.effect == "write":
                what = f"{NOT_AVAILABLE}: {tool.name} is a tool that writes"
            else:
                what = f"{NOT_AVAILABLE}: {tool.name} is asked by steps that run freely only"
            raise _recorded_error(f"{what}, and this call was not recorded")

        call.__signature__ = signature  # type: ignore[attr-defined]
        return replace(tool, call=call)


def tools_of(record: TrajectoryRecord) -> list[Tool]:
    """The tools that a trajectory had, as far as its record tells; they cannot be called as they are."""
    known = {tool.name: tool for tool in read_tools(record.tools or "") or [] if can_be_called(tool.name)}
    found = {name: replace(tool, call=_stand_in(_parse(tool.signature))) for name, tool in known.items()}
    for name in dict.fromkeys(call.name for call in record.tool_calls):
        if name not in found and can_be_called(name):
            calls = [call for call in record.tool_calls if call.name == name]
            found[name] = _absent(name, _parameters(name, calls, record.system_prompt))
    return list(found.values())


def can_be_called(name: str) -> bool:
    """Whether code in the sandbox can have a tool of this name; records of others may hold any, `final_answer` too."""
    taken = name.startswith("__") or name == "final_answer" or hasattr(builtins, name) or keyword.iskeyword(name)
    return name.isidentifier() and not taken


def arguments_of(call: ToolCall) -> str:
    """Arguments of a recorded call in the one spelling by which calls are compared."""
    return canonical_json(json.loads(call.arguments))


def _recorded(running: _Running, name: str, arguments: dict[str, object]) -> ToolCall | None:
    asked = canonical_json(arguments)
    if running.own is not None:
        # Of equal calls the first one first; one that is spelt otherwise than the record has it takes its turn.
        mine = [call for call in running.own if call.name == name]
        found = next((call for call in mine if arguments_of(call) == asked), mine[0] if mine else None)
        if found is not None:
            running.own.remove(found)
        return found
    # That a tool was not here says nothing about what it answers; an edited trajectory may have recorded that.
    answered = (call for call in running.calls if not (call.error or "").startswith(NOT_AVAILABLE))
    return next((call for call in answered if call.name == name and arguments_of(call) == asked), None)


def _result(call: ToolCall) -> object:
    if call.error is not None:
        raise _recorded_error(call.error)
    return json.loads(call.result) if call.result is not None else None


def _recorded_error(said: str) -> Exception:
    """The exception that `said`, its name and message, is shown for."""
    name, _, message = said.partition(": ")
    kind: type[Exception] = type(name if name.isidentifier() else "RuntimeError", (Exception,), {})
    return kind(message or said)


_ANYTHING = [
    inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL),
    inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD),
]


def _absent(name: str, parameters: Sequence[inspect.Parameter]) -> Tool:
    """A tool of which only its calls are known."""
    shown = ", ".join(parameter.name for parameter in parameters)
    return Tool(name, f"{name}({shown})", "", _stand_in(parameters))


def _stand_in(parameters: Sequence[inspect.Parameter]) -> Callable[..., Awaitable[object]]:
    async def call(*args: object, **kwargs: object) -> object:
        raise AssertionError(f"a recorded tool was asked with {args} {kwargs}")

    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return call


def _parse(signature: str) -> Sequence[inspect.Parameter]:
    """The parameters of a signature as prompts show it; any, if it is none of Python."""
    try:
        [function] = ast.parse(f"def {signature}: ...").body
        assert isinstance(function, ast.FunctionDef)
        found = list(_parameters_of(function.args))
        inspect.Signature(found)  # refuses what the parser lets pass: one name twice
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _ANYTHING
    return found


def _parameters_of(given: ast.arguments) -> Iterator[inspect.Parameter]:
    kinds = inspect.Parameter
    by_place = [*given.posonlyargs, *given.args]
    required = len(by_place) - len(given.defaults)
    for place, each in enumerate(by_place):
        kind = kinds.POSITIONAL_ONLY if each in given.posonlyargs else kinds.POSITIONAL_OR_KEYWORD
        yield _parameter(each.arg, kind, place < required)
    if given.vararg:
        yield kinds(given.vararg.arg, kinds.VAR_POSITIONAL)
    for each, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        yield _parameter(each.arg, kinds.KEYWORD_ONLY, default is None)
    if given.kwarg:
        yield kinds(given.kwarg.arg, kinds.VAR_KEYWORD)


def _parameter(name: str, kind: Any, required: bool) -> inspect.Parameter:
    return inspect.Parameter(name, kind, default=inspect.Parameter.empty if required else None)


def _parameters(name: str, calls: Sequence[ToolCall], prompt: str | None) -> Sequence[inspect.Parameter]:
    """As the prompt shows them; else those of the calls, by keyword only where their order is not known."""
    shown = re.search(rf"\b{re.escape(name)}\([^\n]*\)(?= ->)", prompt or "")
    used = sorted({key for call in calls for key in json.loads(call.arguments)})
    found = _parse(shown[0]) if shown else []
    if set(used) <= {parameter.name for parameter in found}:
        return [parameter.replace(default=None) if _may_lack(parameter) else parameter for parameter in found]
    names = [key for key in used if key.isidentifier()]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD if len(names) == 1 else inspect.Parameter.KEYWORD_ONLY
    return [inspect.Parameter(each, kind, default=None) for each in names]


def _may_lack(parameter: inspect.Parameter) -> bool:
    return parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
