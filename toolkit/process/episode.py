"""A trajectory prepared for process signals: what each step did, parsed once for all of them.

Invariant: nothing here judges. Python code that does not parse has no tree; words are compared in lower case.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import orjson

from schemas import Step, ToolCall
from schemas.identity import canonical_json
from toolkit.dialects.recorded_tools import read_tools
from toolkit.lake.records import TrajectoryRecord
from toolkit.process.code_calls import calls_in_code

CODE_DIALECTS = frozenset({"codeact", "smolagents", "smolagents-1.13"})
"""Dialects whose actions are Python."""

_RETRIEVES = re.compile(r"search|retriev|look_?up|wiki|browse|fetch|visit|find|^read|^open|^get_page", re.IGNORECASE)
_WORD = re.compile(r"\w+")
_DIGITS = "0123456789"
STEM = 5
"""Letters by which words are compared."""
TEXTS_KEPT = 256
"""Texts whose words are remembered: more than the signals of one trajectory look at again."""
_STOP_WORDS = frozenset(
    "a an and any are as at be been being but by can could did do does for from had has have he her his how i if in "
    "into is it its let lets may me more most my need no nor not now of on one or our out over she should so some such "
    "than that the their them then there these they this those to up was we were what when where which who whom whose "
    "why will with would you your also find out know search look still missing next first second last thought "
    "action".split()
)


@lru_cache(TEXTS_KEPT)
def words(text: str) -> frozenset[str]:
    """The words and numbers of `text` that say something, in lower case."""
    return frozenset(_WORD.findall(text.lower())) - _STOP_WORDS


@lru_cache(TEXTS_KEPT)
def stems(text: str) -> frozenset[str]:
    """Its numbers, and the first letters of its words: `directed` is `director`, but `born` is not `birth`."""
    return frozenset([word if word[0] in _DIGITS else word[:STEM] for word in words(text)])


@dataclass
class Action:
    """One step with what it did."""

    step: Step
    calls: list[ToolCall]
    is_python: bool

    @cached_property
    def tree(self) -> ast.Module | None:
        """The code. None: none, not Python, or it does not parse."""
        if not self.is_python or self.step.code is None:
            return None
        try:
            with warnings.catch_warnings():
                # Of the model's code: an invalid escape, `is` with a literal.
                warnings.simplefilter("ignore")
                return ast.parse(self.step.code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All nodes of the tree."""
        return [self.tree, *self.parents] if self.tree is not None else []

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """The parent of each node of the tree but its root."""
        found: dict[ast.AST, ast.AST] = {}
        level: list[ast.AST] = [self.tree] if self.tree is not None else []
        while level:
            below = [(child, node) for node in level for child in ast.iter_child_nodes(node)]
            found.update(below)
            level = [child for child, _ in below]
        return found

    @property
    def said(self) -> str:
        """All that the agent wrote in this step."""
        return f"{self.step.thought or ''}\n{self.step.code or ''}" if self.step.code else self.step.completion

    @cached_property
    def returned(self) -> str:
        """What its calls returned."""
        return "\n".join(filter(None, (result_text(call) for call in self.calls)))


class Episode:
    """One trajectory, prepared."""

    def __init__(self, record: TrajectoryRecord) -> None:
        self.trajectory, self.question = record.trajectory, record.task.question if record.task else ""
        self.is_python = self.trajectory.dialect in CODE_DIALECTS
        by_step: dict[int, list[ToolCall]] = {}
        for call in record.tool_calls:
            by_step.setdefault(call.step_index, []).append(call)
        self.actions = [Action(step, by_step.get(step.step_index, []), self.is_python) for step in record.steps]
        tools = read_tools(record.tools) if record.tools is not None else None
        self._effects = {tool.name: tool.effect for tool in tools or ()}
        if self.is_python and not record.tool_calls:
            self._read_calls()

    @property
    def final(self) -> Action | None:
        """The step that gave the answer."""
        return next((action for action in reversed(self.actions) if action.step.is_final), None)

    def is_retrieval(self, call: ToolCall) -> bool:
        """Whether a call asks the world for something: by the tool's declared effect, else by its name."""
        effect = self._effects.get(call.name)
        return effect == "read" if effect is not None else bool(_RETRIEVES.search(call.name))

    def _read_calls(self) -> None:
        """Take from the code the calls that the record does not have: of declared tools, else of retrieval by name."""
        own = {name for action in self.actions for name in bound_names(action.nodes)}
        for action in self.actions:
            if action.tree is not None:
                action.calls = calls_in_code(
                    action.step, action.tree, lambda name: name not in own and self._asks(name)
                )

    def _asks(self, name: str) -> bool:
        return name in self._effects if self._effects else bool(_RETRIEVES.search(name))


def result_text(call: ToolCall) -> str | None:
    """What a call returned, as text. None: it failed, or the record does not say."""
    if call.result is None:
        return None
    value = orjson.loads(call.result)
    return value if isinstance(value, str) else canonical_json(value)


def arguments_text(call: ToolCall) -> str:
    """The values of a call's arguments, one a line."""
    return "\n".join(_texts(orjson.loads(call.arguments)))


def called_names(nodes: list[ast.AST]) -> Iterator[tuple[str, ast.Call]]:
    """Calls by a plain name."""
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id, node


def bound_names(nodes: list[ast.AST]) -> Iterator[str]:
    """Names that code binds: by assignment, definition or import."""
    for node in nodes:
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).split(".")[0]


def excerpt(text: str, chars: int = 120) -> str:
    """`text` on one line, shortened, and fit for JSON: literals of code may hold half characters."""
    line = " ".join(text.split()).encode("utf-8", "replace").decode()
    return line if len(line) <= chars else f"{line[: chars - 1]}…"


def _texts(value: object) -> Iterator[str]:
    open_values = [value]
    while open_values:
        found = open_values.pop(0)
        if isinstance(found, dict | list):
            open_values[:0] = found.values() if isinstance(found, dict) else found
        else:
            yield str(found)
