"""Reading named selections: their row, their decisions, and what they keep with its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from difflib import get_close_matches

import duckdb

from schemas import Selection
from schemas.arrow import rows_from_arrow
from schemas.identity import ID_DIGITS
from toolkit.errors import InputError
from toolkit.lake.records import TrajectoryRecord, read_records
from toolkit.lake.snapshot import Snapshot

WEIGHTS_TEXT = "string_agg(step_index || ':' || weight, ',' ORDER BY step_index)"
"""Of a trajectory's rows of step_weights, the text by which selections are hashed and compared."""


def find_selection(snapshot: Snapshot, name: str) -> Selection:
    """The newest selection called `name`.

    Raises:
        InputError: there is none; the message names those that exist.
    """
    connection = snapshot.connect()
    try:
        relation = connection.sql("SELECT * FROM selections ORDER BY name")
        found = {row.name: row for row in rows_from_arrow(Selection, relation.to_arrow_table())}
    finally:
        connection.close()
    if name in found:
        return found[name]
    if not found:
        raise InputError(f"there is no selection {name!r}: the lake has none; `toolkit filter RECIPE` makes one")
    close = get_close_matches(name, found, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(found)}"
    raise InputError(f"there is no selection {name!r}{hint}")


def require_as_made(connection: duckdb.DuckDBPyConnection, selection: Selection) -> None:
    """See that what a selection keeps is still what its rules have looked at.

    Raises:
        InputError: a kept trajectory has a newer attempt.
    """
    query = """SELECT 1 FROM decisions d JOIN trajectories t USING (trajectory_id)
        WHERE selection_id = ? AND kept AND t.attempt <> d.attempt LIMIT 1"""
    if connection.cursor().execute(query, [selection.selection_id]).fetchone() is not None:
        raise InputError(
            f"trajectories of selection {selection.name!r} were tried again since it was made of commit"
            f" {selection.input_commit}: `toolkit filter` makes it anew, `--at` reads it as it was"
        )


def read_selected(
    connection: duckdb.DuckDBPyConnection, selection: Selection
) -> Iterator[tuple[TrajectoryRecord, dict[int, float]]]:
    """Kept trajectories in order of id, each with the weights that rules gave to its steps.

    Raises:
        InputError: a kept trajectory has a newer attempt, which no rule has seen.
    """
    require_as_made(connection, selection)
    selection_id = selection.selection_id
    weights: dict[str, dict[int, float]] = {}
    query = "SELECT trajectory_id, step_index, weight FROM step_weights WHERE selection_id = ?"
    for trajectory_id, step_index, weight in connection.cursor().execute(query, [selection_id]).fetchall():
        weights.setdefault(trajectory_id, {})[step_index] = weight
    kept = f"SELECT trajectory_id FROM decisions WHERE kept AND selection_id = '{selection_id}'"
    for record in read_records(connection, kept):
        yield record, weights.get(record.trajectory.trajectory_id, {})


def hash_kept(connection: duckdb.DuckDBPyConnection, kept: str, weights: str) -> str:
    """Hash over (content_hash, step weights) of what is kept, in order of trajectory_id.

    `kept` and `weights` are what stands in FROM: rows with trajectory_id, and rows with step_index and weight, too.
    """
    relation = connection.sql(f"""
        SELECT content_hash, weights FROM trajectories SEMI JOIN {kept} kept USING (trajectory_id)
        LEFT JOIN (SELECT trajectory_id, {WEIGHTS_TEXT} AS weights
                   FROM {weights} given GROUP BY 1) USING (trajectory_id)
        ORDER BY trajectory_id""")
    digest = hashlib.sha256()
    for batch in relation.to_arrow_reader(50_000):
        for row in batch.to_pylist():
            digest.update(f"{row['content_hash']} {row['weights'] or ''}\n".encode())
    return digest.hexdigest()[:ID_DIGITS]


def selection_hash(connection: duckdb.DuckDBPyConnection, selection_id: str) -> str:
    """`content_hash` of a selection, counted again from its decisions, weights and trajectories."""
    of = f"WHERE selection_id = '{selection_id}'"
    return hash_kept(
        connection,
        f"(SELECT trajectory_id FROM decisions {of} AND kept)",
        f"(SELECT trajectory_id, step_index, weight FROM step_weights {of})",
    )


def find_trajectory(connection: duckdb.DuckDBPyConnection, text: str) -> str:
    """The trajectory_id that `text` is, or is the beginning of.

    Raises:
        InputError: no trajectory, or several.
    """
    query = "SELECT trajectory_id FROM trajectories WHERE starts_with(trajectory_id, ?) ORDER BY 1 LIMIT 4"
    found = [row[0] for row in connection.execute(query, [text]).fetchall()]
    if not found:
        raise InputError(f"there is no trajectory {text!r} in the lake")
    if len(found) > 1:
        raise InputError(f"{text!r} is the beginning of several trajectories: {', '.join(found[:3])}, …")
    return str(found[0])
