"""The allow-list of modules that an action may import.

It keeps honest code to libraries whose results can be reproduced. Not covered: reaching other modules
through an allowed one (`numpy.os`); that is for confinement to stop.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Collection, Mapping, Sequence


def importer(allowed: Collection[str]) -> Callable[..., object]:
    """An `__import__` that knows only the top-level packages `allowed` and what is inside them."""
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
            return builtins.__import__(name, globals, locals, fromlist, level)
        refused = root if level == 0 else "." * level + name
        raise ImportError(f"import of '{refused}' is not allowed here; allowed: {listing}")

    return import_allowed
