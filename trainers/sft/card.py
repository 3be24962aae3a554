"""The model's card: README.md beside its weights."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined


def write_card(out: Path, facts: dict[str, Any]) -> None:
    """Fill `card.md.jinja` with `facts` and put it into `out`."""
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
    template = environment.from_string(files(__package__).joinpath("card.md.jinja").read_text(encoding="utf-8"))
    (out / "README.md").write_text(template.render(**facts), encoding="utf-8")
