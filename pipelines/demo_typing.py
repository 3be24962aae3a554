"""What `toolkit demo` shows is what it does: every command is printed as one would type it, and then run."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from typing import IO

from toolkit.cli.main import run
from toolkit.cli.output import console, plain
from toolkit.errors import RunError
from toolkit.sandbox import MEANING, probe

Words = Sequence[object]
ACCEPTED = {"evaluate": (0, 1)}
"""Exit codes of commands that came to their end, where that is not 0 alone; 1 says that some rollouts failed."""


def say(text: str) -> None:
    """A headline."""
    console.print(f"\n[bold]{plain(text)}[/]")


def show(*words: object) -> None:
    """A command that one may try next."""
    console.print(f"  toolkit {plain(_typed(words))}", soft_wrap=True)


def type_command(*words: object, accept: tuple[int, ...] = (0,)) -> None:
    """Print and run `toolkit WORDS`.

    Raises:
        RunError: its exit code is not in `accept`.
    """
    _prompt(words)
    _check(words, run([str(word) for word in words]), accept)


def type_at_once(shown: Sequence[Words], meanwhile: Sequence[Words]) -> None:
    """Run two lists of commands, each in order and on half of the cores.

    What those `meanwhile` say is printed when all have ended.

    Raises:
        RunError: a command did not come to its end.
    """
    with tempfile.TemporaryFile("w+") as said:
        others = _Typist(meanwhile, said)
        others.start()
        try:
            for words in shown:
                _prompt(words)
                sys.stdout.flush()
                _check(words, _process(words).wait(), _accepted(words))
            if others.is_alive():
                console.print("The other half of the cores is still at work …")
        except BaseException:
            others.stop()
            raise
        finally:
            others.join()
        say("Meanwhile, on the other half of the cores:")
        said.seek(0)
        sys.stdout.write(said.read())
        sys.stdout.flush()
        if others.error is not None:
            raise others.error


class _Typist(threading.Thread):
    """Runs commands one after another; what they print goes into a file."""

    def __init__(self, commands: Sequence[Words], said: IO[str]) -> None:
        super().__init__()
        self.error: RunError | None = None
        self._commands, self._said = commands, said
        self._running: subprocess.Popen[str] | None = None
        self._stopped = False

    def run(self) -> None:
        """Until one fails."""
        for words in self._commands:
            if self._stopped:
                return
            with tempfile.TemporaryFile("w+") as errors:  # and progress, which nobody sees
                self._said.write(f"\n$ toolkit {_typed(words)}\n")
                self._said.flush()
                self._running = _process(words, self._said, errors)
                if self._stopped:  # meanwhile
                    self._running.terminate()
                try:
                    _check(words, self._running.wait(), _accepted(words))
                except RunError as error:
                    errors.seek(0)
                    self._said.write(errors.read())
                    self.error = error
                    return

    def stop(self) -> None:
        """End the command that is running; begin no other."""
        self._stopped = True
        if self._running is not None:
            self._running.terminate()


def _process(words: Words, out: IO[str] | None = None, errors: IO[str] | None = None) -> subprocess.Popen[str]:
    """`toolkit WORDS` in a process of its own."""
    threads = max(1, len(os.sched_getaffinity(0)) // 2)
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "COLUMNS": str(console.width)}
    return subprocess.Popen(
        [sys.executable, "-m", "toolkit.cli", *map(str, words)], stdout=out, stderr=errors, env=environment, text=True
    )


def _prompt(words: Words) -> None:
    console.print(f"\n[bold cyan]$ toolkit {plain(_typed(words))}[/]", soft_wrap=True)


def _typed(words: Words) -> str:
    return shlex.join(str(word) for word in words)


def _accepted(words: Words) -> tuple[int, ...]:
    return ACCEPTED.get(str(words[0]), (0,))


def _check(words: Words, code: int, accept: tuple[int, ...]) -> None:
    if code not in accept:
        raise RunError(f"`toolkit {_typed(words)}` ended with exit code {code}")


def tell_level() -> None:
    """Say how well the sandbox confines here."""
    level = probe().level
    console.print(f"The sandbox is level {level} here: {MEANING[level]}.")
    if level < 2:
        console.print(
            "`toolkit doctor` says what is missing; --sandbox unsafe accepts it, for the oracle means no harm."
        )


def accepted_level() -> list[str]:
    """The options that accept the sandbox's level here if it is below 2."""
    return [] if probe().level >= 2 else ["--sandbox", "unsafe"]
