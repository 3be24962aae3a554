"""`toolkit why`: one trajectory's fate in a selection, with the rule and what the rule saw."""

from __future__ import annotations

from typing import Any

import orjson

from toolkit.cli.options import DEFAULT_LAKE, AsJson, At, LakePath
from toolkit.cli.output import console, note, plain, print_json
from toolkit.errors import InputError
from toolkit.lake.lake import open_lake
from toolkit.lake.selections import find_selection, find_trajectory


def why_command(
    trajectory: str,
    /,
    *,
    selection: str,
    lake: LakePath = DEFAULT_LAKE,
    at: At = None,
    json: AsJson = False,
) -> None:
    """Say why a trajectory is in a selection or not.

    Args:
        trajectory: Its id, or the beginning of it.
        selection: Name of the selection.
        lake: Directory of the lake.
        at: Read the lake as it was after this commit.
        json: Print one JSON document.
    """
    snapshot = open_lake(lake).snapshot(at)
    chosen = find_selection(snapshot, selection)
    connection = snapshot.connect()
    trajectory_id = find_trajectory(connection, trajectory)
    decisions = connection.execute(
        "SELECT kept, rule, evidence, nearest_kept_id FROM decisions WHERE selection_id = ? AND trajectory_id = ?",
        [chosen.selection_id, trajectory_id],
    ).fetchall()
    if not decisions:
        raise InputError(
            f"selection {selection} does not decide on {trajectory_id}: it was made from commit {chosen.input_commit},"
            " before this trajectory was there; run the filter again"
        )
    kept, rule, evidence, nearest = decisions[0]
    masked = connection.execute(
        "SELECT step_index, weight, rule FROM step_weights WHERE selection_id = ? AND trajectory_id = ? ORDER BY 1",
        [chosen.selection_id, trajectory_id],
    ).fetchall()
    answer: dict[str, Any] = {
        "trajectory_id": trajectory_id,
        "selection": selection,
        "kept": kept,
        "rule": rule,
        "rule_text": _rule_text(chosen.recipe, rule),
        "evidence": orjson.loads(evidence) if evidence else None,
        "nearest_kept_id": nearest,
        "step_weights": [{"step_index": index, "weight": weight, "rule": by} for index, weight, by in masked],
    }
    if json:
        print_json(answer)
    else:
        _print(answer)


def _rule_text(recipe: str, rule: str) -> str | None:
    """The recipe step that the label `position: name` stands for."""
    position = rule.split(":")[0]
    if not position.isdigit():
        return None
    return orjson.dumps(orjson.loads(recipe)["steps"][int(position) - 1]).decode()


def _print(answer: dict[str, Any]) -> None:
    verdict = "[green]kept[/]" if answer["kept"] else "[red]dropped[/]"
    console.print(f"{answer['trajectory_id']} is {verdict} in {plain(answer['selection'])}")
    if answer["kept"]:
        console.print("  it passed every rule")
    else:
        console.print(f"  by rule {plain(answer['rule'])}: {plain(answer['rule_text'] or '')}")
    for name, value in (answer["evidence"] or {}).items():
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
        console.print(f"  {plain(name)}: {plain(text)}")
    if answer["nearest_kept_id"]:
        console.print(f"  in its place stayed {answer['nearest_kept_id']}")
    for weight in answer["step_weights"]:
        console.print(f"  step {weight['step_index']} has weight {weight['weight']:g} by {plain(weight['rule'])}")
    if answer["nearest_kept_id"]:
        note(f"compare: toolkit show {answer['trajectory_id'][:10]}, toolkit show {answer['nearest_kept_id'][:10]}")
