"""Tools for running a recorded trajectory again: what was answered then is the answer now.

An action before the first edit gets its own recorded results, in order. Behind the edit an equal call of the same
trajectory lends its result; else the tool itself is asked, where it is here and does not write; else the call fails
with `ToolNotAvailableError`, and the step's observation says so.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import json
import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from schemas import ToolCall
from schemas.identity import canonical_json
from toolkit.contracts import Tool
from toolkit.lake.records import TrajectoryRecord

NOT_AVAILABLE = "ToolNotAvailableError"
"""Name of the error of a call that nothing can answer."""


def not_here(name: str) -> str:
    """How the error of a call begins whose tool was not given."""
    return f"{NOT_AVAILABLE}: {name} is not here"


class RecordedTools:
    """The tools of some trajectories, one of which is run at a time.

    Args:
        records: The trajectories.
        live: Tools that are here, by name.
    """

    def __init__(self, records: Iterable[TrajectoryRecord], live: Mapping[str, Tool]) -> None:
        self._live = dict(live)
        self._calls: list[ToolCall] = []
        self._own: list[ToolCall] | None = None
        self.tools: dict[str, Tool] = {name: self._answering(tool) for name, tool in live.items()}
        """To give to a sandbox."""
        for record in records:
            for name in dict.fromkeys(call.name for call in record.tool_calls):
                if name not in self.tools and _can_be_called(name):
                    calls = [call for call in record.tool_calls if call.name == name]
                    self.tools[name] = self._answering(_absent(name, calls, record.system_prompt))

    def begin(self, record: TrajectoryRecord) -> None:
        """From now on, this trajectory runs."""
        self._calls, self._own = list(record.tool_calls), None

    def before_edit(self, step_index: int) -> None:
        """From now on, this step runs as it was recorded."""
        self._own = [call for call in self._calls if call.step_index == step_index]

    def behind_edit(self) -> None:
        """From now on, steps run that differ from what was recorded, or may."""
        self._own = None

    def _answering(self, tool: Tool) -> Tool:
        signature = inspect.signature(tool.call)

        async def call(*args: object, **kwargs: object) -> object:
            bound = signature.bind(*args, **kwargs)
            found = self._recorded(tool.name, dict(bound.arguments))
            if found is not None:
                return _result(found)
            live = self._live.get(tool.name)
            if live is not None and live.effect != "write" and self._own is None:
                return await live.call(*args, **kwargs)
            if live is None:
                what = not_here(tool.name)
            elif live.effect == "write":
                what = f"{NOT_AVAILABLE}: {tool.name} is a tool that writes"
            else:
                what = f"{NOT_AVAILABLE}: {tool.name} is asked behind the edit only"
            raise _recorded_error(f"{what}, and this call was not recorded; the tool cannot be asked in a review")

        call.__signature__ = signature  # type: ignore[attr-defined]
        return replace(tool, call=call)

    def _recorded(self, name: str, arguments: dict[str, object]) -> ToolCall | None:
        asked = canonical_json(arguments)
        if self._own is not None:
            # Of equal calls the first one first; one that is spelt otherwise than the record has it takes its turn.
            mine = [call for call in self._own if call.name == name]
            found = next((call for call in mine if _arguments(call) == asked), mine[0] if mine else None)
            if found is not None:
                self._own.remove(found)
            return found
        # That a tool was not here says nothing about what it answers; an edited trajectory may have recorded that.
        answered = (call for call in self._calls if not (call.error or "").startswith(NOT_AVAILABLE))
        return next((call for call in answered if call.name == name and _arguments(call) == asked), None)


def _can_be_called(name: str) -> bool:
    """Whether code in the sandbox can have a tool of this name; records of others may hold any, `final_answer` too."""
    taken = name == "final_answer" or hasattr(builtins, name) or keyword.iskeyword(name)
    return name.isidentifier() and not taken


def _arguments(call: ToolCall) -> str:
    return canonical_json(json.loads(call.arguments))


def _result(call: ToolCall) -> object:
    if call.error is not None:
        raise _recorded_error(call.error)
    return json.loads(call.result) if call.result is not None else None


def _recorded_error(said: str) -> Exception:
    """The exception that `said`, its name and message, is shown for."""
    name, _, message = said.partition(": ")
    kind: type[Exception] = type(name if name.isidentifier() else "RuntimeError", (Exception,), {})
    return kind(message or said)


def _absent(name: str, calls: Sequence[ToolCall], prompt: str | None) -> Tool:
    """A tool of which only its calls are known."""

    async def call(*args: object, **kwargs: object) -> object:
        raise AssertionError(f"{name} is not here")

    parameters = _parameters(name, calls, prompt)
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return Tool(name, f"{name}({', '.join(parameter.name for parameter in parameters)})", "", call)


def _parameters(name: str, calls: Sequence[ToolCall], prompt: str | None) -> list[inspect.Parameter]:
    """As the prompt shows them; else those of the calls, by keyword only where their order is not known."""
    shown = re.search(rf"\b{re.escape(name)}(\([^\n]*\)) ->", prompt or "")
    by_place = True
    try:
        tree = ast.parse(f"def f{shown[1]}: ..." if shown else "").body
        names = [argument.arg for argument in tree[0].args.args] if tree else []  # type: ignore[attr-defined]
    except SyntaxError:
        names = []
    used = sorted({key for call in calls for key in json.loads(call.arguments)})
    if not set(used) <= set(names):
        names = [key for key in used if key.isidentifier()]
        by_place = len(names) == 1
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD if by_place else inspect.Parameter.KEYWORD_ONLY
    return [inspect.Parameter(each, kind, default=None) for each in names]
