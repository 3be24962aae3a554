"""Replace what the gate found, in every text where it stands.

Invariant: equal values get equal markers and different ones different markers, so that rows
stay distinct and a trajectory stays coherent. Ids stay; content hashes are made anew for what
changed, and token ids of a changed text are dropped, because they would spell it out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from pipelines.publish.detectors import Found
from pipelines.publish.gate import scan_tables
from pipelines.publish.tables import connect_tables, read_batches, table_path, write_batches
from pipelines.publish.texts import replaced, text_columns
from schemas import TABLES, Step
from schemas.arrow import arrow_schema
from schemas.identity import content_hash
from toolkit.errors import InputError
from toolkit.hub.manifest import Redaction
from toolkit.lake.selections import selection_hash

PASSES = 3
"""What stood behind a replaced text may only then be seen."""
_SPELLED = ("token_ids", "logprobs")


Changed = dict[str, set[str]]
"""By table, the ids of rows of which some text was replaced: trajectory_id, or the key."""


def redact(directory: Path) -> tuple[dict[str, int], Changed]:
    """Rewrite the tables below `directory` without what the gate finds: distinct values by kind, and what changed.

    Raises:
        InputError: something is still found afterwards.
    """
    markers: dict[str, str] = {}
    kinds: Counter[str] = Counter()
    changed: Changed = {name: set() for name in TABLES}
    for _ in range(PASSES):
        found = [place for _, place in scan_tables(directory)]
        if not found:
            return dict(kinds), changed
        new = _markers(found, markers, kinds)
        for name in TABLES:
            _rewrite(directory, name, new, changed[name])
    if scan_tables(directory):
        raise InputError("redaction does not come to an end; filter the trajectories that the report names")
    return dict(kinds), changed


def _markers(found: Sequence[Found], markers: dict[str, str], kinds: Counter[str]) -> dict[str, str]:
    """Markers of values not seen before; also entered into `markers` and `kinds`."""
    new = {}
    for place in found:
        if place.value not in markers:
            kinds[place.kind] += 1
            new[place.value] = markers[place.value] = f"[{place.kind} {kinds[place.kind]} removed]"
    return new


def _rewrite(directory: Path, table: str, markers: dict[str, str], changed: set[str]) -> None:
    # Longest first: one value may be the beginning of another.
    pattern = re.compile("|".join(re.escape(value) for value in sorted(markers, key=len, reverse=True)))
    key = "trajectory_id" if "trajectory_id" in TABLES[table].columns else TABLES[table].key[0]

    def change(text: str) -> str:
        return pattern.sub(lambda match: markers[match.group()], text)

    def rewritten(row: dict[str, Any]) -> dict[str, Any]:
        after = dict(row)
        for column in text_columns(table):
            after[column.name] = replaced(column, row[column.name], change)
        if after == row:
            return row
        changed.add(row[key])
        if after.get("completion") != row.get("completion"):
            after |= {name: None for name in _SPELLED if name in row}
            if "prefix_chars" in row:
                after["prefix_chars"] = len(change(row["completion"][: row["prefix_chars"]]))
        return after

    _map_rows(directory, table, rewritten)


def rehash(directory: Path, changed: Changed, kinds: dict[str, int]) -> Redaction:
    """Make the content hashes of what changed, and of the selection, anew in the tables below `directory`."""
    connection = connect_tables(directory)
    try:
        of_tasks = "SELECT trajectory_id FROM trajectories WHERE task_id IN (SELECT unnest(?))"
        asked = {row[0] for row in connection.execute(of_tasks, [list(changed["tasks"])]).fetchall()}
        hashes = _content_hashes(connection, changed["trajectories"] | changed["steps"] | asked)
        kept = {row[0] for row in connection.execute("SELECT trajectory_id FROM trajectories").fetchall()}
        before, selection_id = connection.execute("SELECT content_hash, selection_id FROM selections").fetchall()[0]
    finally:
        connection.close()
    _map_rows(
        directory,
        "trajectories",
        lambda row: {**row, "content_hash": hashes.get(row["trajectory_id"], row["content_hash"])},
    )
    connection = connect_tables(directory)
    try:
        after = selection_hash(connection, selection_id)
    finally:
        connection.close()
    _map_rows(directory, "selections", lambda row: {**row, "content_hash": after})
    of_rows = (changed[name] for name in TABLES if "trajectory_id" in TABLES[name].columns)
    return Redaction(
        values=sum(kinds.values()),
        kinds=kinds,
        trajectories=len(asked.union(*of_rows) & kept),
        content_hash_before=before,
    )


def _content_hashes(connection: duckdb.DuckDBPyConnection, ids: set[str]) -> dict[str, str]:
    chosen = "WHERE trajectory_id IN (SELECT unnest(?))"
    steps: dict[str, list[Step]] = {}
    said = f"SELECT trajectory_id, step_index, completion, code, observation FROM steps {chosen} ORDER BY ALL"
    for key, index, completion, code, observation in connection.execute(said, [list(ids)]).fetchall():
        step = Step.model_construct(
            trajectory_id=key, step_index=index, completion=completion, code=code, observation=observation
        )
        steps.setdefault(key, []).append(step)
    asked = f"SELECT trajectory_id, question, final_answer FROM trajectories LEFT JOIN tasks USING (task_id) {chosen}"
    return {
        key: content_hash(question or "", steps.get(key, []), answer)
        for key, question, answer in connection.execute(asked, [list(ids)]).fetchall()
    }


def _map_rows(directory: Path, table: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Rewrite one table row by row."""
    schema, path = arrow_schema(table), table_path(directory, table)
    batches = (
        pa.Table.from_pylist([change(row) for row in batch.to_pylist()], schema=schema)
        for batch in read_batches(directory, table)
    )
    temporary = path.with_suffix(".tmp")
    write_batches(TABLES[table], batches, temporary)
    temporary.replace(path)
