"""The allow-list of modules that an action may import.

It keeps honest code to libraries whose results can be reproduced. Libraries that are allowed but not loaded in this
process are not loaded now: every session would pay for it, and none would find them warm and seeded.
Not covered: reaching other modules through an allowed one (`numpy.os`); that is for confinement to stop.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NoReturn

Need = Callable[[str], NoReturn]
"""Tells the host which library is needed, and waits for the end: the session goes on in a process that has it."""


def importer(allowed: Collection[str], absent: Collection[str], need: Need) -> Callable[..., object]:
    """An `__import__` that knows only the top-level packages `allowed` and what is inside them.

    Of these, `absent` are not in this process; `need` is called with the name of one that is imported.
    """
    listing = ", ".join(sorted(allowed))

    def import_allowed(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> object:
        root = name.partition(".")[0]
        if level == 0 and root in allowed:
            if root in absent:
                need(root)
            return builtins.__import__(name, globals, locals, fromlist, level)
        refused = root if level == 0 else "." * level + name
        raise ImportError(f"import of '{refused}' is not allowed here; allowed: {listing}")

    return import_allowed
