"""What decides how a selection becomes training rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from toolkit.errors import InputError

OverLong = Literal["cut", "drop"]
"""Rows over the maximum length: `cut` keeps the steps that fit, `drop` keeps none."""
PromptChoice = Literal["student", "recorded"]
"""`student`: the short prompt of the dialect. `recorded`: the one that the teacher had."""


@dataclass(frozen=True, slots=True)
class MaskSettings:
    """See the fields.

    Raises:
        InputError: no token would fit.
    """

    prefix_loss: bool = True
    """Whether injected beginnings of first thoughts are trained. A token that is injected in part is trained."""
    max_tokens: int = 10_240
    """Longest row."""
    over_long: OverLong = "cut"
    prompt: PromptChoice = "student"
    """Imported trajectories, whose tools are not known, keep the recorded prompt in any case."""
    templates: Path | None = None
    """Directory with the user's own prompt templates. None: the shipped ones."""

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise InputError(f"--max-tokens must be at least 1, got {self.max_tokens}")

    def as_json(self) -> dict[str, object]:
        """For manifests; of the templates only whether there are any, since their prompts are in the rows."""
        return {
            "prefix_loss": self.prefix_loss,
            "max_tokens": self.max_tokens,
            "over_long": self.over_long,
            "prompt": self.prompt,
            "own_templates": self.templates is not None,
        }
