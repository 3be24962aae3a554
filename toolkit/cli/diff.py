"""`toolkit diff`: what two selections decide differently."""

from __future__ import annotations

from typing import Annotated, Any

import pyarrow as pa
from cyclopts import Parameter

from schemas import Selection
from toolkit.cli.options import DEFAULT_LAKE, AsJson, LakePath
from toolkit.cli.output import note, print_json, print_table
from toolkit.errors import InputError
from toolkit.lake.lake import Lake, open_lake
from toolkit.lake.selections import find_selection

_KEEP_ROWS = 20

Fates = dict[str, tuple[bool, str]]
"""Kept or not, and by which rule, by trajectory_id."""


def diff_command(
    left: str,
    right: str,
    /,
    *,
    lake: LakePath = DEFAULT_LAKE,
    rows: Annotated[int, Parameter(help="Rows to print; --json prints all.")] = _KEEP_ROWS,
    json: AsJson = False,
) -> None:
    """Compare two selections, or two states of one.

    Args:
        left: Name of a selection, or NAME@COMMIT for what it was after that commit.
        right: The same.
        lake: Directory of the lake.
        rows: Rows to print; --json prints all.
        json: Print one JSON document.
    """
    opened = open_lake(lake)
    (old, old_fates), (new, new_fates) = _load(opened, left), _load(opened, right)
    found = _compare(old_fates, new_fates)
    if json:
        same = old.content_hash == new.content_hash
        hashes = {"left_hash": old.content_hash, "right_hash": new.content_hash, "same_content": same}
        print_json({"left": left, "right": right, **hashes, **found})
        return
    counts = [[name.replace("_", " "), len(value)] for name, value in found.items()]
    print_table(["trajectories", "count"], counts, title=f"{left} → {right}")
    shown = [[row["trajectory_id"], row["left"], row["right"]] for value in found.values() for row in value]
    if shown:
        print_table(["trajectory", left, right], shown[:rows])
    if len(shown) > rows:
        note(f"… and {len(shown) - rows:,} more; --rows or --json show them")
    if not shown:
        note("both decide the same on every trajectory")


def _load(lake: Lake, text: str) -> tuple[Selection, Fates]:
    name, _, commit = text.partition("@")
    if commit and not commit.isdigit():
        raise InputError(f"expected NAME or NAME@COMMIT with a number, got {text!r}")
    snapshot = lake.snapshot(int(commit) if commit else None)
    selection = find_selection(snapshot, name)
    query = f"SELECT trajectory_id, kept, rule FROM decisions WHERE selection_id = '{selection.selection_id}'"
    data: pa.Table = snapshot.connect().sql(query).to_arrow_table()
    columns = (data.column(name).to_pylist() for name in ("trajectory_id", "kept", "rule"))
    return selection, {key: (kept, rule) for key, kept, rule in zip(*columns, strict=True)}


def _compare(old: Fates, new: Fates) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("in", "out", "reason_changed", "only_left", "only_right")
    }
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        if before is None or after is None:
            kind = "only_right" if before is None else "only_left"
        elif before[0] != after[0]:
            kind = "in" if after[0] else "out"
        else:
            kind = "reason_changed"
        found[kind].append({"trajectory_id": key, "left": _word(before), "right": _word(after)})
    return found


def _word(fate: tuple[bool, str] | None) -> str:
    if fate is None:
        return "not decided on"
    return "kept" if fate[0] else f"dropped by {fate[1]}"
