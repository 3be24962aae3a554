"""`toolkit stats`: what is in a lake, or in a selection."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from schemas import TABLES
from toolkit.cli.options import DEFAULT_LAKE, AsJson, At, LakePath
from toolkit.cli.output import note, print_json, print_table
from toolkit.lake.counts import by_dataset, by_rule, rows
from toolkit.lake.lake import open_lake
from toolkit.lake.selections import find_selection
from toolkit.lake.snapshot import Snapshot


def stats_command(
    *,
    selection: Annotated[str | None, Parameter(help="Count this selection instead of the whole lake.")] = None,
    lake: LakePath = DEFAULT_LAKE,
    at: At = None,
    json: AsJson = False,
) -> None:
    """Count what is in a lake or a selection.

    Args:
        selection: Count this selection instead of the whole lake.
        lake: Directory of the lake.
        at: Read the lake as it was after this commit.
        json: Print one JSON document.
    """
    snapshot = open_lake(lake).snapshot(at)
    found = _of_lake(snapshot) if selection is None else _of_selection(snapshot, selection)
    if json:
        print_json(found)
        return
    for title, value in found.items():
        if isinstance(value, list) and value:
            print_table(list(value[0]), [list(row.values()) for row in value], title=title.replace("_", " "))
    note(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in found.items() if not isinstance(value, list)))


def _of_lake(snapshot: Snapshot) -> dict[str, Any]:
    connection = snapshot.connect()
    tables = []
    for name in TABLES:
        current = connection.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0]
        tables.append({"table": name, "rows": current, "superseded": snapshot.rows(name) - current})
    selections = "SELECT name, n_input, n_kept, input_commit, content_hash FROM selections ORDER BY name"
    return {
        "commit": snapshot.number,
        "segments": len(snapshot.segments),
        "bytes": snapshot.size_bytes(),
        "tables": [table for table in tables if table["rows"]],
        "trajectories": by_dataset(connection),
        "selections": rows(connection, selections),
    }


def _of_selection(snapshot: Snapshot, name: str) -> dict[str, Any]:
    chosen = find_selection(snapshot, name)
    connection = snapshot.connect()
    kept = f"SELECT trajectory_id FROM decisions WHERE kept AND selection_id = '{chosen.selection_id}'"
    return {
        "selection": name,
        "content_hash": chosen.content_hash,
        "input_commit": chosen.input_commit,
        "input": chosen.n_input,
        "kept": chosen.n_kept,
        "decisions": by_rule(connection, chosen.selection_id),
        "kept_trajectories": by_dataset(connection, f"SEMI JOIN ({kept}) USING (trajectory_id)"),
    }
