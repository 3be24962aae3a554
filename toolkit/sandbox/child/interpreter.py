"""Run actions one after the other in one namespace, as an interactive interpreter does.

The value of a last expression is shown, printed text is captured, `final_answer(x)` ends the action, and
an exception ends it with its partial effects kept. Names of tools mean the tools again in every action, whatever an
earlier one assigned to them.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import CodeType, ModuleType
from typing import Any, NoReturn

from .allowed_imports import importer
from .output import Output, shortened
from .tool_stubs import ToolError
from .tracebacks import ERROR_CHARS, Sources, describe


class FinalAnswer(BaseException):
    """Ends the action; no `except Exception` of the code's own stops it."""


class Interpreter:
    """A namespace, what may be called in it, and `limited`, which is entered while code runs."""

    def __init__(self, modules: frozenset[str], output_chars: int, limited: AbstractContextManager[None]) -> None:
        self._modules = modules
        self._output_chars = output_chars
        self._limited = limited
        self._sources = Sources()
        self._answer: str | None = None
        main = ModuleType("__main__")
        # dataclasses, pickle and typing look a class's module up by name.
        sys.modules["__main__"] = main
        self._names = main.__dict__
        self._builtins = dict(vars(builtins), __import__=importer(modules), input=_no_input, open=_open_to_read)
        del self._builtins["breakpoint"]
        self._names["__builtins__"] = self._builtins
        self._provided: dict[str, Callable[..., object]] = {"final_answer": self._final_answer}
        self._builtins.update(self._provided)
        self.action = 0
        """Number of the action that is running or was run last."""

    def provide(self, functions: Mapping[str, Callable[..., object]]) -> None:
        """Let actions call `functions` by name."""
        self._provided.update(functions)
        self._builtins.update(functions)

    def run(self, action: int, code: str) -> dict[str, object]:
        """Run `code` as action number `action`; what came of it, as JSON values."""
        self.action = action
        self._answer = None
        for name in self._provided:
            self._names.pop(name, None)
        sys.stdout = output = Output(self._output_chars)
        value: str | None = None
        kind, error = "none", None
        try:
            with self._limited:
                value = self._evaluate(*self._compile(code))
        except FinalAnswer:
            pass
        except BaseException as raised:  # SystemExit and what else the code may raise end the action, not us
            kind = "tool" if isinstance(raised, ToolError) else "execution"
            error = self._describe(raised)
        if self._answer is not None:  # also where the code's own `except:` caught it
            value, kind, error = None, "none", None
        return {
            "action": action,
            "stdout": output.text(),
            "cut_chars": output.cut_chars,
            "value": value,
            "answer": self._answer,
            "error_kind": kind,
            "error": error,
        }

    def _compile(self, code: str) -> tuple[CodeType, CodeType | None]:
        filename = self._sources.add(self.action, code)
        parts = _by_last_line(code, filename)
        if parts is not None:
            return parts
        try:
            tree = ast.parse(code, filename)
            last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
            body = compile(tree, filename, "exec", dont_inherit=True)
            if not isinstance(last, ast.Expr):
                return body, None
            return body, compile(ast.Expression(last.value), filename, "eval", dont_inherit=True)
        except ValueError as error:  # a null byte or a lone surrogate in the text
            raise SyntaxError(str(error), (filename, 1, 1, "")) from None

    def _evaluate(self, body: CodeType, last: CodeType | None) -> str | None:
        exec(body, self._names)
        value = eval(last, self._names) if last is not None else None
        return None if value is None else shortened(repr(value), self._output_chars)

    def _final_answer(self, answer: object) -> NoReturn:
        """Give `answer` as the answer to the question, and stop."""
        self._answer = shortened(str(answer), self._output_chars)
        raise FinalAnswer

    def _describe(self, error: BaseException) -> str:
        names = [*self._names, *self._builtins]
        return shortened(describe(error, self._sources, names, self._modules), ERROR_CHARS)


def _by_last_line(code: str, filename: str) -> tuple[CodeType, CodeType] | None:
    """Statements and last expression, where the expression begins with the last line that is not indented.

    Half the time of a way through a syntax tree. What either part alone is not, the whole is not divided like this, so
    that None, for everything else, comes of a failed try.
    """
    if "\r" in code:  # ends lines as well, alone or not, which would have to be counted
        return None
    start = len(code.rstrip())
    while (start := code.rfind("\n", 0, start)) >= 0 and code[start + 1] in " \t\f\n#)]}":
        pass
    before, last = code[: start + 1], code[start + 1 :]
    try:
        value = compile("\n" * before.count("\n") + last, filename, "eval", dont_inherit=True)
        return compile(before, filename, "exec", dont_inherit=True), value
    except (SyntaxError, ValueError):
        return None


def _open_to_read(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
    # Refused anyway where there is confinement; here, in the same words everywhere.
    if set(mode) & set("wax+"):
        raise PermissionError("files cannot be written here; keep values in variables")
    return open(file, mode, *args, **kwargs)


def _no_input(prompt: object = "") -> NoReturn:
    raise EOFError("input() is not available: nobody is there to type")
