"""How well model-written code is confined, as a number, and the refusal to go below 2 unasked."""

from __future__ import annotations

from toolkit.errors import InputError

MEANING = {
    3: "namespaces, Landlock, seccomp and resource limits",
    2: "Landlock, seccomp and resource limits, without namespaces",
    1: "a separate process with resource limits only",
}
"""What each level consists of."""


def require_level(level: int, *, unsafe: bool = False) -> None:
    """Refuse a sandbox below level 2, unless `unsafe` accepts it.

    Raises:
        InputError: the level is below 2 and `unsafe` is false.
    """
    if level >= 2 or unsafe:
        return
    raise InputError(
        f"the sandbox here is level {level}: {MEANING[1]}. Model-written code could read and change your files and use "
        "the network as you can; level 2 or 3 is needed to run it. If you accept that, pass --sandbox unsafe"
    )
