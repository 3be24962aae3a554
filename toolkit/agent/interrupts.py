"""Ctrl-C in two steps: the first finishes what is in flight, the second drops it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def on_interrupt(first: Callable[[], None], second: Callable[[], None]) -> Iterator[None]:
    """A block in which Ctrl-C calls `first`, and every later one `second`; to be entered in an event loop."""
    pressed = False

    def interrupt() -> None:
        nonlocal pressed
        (second if pressed else first)()
        pressed = True

    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(signal.SIGINT, interrupt)
    except (ValueError, RuntimeError):
        # Not in the main thread: whoever called us there handles signals.
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
