"""Run recipes: one YAML file whose stages are commands, checked against the commands' own options.

    name: my-task
    lake: lake                                # --lake overrides it
    defaults:
      generate: {teacher: "openai:my-model"}  # for every stage of that command, unless it says otherwise
    stages:
      - index: {passages: passages.jsonl, index: index}
      - generate: {tasks: questions.jsonl, index: index}
      - score
      - filter: recipes/curate.yaml           # one value alone is the command's first argument

Keys are the names of a command's options, `--max-steps` as `max_steps`. There is no list of them here: options come
from the command's signature and values go through its own parser as text, so that a recipe and a command line cannot
drift apart. Invariant: an unknown command or key and a value that does not fit are errors that name their line,
before any stage has run. Paths are relative to the working directory, as on a command line. Not covered: variables,
YAML merge keys, stages side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import yaml
from cyclopts import Argument, CycloptsError

from pipelines.run_stage import FALSE, OWN_OPTIONS, TRUE, Stage, Value, options_of, stage_names
from toolkit.cli.main import command_app
from toolkit.cli.options import DEFAULT_LAKE
from toolkit.errors import InputError, RecipeError
from toolkit.recipe_text import hint, read_recipe, read_yaml

_KEYS = ("name", "lake", "defaults", "stages")


@dataclass(frozen=True, slots=True)
class RunRecipe:
    """Stages in their order."""

    name: str
    lake: Path
    stages: list[Stage]


def load_run(path: Path, *, lake: Path | None = None, overrides: Mapping[str, str] | None = None) -> RunRecipe:
    """Read a recipe and check all of it; `overrides` go to every stage that has the option.

    Raises:
        InputError: the file cannot be read, or no stage has an option that `overrides` name.
        RecipeError: something in it does not fit; the message names file and line.
    """
    root, _ = read_yaml(read_recipe(path), str(path))
    return _Reader(str(path), lake, overrides or {}).recipe(root)


class _Reader:
    """From nodes to stages; `place` names the file in errors."""

    def __init__(self, place: str, lake: Path | None, overrides: Mapping[str, str]) -> None:
        self.place = place
        self.lake = lake
        self.overrides = {name.replace("-", "_"): text for name, text in overrides.items()}

    def recipe(self, root: yaml.Node | None) -> RunRecipe:
        if not isinstance(root, yaml.MappingNode):
            raise RecipeError(f"{self.place}: expected a mapping with `name` and `stages`")
        parts = self._mapping(root)
        if "steps" in parts and "stages" not in parts:
            raise RecipeError(f"{self.place} is a filter recipe; it is for `toolkit filter {self.place}`")
        for key, (place, _) in parts.items():
            self._known("key", key, _KEYS, place)
        for key in ("name", "stages"):
            if key not in parts:
                self._fail(root, f"{key!r} is missing")
        name, lake = (self._text(parts[key][1]) if key in parts else None for key in ("name", "lake"))
        chosen = self.lake or Path(lake or DEFAULT_LAKE)
        defaults = self._defaults(parts["defaults"][1]) if "defaults" in parts else {}
        node = parts["stages"][1]
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            self._fail(node, "stages is a list of commands with their options")
        stages = [self._stage(item, defaults, chosen) for item in node.value]
        self._check_overrides(stages)
        return RunRecipe(str(name), chosen, stages)

    def _defaults(self, node: yaml.Node) -> dict[str, dict[str, Value]]:
        found = {}
        for command, (place, options) in self._mapping(node).items():
            self._known("command", command, stage_names(), place)
            found[command] = self._values(command, options)
        return found

    def _stage(self, node: yaml.Node, defaults: Mapping[str, dict[str, Value]], lake: Path) -> Stage:
        if isinstance(node, yaml.ScalarNode):
            command, values = node.value, dict[str, Value]()
            self._known("command", command, stage_names(), node)
        else:
            parts = self._mapping(node)
            if len(parts) != 1:
                self._fail(node, f"a stage is one command with its options, got {', '.join(parts) or 'none'}")
            ((command, (place, options)),) = parts.items()
            self._known("command", command, stage_names(), place)
            values = self._values(command, options)
        given = {key: Value((text,), None) for key, text in self.overrides.items() if key in options_of(command)}
        stage = Stage(command, {**defaults.get(command, {}), **values, **given}, lake, node.start_mark.line + 1)
        self._check(stage)
        return stage

    def _values(self, command: str, node: yaml.Node) -> dict[str, Value]:
        options = options_of(command)
        if isinstance(node, yaml.ScalarNode):
            if self._is_null(node):
                return {}
            first = next((key for key, argument in options.items() if argument.index is not None), None)
            if first is None:
                self._fail(node, f"{command} takes options by name, such as {{{next(iter(options))}: …}}")
            return {first: Value((node.value,), node.start_mark.line + 1)}
        found = {}
        for key, (place, value) in self._mapping(node).items():
            if key in OWN_OPTIONS:
                self._fail(place, f"{key} is for the whole recipe: `lake:` at its top, or an option of `toolkit run`")
            self._known(f"key of {command}", key, options, place)
            found[key] = Value(self._texts(key, options[key], value), place.start_mark.line + 1)
        return found

    def _texts(self, key: str, argument: Argument, node: yaml.Node) -> tuple[str, ...]:
        several = argument.token_count()[1]
        if isinstance(node, yaml.SequenceNode) and several:
            return tuple(self._text(item) for item in node.value)
        if not isinstance(node, yaml.ScalarNode):
            self._fail(node, f"{key}: expected {'a value or a list' if several else 'one value'}")
        if self._is_null(node):
            return ()
        if argument.hint is bool:
            _check_truth(node.value, f"line {node.start_mark.line + 1} of {self.place}: {key}")
        return (node.value,)

    def _check(self, stage: Stage) -> None:
        """Let the command's own parser read the stage."""
        options = options_of(stage.command)
        for key, value in stage.values.items():
            if value.line is None and options[key].hint is bool:
                _check_truth(value.texts[0], f"--{key.replace('_', '-')}")
        try:
            command_app(stage.command).parse_args(stage.words)
        except CycloptsError as error:
            name = error.argument.name if error.argument else None
            key = next((one for one, argument in options.items() if argument.name == name), "")
            given = stage.values[key] if key in stage.values else None
            if given is not None and given.line is None:
                raise InputError(str(error).strip()) from error
            what = f"{key!r} is missing" if key and given is None else str(error).strip()
            line = given.line if given is not None else stage.line
            raise RecipeError(f"line {line} of {self.place}: {stage.command}: {what}") from error

    def _check_overrides(self, stages: list[Stage]) -> None:
        known = sorted({key for stage in stages for key in options_of(stage.command)})
        for key in self.overrides:
            if key not in known:
                flag = f"--{key.replace('_', '-')}"
                raise InputError(f"no stage of {self.place} has an option {flag}{hint(key, known)}")

    def _mapping(self, node: yaml.Node) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            self._fail(node, "expected `key: value` here")
        return {self._text(key): (key, value) for key, value in node.value}

    def _text(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode) or self._is_null(node):
            self._fail(node, "expected one value here")
        return str(node.value)

    def _is_null(self, node: yaml.Node) -> bool:
        return node.tag == "tag:yaml.org,2002:null"

    def _known(self, what: str, name: str, known: Iterable[str], node: yaml.Node) -> None:
        if name not in known:
            self._fail(node, f"unknown {what} {name!r}{hint(name, known)}")

    def _fail(self, node: yaml.Node, message: str) -> NoReturn:
        raise RecipeError(f"line {node.start_mark.line + 1} of {self.place}: {message}")


def _check_truth(text: str, where: str) -> None:
    if text.lower() not in TRUE + FALSE:
        raise RecipeError(f"{where}: expected true or false, got {text!r}")
