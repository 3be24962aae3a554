"""Which modules an action may import, and where the session's interpreter finds them.

Only top-level packages are named; what is inside them comes along. Invariant: a library that is
not installed is either left out, if it is one of the defaults, or refused before anything starts.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path

from toolkit.errors import InputError

DEFAULT_MODULES = frozenset(
    """
    __future__ abc array base64 bisect calendar cmath collections contextlib copy csv dataclasses datetime decimal
    difflib enum fractions functools hashlib heapq io itertools json math mpmath numbers numpy operator pprint random
    re statistics string struct sympy textwrap time types typing unicodedata zoneinfo
    """.split()
)
"""Calculation, text, containers and dates; numpy, sympy and its mpmath where they are installed."""


def importable(modules: Collection[str]) -> frozenset[str]:
    """Those of `modules` that can be imported here; only defaults may be missing.

    Raises:
        InputError: a module is dotted, or is neither a default nor installed.
    """
    found = set()
    for name in modules:
        if not name.isidentifier():
            advice = f"; give {root!r} instead" if (root := name.partition(".")[0]) and root != name else ""
            raise InputError(f"allowed modules are top-level packages, not {name!r}{advice}")
        if _is_here(name):
            found.add(name)
        elif name not in DEFAULT_MODULES:
            raise InputError(f"allowed module {name!r} is not installed; install it or take it from the list")
    return frozenset(found)


def _is_here(name: str) -> bool:
    try:
        return find_spec(name) is not None  # also of the standard library: parts of it are for other systems
    except ValueError:  # `__main__`
        return False


def library_paths(modules: Collection[str]) -> list[str]:
    """Directories to search for `modules` beyond the standard library: where they are, and site-packages."""
    places = [entry for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")]
    for name in sorted(set(modules) - sys.stdlib_module_names):
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            origin = Path(spec.origin)
            places.append(str(origin.parent.parent if spec.submodule_search_locations else origin.parent))
    return list(dict.fromkeys(places))
