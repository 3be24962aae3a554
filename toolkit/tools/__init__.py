"""Functions that model-written code may call: the user's own, and search."""

from toolkit.tools.declaration import tool
from toolkit.tools.loading import load_tools
from toolkit.tools.search import web_search

__all__ = ["load_tools", "tool", "web_search"]
