"""The only thing that deletes files of a lake: leftovers of writers that died, and, when asked, history.

Invariant: no file that the newest commit, a selection's input commit, or a living writer
needs is ever removed, and no file that is not ours. Foreign files are named by `check` and
left alone, with the directory they lie in.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from schemas import TABLES
from toolkit.errors import LakeDamagedError, LakeError
from toolkit.lake.check import LOST, abandoned_segments, age_s, lost_directories, temporary_files
from toolkit.lake.lake import Lake
from toolkit.lake.literal import literal
from toolkit.lake.segments import WRITING

OLDER_THAN_S = 3600.0
_OURS = (*(f"{name}.parquet" for name in TABLES), WRITING)


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """What was removed, or would be."""

    leftovers: list[Path]
    """Segments and temporary files that no commit names."""
    superseded: list[Path]
    """Segments that only commits before the newest need."""
    freed_bytes: int


def vacuum(lake: Lake, *, older_than_s: float = OLDER_THAN_S, history: bool = False, dry_run: bool = False) -> Vacuumed:
    """Remove leftovers older than `older_than_s`; with `history`, also segments superseded that long ago.

    After `history`, `--at N` no longer reaches the commits that needed them; the commits that
    selections were made from stay readable. The age spares readers and filters at work.

    Raises:
        LakeError: a file cannot be removed.
        LakeDamagedError: the log or the segments are gone, so that nobody knows what is needed.
    """
    if lost := lost_directories(lake):
        raise LakeDamagedError(f"{lost[0]} {LOST}; nothing was removed")
    leftovers = [path for path in abandoned_segments(lake) if age_s(path) >= older_than_s]
    leftovers += temporary_files(lake, older_than_s=older_than_s)
    superseded = _superseded(lake, older_than_s) if history else []
    freed = sum(_size(path) for path in [*leftovers, *superseded])
    if dry_run:
        return Vacuumed(leftovers, superseded, freed)
    if superseded:
        # First said, then done: whoever misses a file finds the reason in the log.
        lake.log.append(by="vacuum --history", added={}, vacuumed=[path.name for path in superseded])
    for path in [*leftovers, *superseded]:
        _remove(path)
    return Vacuumed(leftovers, superseded, freed)


def _superseded(lake: Lake, older_than_s: float) -> list[Path]:
    needed = set(lake.snapshot().segments)
    # A selection older than its lake was pulled: its commit is a number of the lake that it was made in.
    made_here = f"created_at >= {literal(lake.identity.created_at.isoformat())}::TIMESTAMPTZ"
    for (commit,) in lake.sql(f"SELECT DISTINCT input_commit FROM selections WHERE {made_here}").fetchall():
        needed |= set(lake.snapshot(commit).segments)
    until = time.time() - older_than_s
    removed = {name for commit in lake.log.history() if commit.at.timestamp() <= until for name in commit.removed}
    paths = [lake.layout.segment(name) for name in sorted(removed - needed)]
    return [path for path in paths if any((path / name).exists() for name in _OURS)]


def _size(path: Path) -> int:
    files = [path / name for name in _OURS] if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _remove(path: Path) -> None:
    """Remove a temporary file, or of a segment our files, and the directory if nothing else is in it."""
    try:
        if not path.is_dir():
            path.unlink(missing_ok=True)
            return
        for name in _OURS:
            (path / name).unlink(missing_ok=True)
    except OSError as error:
        raise LakeError(f"cannot remove {path}: {error.strerror or error}") from error
    with suppress(OSError):
        path.rmdir()
