"""The tools that every stage works with, and the toolkit's Python interface.

    import toolkit
    lake = toolkit.open_lake("lake")
    lake.sql("SELECT dataset, count(*) FROM trajectories GROUP BY 1")
    lake.scan("steps").filter(pl.col("error_kind") != "none").collect()
    lake.selection("v1")  # a datasets.Dataset with `messages`

Names are imported when they are first used, so that `import toolkit` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.api import Lake as Lake
    from toolkit.api import open_lake as open_lake

_HOMES = {"Lake": "toolkit.api", "open_lake": "toolkit.api"}

__all__ = ["Lake", "open_lake"]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'toolkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
