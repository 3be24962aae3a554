"""YAML files that people write: read, and checked with errors that name the line.

Invariant: what a model does not know or take is an error with file and line.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from toolkit.errors import InputError, RecipeError

Checked = TypeVar("Checked", bound=BaseModel)


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
        raise RecipeError(f"{line_of(root, first['loc'])} of {path}: {explain(first)}") from error


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
        RecipeError: it is not YAML.
    """
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader), yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{place} is not YAML: {' '.join(str(error).split())}") from error


def most_telling(error: ValidationError) -> Any:
    """An unknown key explains a missing one: most often it is the same key, misspelt."""
    found = error.errors()
    return next((one for one in found if one["type"] == "extra_forbidden"), found[0])


def explain(error: Any) -> str:
    """An error of pydantic's in the toolkit's words."""
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"unknown key {where!r}"
    if error["type"] == "missing":
        return f"{where!r} is missing"
    return f"{where}: {error['msg']}, got {error['input']!r}"


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
