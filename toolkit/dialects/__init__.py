"""How a trajectory is spoken: prompts, parser, observations.

    codeact      ours: `Thought:`, `Code:` and a fenced block; see `codeact`
    smolagents   the tags and observations of smolagents 1.2x; see `smolagents`
    cot          chain of thought, without actions; see `chain_of_thought`

`load_dialect` gives one of the first two, `chain_of_thought.ChainOfThought` the third. Prompts are
templates in `templates/`; a file of the same name in a directory of the user's replaces one. What
the turns around the model's words look like, also of dialects that are only imported, stands in
`turns`. Training and inference use the same object, and its `identity()` enters the ids of rollouts.

Importing this module is cheap: Jinja is loaded with the first dialect.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import InputError

if TYPE_CHECKING:
    from toolkit.dialects.code_dialect import CodeDialect

DIALECTS = ("codeact", "smolagents")
"""Names that `load_dialect` knows."""


def load_dialect(
    name: str,
    templates_dir: Path | None = None,
    *,
    max_steps: int = 5,
    observation_chars: int | None = None,
) -> CodeDialect:
    """The dialect of that name, its templates tried out.

    Args:
        name: one of `DIALECTS`.
        templates_dir: a directory whose `NAME.jinja` files replace shipped templates. None: the shipped ones.
        max_steps: how many steps the prompts promise; from 1.
        observation_chars: the most characters of an outcome that are shown; from 200. None: the dialect's default.

    Raises:
        InputError: there is no such dialect, or a template or a number is wrong.
    """
    from toolkit.dialects.codeact import CodeAct
    from toolkit.dialects.smolagents import Smolagents

    spoken: dict[str, type[CodeDialect]] = {dialect.name: dialect for dialect in (CodeAct, Smolagents)}
    if name not in spoken:
        raise InputError(f"no dialect {name!r} can be spoken: choose one of {', '.join(DIALECTS)}")
    return spoken[name](templates_dir, max_steps=max_steps, observation_chars=observation_chars)
