"""How a user names a Minipedia question set: `minipedia:train`, `minipedia:ood?seed=1&size=20000`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from toolkit.errors import InputError
from toolkit.tasks.minipedia.world import MAX_SIZE, MIN_SIZE

Split = Literal["train", "test", "ood"]
SPLITS: tuple[Split, ...] = get_args(Split)

DEFAULT_SEED = 0
DEFAULT_SIZE = 2_000
_SCHEME = "minipedia:"
_EXAMPLE = "minipedia:train?seed=1&size=5000"


@dataclass(frozen=True, slots=True)
class Spec:
    """A split of a world."""

    split: Split
    seed: int = DEFAULT_SEED
    size: int = DEFAULT_SIZE


def parse_spec(text: str) -> Spec:
    """The question set that `text` names.

    Raises:
        InputError: it does not begin with `minipedia:`, or a split, parameter or value is unknown.
    """
    if not text.startswith(_SCHEME):
        raise InputError(f"{text!r} names no Minipedia: expected a name such as {_EXAMPLE}")
    split, _, query = text.removeprefix(_SCHEME).partition("?")
    values = {"seed": DEFAULT_SEED, "size": DEFAULT_SIZE}
    given: set[str] = set()
    for part in query.split("&") if query else []:
        name, equals, value = part.partition("=")
        if name not in values or not equals:
            raise InputError(f"{text!r}: {part!r} is not a parameter of Minipedia; write seed=NUMBER or size=NUMBER")
        if name in given:
            raise InputError(f"{text!r}: {name} is given twice")
        given.add(name)
        values[name] = _whole_number(text, name, value)
    return Spec(checked_split(split), **checked_world(**values))


def checked_split(split: str) -> Split:
    """The split of that name.

    Raises:
        InputError: there is none.
    """
    if split not in SPLITS:
        raise InputError(f"Minipedia has no split {split!r}: choose from {', '.join(SPLITS)}, as in {_EXAMPLE}")
    return split


def checked_world(seed: int, size: int) -> dict[str, int]:
    """Seed and size as given.

    Raises:
        InputError: one of them is out of range.
    """
    if seed < 0:
        raise InputError(f"the seed of a Minipedia is {seed}: it must not be negative")
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise InputError(f"a Minipedia of {size} entities cannot be made: size goes from {MIN_SIZE} to {MAX_SIZE}")
    return {"seed": seed, "size": size}


def _whole_number(text: str, name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit()):
        raise InputError(f"{text!r}: {name} is {value!r}, expected a whole number such as {name}=1")
    return int(value)
