"""Numbers that options may not be."""

from __future__ import annotations

from toolkit.errors import InputError


def check_counts(**counts: int | None) -> None:
    """Refuse counts below one.

    Raises:
        InputError: naming the option.
    """
    for name, value in counts.items():
        if value is not None and value < 1:
            raise InputError(f"--{name.replace('_', '-')} must be at least 1, got {value}")


def check_amounts(*, above: bool, **amounts: float | None) -> None:
    """Refuse amounts below zero, and with `above` zero, too.

    Raises:
        InputError: naming the option.
    """
    for name, value in amounts.items():
        if value is not None and not (value > 0 if above else value >= 0):
            expected = "must be above 0" if above else "must not be below 0"
            raise InputError(f"--{name.replace('_', '-')} {expected}, got {value:g}")
