"""`toolkit diff`: what two selections decide differently, or keep differently where one is published.

Of selections in a lake also what the difference does: figures of what each side keeps. A publication holds what was
kept, so a comparison with one is by content: what each side keeps, what it says (content hash) and how its steps weigh.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from schemas import Selection
from toolkit.cli.option_checks import check_counts
from toolkit.cli.options import DEFAULT_LAKE, AsJson, LakePath
from toolkit.cli.output import note, print_json, print_table
from toolkit.errors import InputError
from toolkit.lake.lake import Lake, open_lake
from toolkit.lake.selection_changes import KINDS, compare
from toolkit.lake.selections import WEIGHTS_TEXT, find_selection
from toolkit.lake.snapshot import Snapshot

if TYPE_CHECKING:
    from toolkit.hub.published import Contents

_KEEP_ROWS = 20

HUB = "hub:"
"""Begins the name of a published selection."""


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
    check_counts(rows=rows)
    if left.startswith(HUB) or right.startswith(HUB):
        _diff_contents(left, right, lake, rows, json)
    else:
        _diff_decisions(left, right, open_lake(lake), rows, json)


def _diff_decisions(left: str, right: str, lake: Lake, shown: int, json: bool) -> None:
    old, new = _find(lake, left)[1], _find(lake, right)[1]
    connection = lake.snapshot().connect()
    try:
        changes = compare(connection, old, new)
        moves, statistics = changes.moves(), changes.statistics()
        changed = changes.changed(None if json else shown)
    finally:
        connection.close()
    if json:
        by_kind: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
        for row in changed:
            by_kind[row.pop("kind")].append(row)
        print_json(_hashes(left, right, old.content_hash, new.content_hash) | by_kind | {"statistics": statistics})
        return
    title = f"{left} → {right}"
    if moves:
        cells = [[row["kind"].replace("_", " "), *list(row.values())[1:]] for row in moves]
        print_table(["change", left, right, "trajectories"], cells, title=title)
    print_table(["what is kept", left, right, "change"], [_moved(row) for row in statistics], title=title)
    if changed:
        print_table(["trajectory", left, right], [list(row.values())[1:] for row in changed])
    _note_rest(sum(row["trajectories"] for row in moves) - len(changed))
    if not moves:
        note("both decide the same on every trajectory")


def _moved(row: dict[str, Any]) -> list[object]:
    old, new = row["left"], row["right"]
    return [row["statistic"], old, new, None if old is None or new is None else _number(new - old)]


def _number(change: float) -> str:
    return "0" if change == 0 else f"{change:+,}" if isinstance(change, int) else f"{change:+,.4g}"


def _diff_contents(left: str, right: str, lake: Path, shown: int, json: bool) -> None:
    (old_hash, old_kept), (new_hash, new_kept) = (_contents(lake, side) for side in (left, right))
    found = _compare_contents(old_kept, new_kept)
    if json:
        print_json(_hashes(left, right, old_hash, new_hash) | found)
        return
    counts = [[name.replace("_", " "), len(value)] for name, value in found.items()]
    print_table(["trajectories", "count"], counts, title=f"{left} → {right}")
    changed = [[row["trajectory_id"], row["left"], row["right"]] for value in found.values() for row in value]
    if changed:
        print_table(["trajectory", left, right], changed[:shown])
    else:
        note("both keep the same")
    _note_rest(len(changed) - shown)


def _hashes(left: str, right: str, old: str, new: str) -> dict[str, Any]:
    return {"left": left, "right": right, "left_hash": old, "right_hash": new, "same_content": old == new}


def _note_rest(count: int) -> None:
    if count > 0:
        note(f"… and {count:,} more; --rows or --json show them")


def _find(lake: Lake, text: str) -> tuple[Snapshot, Selection]:
    name, _, commit = text.partition("@")
    if commit and not commit.isdecimal():
        raise InputError(f"expected NAME or NAME@COMMIT with a number, got {text!r}")
    snapshot = lake.snapshot(int(commit) if commit else None)
    return snapshot, find_selection(snapshot, name)


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


_KEPT = f"""
SELECT trajectory_id, content_hash, coalesce(weights, '') FROM trajectories
SEMI JOIN (SELECT trajectory_id FROM decisions WHERE kept AND selection_id = ?) USING (trajectory_id)
LEFT JOIN (SELECT trajectory_id, {WEIGHTS_TEXT} AS weights
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
