"""`toolkit compact` and `toolkit vacuum`: keep a lake fast and small."""

from __future__ import annotations

import re
from typing import Annotated

from cyclopts import Parameter

from schemas import TABLES
from toolkit.cli.options import DEFAULT_LAKE, AsJson, DryRun, LakePath
from toolkit.cli.output import note, print_json, print_table, progress
from toolkit.errors import InputError
from toolkit.lake.compaction import TARGET_BYTES, compact
from toolkit.lake.lake import open_lake
from toolkit.lake.vacuum import vacuum

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def compact_command(
    *,
    lake: LakePath = DEFAULT_LAKE,
    target_mb: Annotated[int, Parameter(help="Size of a segment to aim at, in MB.")] = TARGET_BYTES // 2**20,
    json: AsJson = False,
) -> None:
    """Merge small segments into large, sorted ones; writers and readers may go on meanwhile.

    Args:
        lake: Directory of the lake.
        target_mb: Size of a segment to aim at, in MB.
        json: Print one JSON document.
    """
    if target_mb < 1:
        raise InputError(f"--target-mb must be at least 1, got {target_mb}")
    names = list(TABLES)
    with progress("compact", len(names), unit="tables") as advance:
        done = compact(
            open_lake(lake),
            target_bytes=target_mb * 2**20,
            progress=lambda table: advance(names.index(table), table),
        )
    if json:
        print_json({name: getattr(done, name) for name in done.__slots__})
        return
    if done.commit is None:
        note(f"nothing to do: {_why_not(done.segments_before, target_mb)}")
        return
    rows = [["segments", done.segments_before, done.segments_after], ["bytes", done.bytes_before, done.bytes_after]]
    print_table(["", "before", "after"], rows, title=f"commit {done.commit}")
    note("the old files stay for --at; `toolkit vacuum --history` removes them when they are an hour old")


def _why_not(segments: int, target_mb: int) -> str:
    """Why a lake of so many segments stays as it is."""
    if segments < 2:
        return "the lake has fewer than two segments"
    return f"the {segments:,} segments are as few as --target-mb {target_mb} allows, and sorted"


def vacuum_command(
    *,
    lake: LakePath = DEFAULT_LAKE,
    older_than: Annotated[str, Parameter(help="Spare younger leftovers: 30s, 10m, 1h, 7d.")] = "1h",
    history: Annotated[bool, Parameter(negative="", help="Also remove superseded segments.")] = False,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> None:
    """Remove files that no commit names, and with --history those that only old commits need.

    Args:
        lake: Directory of the lake.
        older_than: Spare younger leftovers, whose writer may still be at work.
        history: Also remove superseded segments; --at then no longer reaches their commits.
        dry_run: Name the files and remove nothing.
        json: Print one JSON document.
    """
    match = re.fullmatch(r"(\d+)([smhd])", older_than)
    if match is None:
        raise InputError(f"--older-than takes a number and one of s, m, h, d, such as 1h; got {older_than!r}")
    age_s = int(match[1]) * _UNITS_S[match[2]]
    done = vacuum(open_lake(lake), older_than_s=age_s, history=history, dry_run=dry_run)
    if json:
        paths = {name: [str(path) for path in getattr(done, name)] for name in ("leftovers", "superseded")}
        print_json({**paths, "freed_bytes": done.freed_bytes, "dry_run": dry_run})
        return
    for path in [*done.leftovers, *done.superseded]:
        note(f"{'would remove' if dry_run else 'removed'} {path}")
    note(f"{'would free' if dry_run else 'freed'} {done.freed_bytes:,} bytes")
