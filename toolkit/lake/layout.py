"""Where things lie in a lake directory, and writing files so that they survive a power cut.

    lake.json                     format version, id
    commits/00000042.json         the log
    segments/<id>/<table>.parquet every table of one batch
    journal/<identity>.sqlite     what rollouts in progress have been answered (`journals`)

A file appears under its name whole or not at all: it is written under a temporary name,
synced, and linked to its name, which fails if the name is taken.
"""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

_COMMIT_NAME = re.compile(r"^(\d{8,})\.json$", re.ASCII)
SEGMENT_NAME = re.compile(r"^\d{8}T\d{12}-[0-9a-f]{12}$", re.ASCII)
TOP_NAMES = frozenset({"lake.json", "commits", "segments", "journal"})
TEMPORARY_NAME = re.compile(r"^\..+\.tmp$")


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one lake."""

    root: Path

    @property
    def identity(self) -> Path:
        """The file that makes a directory a lake."""
        return self.root / "lake.json"

    @property
    def commits(self) -> Path:
        """The directory of the log."""
        return self.root / "commits"

    @property
    def segments(self) -> Path:
        """The directory of all segments."""
        return self.root / "segments"

    @property
    def journals(self) -> Path:
        """The directory of all journals."""
        return self.root / "journal"

    def commit(self, number: int) -> Path:
        """File of commit `number`."""
        return self.commits / f"{number:08d}.json"

    def segment(self, segment_id: str) -> Path:
        """Directory of a segment."""
        return self.segments / segment_id

    def table(self, segment_id: str, table: str) -> Path:
        """Parquet file of one table of a segment."""
        return self.segments / segment_id / f"{table}.parquet"


def commit_number(name: str) -> int | None:
    """Number of the commit in the file `name`; None if no writer of ours gives such a name."""
    match = _COMMIT_NAME.match(name)
    number = int(match[1]) if match else 0
    return number if number and name == f"{number:08d}.json" else None


def sync_directory(directory: Path) -> None:
    """Make the entries of `directory` durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the content of `path` durable."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def create_exclusively(path: Path, content: bytes) -> bool:
    """Create `path` with `content`, whole and durable; False if the name is already taken.

    Raises:
        OSError: the directory cannot be written, or the file system has no hard links.
    """
    temporary = path.parent / f".{path.name}.{secrets.token_hex(6)}.tmp"
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        sync_directory(path.parent)
        return True
    finally:
        temporary.unlink(missing_ok=True)
