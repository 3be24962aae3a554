"""The only thing that deletes files of a lake: leftovers of writers that died, and, when asked, history.

Invariant: no file that the newest commit, a selection's input commit, or a living writer
needs is ever removed. Foreign files are named by `check` and left alone.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import LakeError
from toolkit.lake.check import unreferenced_segments
from toolkit.lake.lake import Lake
from toolkit.lake.layout import TEMPORARY_NAME
from toolkit.lake.segments import is_being_written

OLDER_THAN_S = 3600.0


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """What was removed, or would be."""

    leftovers: list[Path]
    """Segments and temporary files that no commit names."""
    superseded: list[Path]
    """Segments that only commits before the newest need."""
    freed_bytes: int


def vacuum(lake: Lake, *, older_than_s: float = OLDER_THAN_S, history: bool = False, dry_run: bool = False) -> Vacuumed:
    """Remove leftovers older than `older_than_s`; with `history`, also superseded segments.

    After `history`, `--at N` no longer reaches the commits that needed them; the commits that
    selections were made from stay readable.

    Raises:
        LakeError: a file cannot be removed.
    """
    leftovers = [path for path in unreferenced_segments(lake) if _is_abandoned(path, older_than_s)]
    leftovers += [path for path in _temporaries(lake) if _age_s(path) >= older_than_s]
    superseded = _superseded(lake) if history else []
    freed = sum(_size(path) for path in [*leftovers, *superseded])
    if dry_run:
        return Vacuumed(leftovers, superseded, freed)
    if superseded:
        lake.log.append(by="vacuum --history", added={}, vacuumed=[path.name for path in superseded])
    # Read the log again: a writer may have committed after the first look and before it let go of its lock.
    still = set(unreferenced_segments(lake)) | set(_temporaries(lake))
    for path in [*(path for path in leftovers if path in still), *superseded]:
        _remove(path)
    return Vacuumed(leftovers, superseded, freed)


def _is_abandoned(segment: Path, older_than_s: float) -> bool:
    return _age_s(segment) >= older_than_s and not is_being_written(segment)


def _temporaries(lake: Lake) -> list[Path]:
    return [path for path in lake.layout.commits.iterdir() if TEMPORARY_NAME.match(path.name)]


def _superseded(lake: Lake) -> list[Path]:
    needed = set(lake.snapshot().segments)
    for (commit,) in lake.sql("SELECT DISTINCT input_commit FROM selections").fetchall():
        needed |= set(lake.snapshot(commit).segments)
    removed = {name for commit in lake.log.history() for name in commit.removed}
    paths = [lake.layout.segment(name) for name in sorted(removed - needed)]
    return [path for path in paths if path.exists()]


def _age_s(path: Path) -> float:
    return time.time() - path.stat().st_mtime


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _remove(path: Path) -> None:
    try:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as error:
        raise LakeError(f"cannot remove {path}: {error.strerror or error}") from error
