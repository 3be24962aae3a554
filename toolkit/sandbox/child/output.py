"""Where `print` writes to, and how texts are made fit to be sent: bounded, and equal from run to run."""

from __future__ import annotations

import io
import re

_ADDRESS = re.compile(r"(?<= at )0x[0-9a-f]{6,16}(?=[>,])")


class Output(io.TextIOBase):
    """Keeps the first `limit` characters written and counts the others."""

    def __init__(self, limit: int) -> None:
        self._room = limit
        self._kept: list[str] = []
        self.cut_chars = 0

    def write(self, text: str) -> int:
        """Take `text`; returns its length, kept or not."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        kept = text[: self._room]
        if kept:
            self._kept.append(kept)
        self._room -= len(kept)
        self.cut_chars += len(text) - len(kept)
        return len(text)

    def writable(self) -> bool:
        """Always."""
        return True

    def text(self) -> str:
        """What was kept, without memory addresses."""
        return without_addresses("".join(self._kept))


def without_addresses(text: str) -> str:
    """`text` with the addresses of default reprs (`<object at 0x7f…>`) replaced: they differ from run to run."""
    return _ADDRESS.sub("0x0", text) if " at 0x" in text else text


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters of `text`, without addresses, and a note of what is missing."""
    if len(text) > limit:
        return f"{without_addresses(text[:limit])}… ({len(text) - limit:,} more characters)"
    return without_addresses(text)
