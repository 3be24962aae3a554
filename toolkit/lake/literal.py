"""Text as a SQL literal, where a statement cannot take parameters: views, and queries built in parts."""

from __future__ import annotations


def literal(text: str) -> str:
    """`text` in single quotes, with those inside doubled."""
    return "'" + text.replace("'", "''") + "'"
