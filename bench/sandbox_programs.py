"""What runs in processes beside the sandbox, spoken to in JSON lines: `python sandbox_programs.py KIND [MODULE…]`.

`exec` and `smolagents` run actions, `fork` forks itself when told to. Each measures in its own process, so that no
peer pays for pipes. Uses the standard library alone (and smolagents, if asked for), because smolagents lives in an
environment of its own.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

Run = Callable[[str], str]


def exec_executor(modules: list[str]) -> Run:
    """Plain `exec` in one namespace."""
    for module in modules:
        importlib.import_module(module)
    names: dict[str, Any] = {"__name__": "__main__"}

    def run(code: str) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, names)
        return printed.getvalue()

    return run


def smolagents_executor(modules: list[str]) -> Run:
    """`LocalPythonExecutor`, with `modules` authorised and no limit of time."""
    from smolagents.local_python_executor import LocalPythonExecutor  # type: ignore[import-not-found]

    for module in modules:
        importlib.import_module(module)
    executor = LocalPythonExecutor([*modules, *(f"{module}.*" for module in modules)], timeout_seconds=None)
    executor.send_tools({})
    return lambda code: str(executor(code).logs)


def run_actions(executor: Callable[[list[str]], Run], modules: list[str]) -> None:
    """Obey lines, each the text of an action."""
    run = executor(modules)
    for line in requests():
        printed, error = "", None
        started = time.perf_counter()
        try:
            printed = run(line)
        except Exception as raised:  # whatever an action raises is its result
            error = f"{type(raised).__name__}: {raised}"
        reply({"printed": printed, "error": error, "seconds": time.perf_counter() - started})


def fork(modules: list[str]) -> None:
    """Obey lines: a number of forks to make; each writes a byte and ends. Nothing else is done about them."""
    for module in modules:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    for count in requests():
        reader, writer = os.pipe()
        started = time.perf_counter()
        for _ in range(count):
            if os.fork() == 0:
                os.write(writer, b".")
                os._exit(0)
        forked = time.perf_counter() - started
        alive = 0
        while alive < count:
            alive += len(os.read(reader, count))
        seconds = time.perf_counter() - started
        for _ in range(count):
            os.wait()
        os.close(reader)
        os.close(writer)
        reply({"fork_seconds": forked, "seconds": seconds})


def requests() -> Iterator[Any]:
    """Lines of the standard input."""
    for line in sys.stdin:
        yield json.loads(line)


def reply(message: dict[str, object]) -> None:
    """One line of the real standard output."""
    os.write(1, json.dumps(message).encode() + b"\n")


def main() -> None:
    """The first argument says what to be."""
    kind, *modules = sys.argv[1:]
    if kind == "fork":
        fork(modules)
    else:
        run_actions({"exec": exec_executor, "smolagents": smolagents_executor}[kind], modules)


if __name__ == "__main__":
    main()
