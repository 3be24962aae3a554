"""Tools from a user's own Python file: every `@tool` function that stands in it.

The file is run, as `python my_tools.py` would run it, with its folder importable meanwhile. Not covered: a
sandbox; the file is the user's own code.
"""

from __future__ import annotations

import contextlib
import sys
import traceback
import zlib
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from toolkit.contracts import Tool
from toolkit.errors import InputError
from toolkit.tools.declaration import declared


def load_tools(path: str | Path) -> dict[str, Tool]:
    """The tools of the file `path` by name, in the order in which they stand there.

    Raises:
        InputError: there is no such file, it does not run, it holds no tool, or two tools share a name; the message
            holds the line.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; give a Python file with @tool functions")
    with declared() as tools:
        module = _run(path)
    found: dict[str, Tool] = {}
    here = [each for each in tools if each.call.__module__ == module.__name__]
    for each in [*here, *vars(module).values()]:
        if isinstance(each, Tool) and found.setdefault(each.name, each) is not each:
            raise InputError(f"{path}: two tools are called {each.name!r}; rename one of the functions")
    if not found:
        raise InputError(
            f"{path}: there is no tool in it; write `from toolkit.tools import tool` and @tool above each function"
        )
    return found


def _run(path: Path) -> ModuleType:
    # Not the bare file name, which could be that of an installed package or of another tools file.
    name = f"_tools_of_{path.stem}_{zlib.crc32(bytes(path.resolve())):08x}"
    # As tracebacks will name it.
    file = path.absolute()
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise InputError(f"{path}: expected a Python file, its name must end with .py")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        with _importable(path.parent):
            spec.loader.exec_module(module)
    # The user's file may raise anything while it is imported.
    except Exception as error:
        del sys.modules[name]
        raise InputError(f"{path}, {_place(error, file)}: {_message(error)}") from error
    return module


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    entry = str(folder.resolve())
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        sys.path.remove(entry)


def _place(error: Exception, file: Path) -> str:
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return f"line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    return f"line {lines[-1]}" if lines else "before its first line"


def _message(error: Exception) -> str:
    if isinstance(error, InputError):
        return str(error)
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {text}"
