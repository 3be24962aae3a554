"""YAML files that people write: read, and checked with errors that name the line.

Invariant: what a model does not know or take is an error with file and line, and so is a key that is given twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from toolkit.errors import InputError, RecipeError

Checked = TypeVar("Checked", bound=BaseModel)


class _RefusedError(yaml.YAMLError):
    """It is YAML, but at `node` it says something twice, or nothing."""

    def __init__(self, node: yaml.Node, problem: str) -> None:
        super().__init__(problem)
        self.line = node.start_mark.line + 1


class _StrictLoader(yaml.SafeLoader):
    """PyYAML's own keeps the last of equal keys, and fails without a place on a date that does not exist."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise _RefusedError(key, f"{key.value} is given twice")
                seen.add(key.value)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except ValueError as error:
            raise _RefusedError(node, f"{node.value!r} is no value: {error}; quotes make it text") from error


def load_yaml_as(model: type[Checked], path: Path) -> Checked:
    """The file `path` as a `model`; an empty one has its defaults.

    Raises:
        InputError: the file cannot be read.
        RecipeError: it is not YAML, or does not validate; the message names file and line.
    """
    root, values = read_yaml(read_recipe(path), str(path))
    if root is None:
        return model()
    if not isinstance(values, dict):
        raise RecipeError(f"{path}: expected `key: value` lines, got {type(values).__name__}")
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = most_telling(error)
        raise RecipeError(f"{line_of(root, first['loc'])} of {path}: {explain(first, model)}") from error


def read_recipe(path: Path) -> str:
    """The text of a recipe of any kind.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"there is no recipe {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the recipe {path}: {error}") from error


def read_yaml(text: str, place: str) -> tuple[yaml.Node | None, Any]:
    """The nodes of a recipe, which know their lines, and its values; None: there is nothing in it.

    Raises:
        RecipeError: it is not YAML, gives a key twice, or holds a date that does not exist.
    """
    try:
        return yaml.compose(text, Loader=_StrictLoader), yaml.load(text, Loader=_StrictLoader)
    except _RefusedError as error:
        raise RecipeError(f"line {error.line} of {place}: {error}") from error
    except yaml.YAMLError as error:
        raise RecipeError(f"{place} is not YAML: {' '.join(str(error).split())}") from error


def most_telling(error: ValidationError) -> Any:
    """An unknown key explains a missing one: most often it is the same key, misspelt."""
    found = error.errors()
    return next((one for one in found if one["type"] == "extra_forbidden"), found[0])


def explain(error: Any, model: type[BaseModel]) -> str:
    """An error of pydantic's about a `model`, in the toolkit's words."""
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        *parents, key = error["loc"]
        return f"unknown key {where!r}{hint(str(key), _keys(model, parents))}"
    if error["type"] == "missing":
        return f"{where!r} is missing"
    if error["type"] == "model_type":
        example = next(iter(_keys(model, error["loc"])), "key")
        return f"{where}: expected a mapping such as {{{example}: …}}, got {error['input']!r}"
    return f"{where}: {error['msg']}, got {error['input']!r}"


def hint(name: str, known: Iterable[str]) -> str:
    """What an error says of the unknown `name`: the known one that is like it, or all; empty where none is known."""
    known = list(known)
    if not known:
        return ""
    close = get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"


def _keys(model: type[BaseModel], path: Sequence[int | str]) -> list[str]:
    """The keys that `model` has where `path` leads; none where that is no model."""
    at: object = model
    for part in path:
        if not (isinstance(at, type) and issubclass(at, BaseModel) and part in at.model_fields):
            return []
        at = at.model_fields[str(part)].annotation
    return list(at.model_fields) if isinstance(at, type) and issubclass(at, BaseModel) else []


def line_of(node: yaml.Node, path: Sequence[int | str]) -> str:
    """`line N` of the deepest node on `path` that the file has."""
    line = node.start_mark.line
    for part in path:
        found: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    line, found = key.start_mark.line, value
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            found = node.value[part]
            line = found.start_mark.line
        if found is None:
            break
        node = found
    return f"line {line + 1}"
