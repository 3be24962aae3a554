"""One stage of a run recipe: a command with options, and the command line that it is.

There is no list of options here: they come from the signature of the command, and a stage is turned into words that
the command's own parser reads. What a signature cannot tell stands in four small tables, which a test compares with
the commands.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cyclopts import Argument

from toolkit.cli.main import COMMANDS, command_app
from toolkit.tasks.source import is_minipedia

NO_STAGES = ("run", "demo", "grade", "review")
"""Commands that no stage can be: they run stages themselves, read standard input, or wait for people."""
OWN_OPTIONS = ("lake", "json", "dry_run")
"""What the recipe or the command line says for all stages at once."""
_OF_ROLLOUTS = ("tasks", "index", "tools", "templates", "adapter")
INPUTS = {
    "import": ("file",),
    "index": ("passages",),
    "generate": _OF_ROLLOUTS,
    "evaluate": _OF_ROLLOUTS,
    "ask": _OF_ROLLOUTS,
    "filter": ("recipe",),
    "judge": ("rubric_file", "adapter"),
    "overlap": ("tasks", "against"),
    "export": ("templates",),
    "publish": ("model", "from", "about"),
    "train": ("config", "prompts"),
}
"""Options that name files which must be there, by command. What may also be a name on the Hub is none of them."""
MADE = {
    "index": ("index",),
    "export": ("out",),
    "report": ("out",),
    "train": ("out",),
    "publish": ("out",),
    "compare": ("html",),
}
"""Options that name what a stage makes, by command."""

TRUE, FALSE = ("true", "yes", "on"), ("false", "no", "off")
"""What a flag may be given, in any case."""


@dataclass(frozen=True, slots=True)
class Value:
    """What an option is given."""

    texts: tuple[str, ...]
    """As on a command line; none: the option is left to its default."""
    line: int | None
    """In the recipe; None: it comes from the command line."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One command with its options."""

    command: str
    values: Mapping[str, Value]
    """By key; defaults and overrides are in it."""
    lake: Path
    line: int

    @property
    def words(self) -> list[str]:
        """The command line without `toolkit`."""
        options = options_of(self.command)
        positional: list[str] = []
        named: list[str] = []
        for key, argument in options.items():
            (positional if argument.index is not None else named).extend(_words(argument, self._texts(key)))
        lake = ["--lake", str(self.lake)] if "--lake" in all_names(self.command) else []
        return [self.command, *positional, *named, *lake]

    def paths(self, table: Mapping[str, tuple[str, ...]]) -> list[Path]:
        """The paths that options in `table` name, such as `INPUTS`; generated corpora are none."""
        texts = [text for key in table.get(self.command, ()) for text in self._texts(key)]
        return [Path(text) for text in texts if not is_minipedia(text)]

    def _texts(self, key: str) -> tuple[str, ...]:
        """What the option `key` is given; of paths a leading `~` is expanded, as a shell would have done."""
        texts = self.values[key].texts if key in self.values else ()
        is_path = any(key in table.get(self.command, ()) for table in (INPUTS, MADE))
        # Not by `Path.expanduser`, which raises where there is no such user: it is a path that is not there.
        return tuple(map(os.path.expanduser, texts)) if is_path else texts


def missing_inputs(stages: Iterable[Stage]) -> list[tuple[Stage, Path]]:
    """What stages need that is not there and that none before them makes."""
    made: set[Path] = set()
    found: list[tuple[Stage, Path]] = []
    for stage in stages:
        absent = [path for path in stage.paths(INPUTS) if not path.exists()]
        found += [(stage, path) for path in absent if not any(path.is_relative_to(one) for one in made)]
        made.update(stage.paths(MADE))
    return found


@cache
def all_arguments(command: str) -> tuple[Argument, ...]:
    """Every argument in the signature of a command."""
    app = command_app(command)[command]
    # "*" is a group of options, such as a model's; what is in it follows it.
    return tuple(argument for argument in app.assemble_argument_collection() if argument.name != "*")


def all_names(command: str) -> set[str]:
    """The options of a command as one types them."""
    return {argument.name for argument in all_arguments(command)}


def options_of(command: str) -> dict[str, Argument]:
    """What a stage of `command` may say, by key."""
    named = {argument.name.lstrip("-").replace("-", "_").lower(): argument for argument in all_arguments(command)}
    return {key: argument for key, argument in named.items() if key not in OWN_OPTIONS}


def _words(argument: Argument, texts: tuple[str, ...]) -> list[str]:
    if argument.index is not None:
        return list(texts)
    if argument.hint is bool:
        negative = [name for name in argument.names if name.startswith("--no-")]
        return [word for text in texts for word in ([argument.name] if text.lower() in TRUE else negative)]
    # What begins with a dash would be read as an option.
    return [
        word
        for text in texts
        for word in ([f"{argument.name}={text}"] if text.startswith("-") else [argument.name, text])
    ]


def stage_names() -> list[str]:
    """The commands that stages can be."""
    return [name for name in COMMANDS if name not in NO_STAGES]
