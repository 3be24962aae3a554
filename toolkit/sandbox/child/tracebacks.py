"""What went wrong, told by the lines of the user's own code.

    line 5: f(0)
    line 2 of action 1, in f: ZeroDivisionError: division by zero
        return 1 / 0

Invariant: equal code gives equal text: no addresses, no paths, no frames of libraries or of the sandbox.
Not covered: the chain of exceptions; only the last one is told.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from types import TracebackType

from .output import shortened

ERROR_CHARS = 4_000
"""Longest error message, in characters."""
_LINE_CHARS = 200
_SHOWN_CALLS = 8


class Sources:
    """The code of the actions so far, by the file names that their frames bear."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}
        self._current = ""

    def add(self, number: int, code: str) -> str:
        """Name the code of action `number`, which is the current one from now on."""
        self._current = f"<action {number}>"
        self._lines[self._current] = code.splitlines()
        return self._current

    def __contains__(self, filename: str) -> bool:
        return filename in self._lines

    def line(self, filename: str, number: int) -> str:
        """The stripped line `number`; empty if there is none."""
        lines = self._lines.get(filename, [])
        return lines[number - 1].strip()[:_LINE_CHARS] if 0 < number <= len(lines) else ""

    def place(self, filename: str, number: int, function: str = "<module>") -> str:
        """`line 2`, or `line 2 of action 1, in f`."""
        action = "" if filename == self._current else f" of {filename.strip('<>')}"
        return f"line {number}{action}" + ("" if function == "<module>" else f", in {function}")


def describe(error: BaseException, sources: Sources, names: Iterable[str], modules: Iterable[str]) -> str:
    """The error as text; `names` and `modules` are what a mistyped name could have meant."""
    message = shortened(f"{type(error).__name__}{_message(error, names, modules)}", ERROR_CHARS // 2)
    frames = _frames(error.__traceback__, sources)
    if isinstance(error, SyntaxError) and error.filename is not None and error.filename in sources:
        frames = [(error.filename, error.lineno or 1, "<module>")]
    if not frames:
        return message
    calls = [f"{sources.place(*frame)}: {sources.line(*frame[:2])}" for frame in frames[:-1]]
    if len(calls) > _SHOWN_CALLS:
        half = _SHOWN_CALLS // 2
        calls[half:-half] = [f"… {len(calls) - _SHOWN_CALLS} more calls"]
    last = _with_source(f"{sources.place(*frames[-1])}: {message}", sources.line(*frames[-1][:2]))
    return "\n".join([*calls, last])


def _with_source(text: str, line: str) -> str:
    return f"{text}\n    {line}" if line else text


def _frames(traceback: TracebackType | None, sources: Sources) -> list[tuple[str, int, str]]:
    frames: list[tuple[str, int, str]] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code.co_filename in sources:
            frames.append((code.co_filename, traceback.tb_lineno or 0, code.co_name))
        traceback = traceback.tb_next
    return frames


def _message(error: BaseException, names: Iterable[str], modules: Iterable[str]) -> str:
    if isinstance(error, SyntaxError):
        text = error.msg or ""
    else:
        try:
            text = str(error)
        except Exception:  # the exception's own `__str__` is user code and may raise anything
            return ": (its message cannot be shown)"
    if isinstance(error, ImportError) and error.path:
        text = text.replace(f" ({error.path})", "")
    if isinstance(error, NameError) and error.name:
        text += _advice(error.name, names, modules)
    return f": {text}" if text else ""


def _advice(name: str, names: Iterable[str], modules: Iterable[str]) -> str:
    if name in modules:
        return f"; write 'import {name}' first"
    near = difflib.get_close_matches(name, [other for other in names if not other.startswith("_")], n=1, cutoff=0.75)
    return f"; did you mean '{near[0]}'?" if near else ""
