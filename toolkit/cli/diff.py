"""`toolkit diff`: what two selections decide differently, or keep differently where one is published.

A publication holds what was kept, so a comparison with one is by content: what each side
keeps, what it says (content hash) and how its steps weigh.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pyarrow as pa
from cyclopts import Parameter

from schemas import Selection
from toolkit.cli.options import DEFAULT_LAKE, AsJson, LakePath
from toolkit.cli.output import note, print_json, print_table
from toolkit.errors import InputError
from toolkit.lake.lake import Lake, open_lake
from toolkit.lake.selections import find_selection
from toolkit.lake.snapshot import Snapshot

if TYPE_CHECKING:
    from toolkit.hub.published import Contents

_KEEP_ROWS = 20

HUB = "hub:"
"""Begins the name of a published selection."""

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
    """Compare two selections, two states of one, or a selection with a published one.

    Args:
        left: Name of a selection, NAME@COMMIT for what it was after that commit, or hub:ORG/NAME[@REVISION].
        right: The same.
        lake: Directory of the lake.
        rows: Rows to print; --json prints all.
        json: Print one JSON document.
    """
    if left.startswith(HUB) or right.startswith(HUB):
        (old_hash, old_kept), (new_hash, new_kept) = (_contents(lake, side) for side in (left, right))
        found = _compare_contents(old_kept, new_kept)
    else:
        opened = open_lake(lake)
        (old, old_fates), (new, new_fates) = _load(opened, left), _load(opened, right)
        old_hash, new_hash = old.content_hash, new.content_hash
        found = _compare(old_fates, new_fates)
    if json:
        hashes = {"left_hash": old_hash, "right_hash": new_hash, "same_content": old_hash == new_hash}
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
        note("both keep the same" if HUB in left + right else "both decide the same on every trajectory")


def _find(lake: Lake, text: str) -> tuple[Snapshot, Selection]:
    name, _, commit = text.partition("@")
    if commit and not commit.isdigit():
        raise InputError(f"expected NAME or NAME@COMMIT with a number, got {text!r}")
    snapshot = lake.snapshot(int(commit) if commit else None)
    return snapshot, find_selection(snapshot, name)


def _load(lake: Lake, text: str) -> tuple[Selection, Fates]:
    snapshot, selection = _find(lake, text)
    query = f"SELECT trajectory_id, kept, rule FROM decisions WHERE selection_id = '{selection.selection_id}'"
    data: pa.Table = snapshot.connect().sql(query).to_arrow_table()
    columns = (data.column(name).to_pylist() for name in ("trajectory_id", "kept", "rule"))
    return selection, {key: (kept, rule) for key, kept, rule in zip(*columns, strict=True)}


def _contents(lake: Path, text: str) -> tuple[str, Contents]:
    """Content hash of a selection, here or published, and what each trajectory that it keeps says and weighs."""
    if text.startswith(HUB):
        # Only here: the client of the Hub is an extra, and slow to load.
        from toolkit.hub.published import fetch_manifest, read_contents
        from toolkit.hub.repository import Repository

        repo_id, _, revision = text.removeprefix(HUB).partition("@")
        repository = Repository(repo_id)
        manifest, commit = fetch_manifest(repository, revision or None)
        assert manifest.selection is not None
        return manifest.selection.content_hash, read_contents(repository, manifest, commit)
    snapshot, selection = _find(open_lake(lake), text)
    rows = snapshot.connect().execute(_KEPT, [selection.selection_id] * 2).fetchall()
    return selection.content_hash, {key: (said, weights) for key, said, weights in rows}


_KEPT = """
SELECT trajectory_id, content_hash, coalesce(weights, '') FROM trajectories
SEMI JOIN (SELECT trajectory_id FROM decisions WHERE kept AND selection_id = ?) USING (trajectory_id)
LEFT JOIN (SELECT trajectory_id, string_agg(step_index || ':' || weight, ',' ORDER BY step_index) AS weights
           FROM step_weights WHERE selection_id = ? GROUP BY 1) USING (trajectory_id)"""


def _compare_contents(old: Contents, new: Contents) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in ("in", "out", "content_changed", "weights_changed")}
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        if before is None or after is None:
            kind, words = ("in", ("not kept", "kept")) if before is None else ("out", ("kept", "not kept"))
        elif before[0] != after[0]:
            kind, words = "content_changed", (before[0], after[0])
        else:
            kind, words = "weights_changed", (before[1] or "all 1", after[1] or "all 1")
        found[kind].append({"trajectory_id": key, "left": words[0], "right": words[1]})
    return found


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
