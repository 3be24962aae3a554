"""The tools that every stage works with, and the toolkit's Python interface.

    import toolkit
    lake = toolkit.open_lake("lake")
    lake.sql("SELECT dataset, count(*) FROM trajectories GROUP BY 1")
    lake.scan("steps").filter(pl.col("error_kind") != "none").collect()
    lake.selection("v1")  # a datasets.Dataset with `messages`
    toolkit.generate("minipedia:train", limit=500, lake="lake")
    toolkit.ask("Who founded it?", model="openai:my-model", base_url="http://127.0.0.1:8000/v1")

Names are imported when they are first used, so that `import toolkit` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.api import Lake as Lake
    from toolkit.api import open_lake as open_lake
    from toolkit.sandbox import Sandbox as Sandbox
    from toolkit.tools import tool as tool

_HOMES = {
    "Lake": "toolkit.api",
    "Sandbox": "toolkit.sandbox",
    "ask": "pipelines.python_api",
    "generate": "pipelines.python_api",
    "open_lake": "toolkit.api",
    "tool": "toolkit.tools",
}
"""Where each name lives. Stages stand above this package, so they are looked up by name, as commands are."""

__all__ = ["Lake", "Sandbox", "ask", "generate", "open_lake", "tool"]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'toolkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
