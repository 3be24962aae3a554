"""What `toolkit demo` shows is what it does: every command is printed as one would type it, and then run."""

from __future__ import annotations

import shlex

from toolkit.cli.main import run
from toolkit.cli.output import console, plain
from toolkit.errors import RunError
from toolkit.sandbox import MEANING, probe


def say(text: str) -> None:
    """A headline."""
    console.print(f"\n[bold]{plain(text)}[/]")


def show(*words: object) -> None:
    """A command that one may try next."""
    console.print(f"  toolkit {plain(shlex.join(str(word) for word in words))}", soft_wrap=True)


def type_command(*words: object, accept: tuple[int, ...] = (0,)) -> None:
    """Print and run `toolkit WORDS`.

    Raises:
        RunError: its exit code is not in `accept`.
    """
    arguments = [str(word) for word in words]
    console.print(f"\n[bold cyan]$ toolkit {plain(shlex.join(arguments))}[/]", soft_wrap=True)
    code = run(arguments)
    if code not in accept:
        raise RunError(f"`toolkit {shlex.join(arguments)}` ended with exit code {code}")


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
