"""The rule `dedup` with `jaccard`: rows of which one role says almost what it says in a better row.

The road of the data: rows still in, best first → sketches (from the lake, or of texts read in blocks) → candidates →
their shingles, in a temporary file → what goes, and why. System prompts and descriptions of tools are in no role, so
they cannot make rows alike.
Invariants: memory grows with sketches, not with texts; the outcome does not depend on which sketches were stored, on
the number of processes, or on the order in which rows were imported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import duckdb
import numpy as np
import orjson
import pyarrow as pa

from pipelines.recipe import DedupOptions
from pipelines.rule_queries import STILL_IN, preference
from pipelines.stored_sketches import SketchStore
from schemas import SignatureRole
from toolkit.lake.lake import Lake
from toolkit.lake.literal import literal
from toolkit.similarity.near import Indices, Neighbours, Thinned
from toolkit.similarity.sketches import PERMUTATIONS, Flags, Parts, Sketches, Workshop
from toolkit.similarity.spilled import Spilled

BLOCK_ROWS = 4_000
"""Rows of which DuckDB sorts the texts at once: what is in memory at a time, and read from the lake once each."""
READ_ROWS = 1_000

DROPS = "SELECT trajectory_id, evidence, nearest_kept_id FROM near_duplicates"
"""What `find_near_duplicates` leaves behind."""

_TURN = "CASE WHEN thought IS NULL AND code IS NULL THEN completion ELSE concat_ws(chr(10), thought, code) END"
_SEEN = "CASE WHEN NOT is_final THEN observation END"
_STEP_TEXTS = {
    "actions": _TURN,
    "code": "code",
    "observations": _SEEN,
    "trajectory": f"concat_ws(chr(10), {_TURN}, {_SEEN})",
}
"""What a step adds to a role; null: nothing. What follows the final answer no agent sees; environments say the same
there to all ("Episode finished"), which made rows alike that had nothing else in that role."""
TEXTS_VERSION = "texts@1"
"""Belongs to the scheme of stored sketches: what a role is made of."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows still in, best first: their places are their numbers everywhere here."""

    keys: list[tuple[str, int]]
    """(trajectory_id, attempt)."""
    tasks: Indices
    """A number for each row's task."""


@dataclass(frozen=True, slots=True)
class _Drop:
    """One row that goes."""

    place: int
    stayed: int
    """The row in its place."""
    evidence: dict[str, object]


def find_near_duplicates(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    options: DedupOptions,
    *,
    is_dry: bool,
    workers: int | None = None,
) -> str:
    """Make the table `near_duplicates` of what goes; returns what the person who runs the filter should know.

    Raises:
        RunError: a process died, or the temporary directory is full.
    """
    assert options.jaccard is not None
    rows = _ranked(connection, options.keep)
    with Workshop(programs=options.by == "code", workers=workers) as workshop, Spilled() as sets:
        store = SketchStore(lake, options.by, f"{workshop.scheme} {TEXTS_VERSION}", is_dry)
        sketches, present, made = _sketches(connection, rows, store, workshop)
        groups = rows.tasks if options.per_task else None
        neighbours = Neighbours(sketches, present, groups, options.jaccard)
        for block in _blocks(rows, neighbours.rows):
            texts = _Texts(connection, rows, options.by, block)
            for index, values in enumerate(workshop.shingle_sets(texts)):
                sets.put(texts.places[index], values)
        thinned = neighbours.thin(sets.__getitem__)
    _leave(connection, rows, list(_drops(rows, present, neighbours, thinned, options)))
    advice = ""
    if options.by == "code" and not options.per_task:
        advice = "; programs of different questions were compared, too: `per_task: K` compares those of one question"
    return f"dedup by {options.by}: {len(rows.keys) - made:,} sketches were in the lake, {made:,} were made{advice}"


def _ranked(connection: duckdb.DuckDBPyConnection, keep: str) -> _Rows:
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE ranked AS
        SELECT row_number() OVER (ORDER BY {preference(keep)}) - 1 AS place, trajectory_id, attempt,
               dense_rank() OVER (ORDER BY task_id) AS task
        FROM trajectories_scored {STILL_IN}""")
    found = connection.sql("SELECT trajectory_id, attempt, task FROM ranked ORDER BY place").to_arrow_table()
    keys = list(zip(found["trajectory_id"].to_pylist(), found["attempt"].to_pylist(), strict=True))
    return _Rows(keys, found["task"].to_numpy())


def _sketches(
    connection: duckdb.DuckDBPyConnection, rows: _Rows, store: SketchStore, workshop: Workshop
) -> tuple[Sketches, Flags, int]:
    """Sketch by place, which places have any text, and how many sketches had to be made."""
    sketches = np.zeros((len(rows.keys), PERMUTATIONS), dtype=np.uint32)
    present = np.zeros(len(rows.keys), dtype=bool)
    missing = np.ones(len(rows.keys), dtype=bool)
    place_of = {key: place for place, key in enumerate(rows.keys)}
    for keys, values, are_present in store.read():
        known = [(place_of[key], index) for index, key in enumerate(keys) if key in place_of]
        places, indices = np.array(known, dtype=np.int64).reshape(-1, 2).T
        sketches[places], present[places], missing[places] = values[indices], are_present[indices], False
    for block in _blocks(rows, np.flatnonzero(missing)):
        texts, start = _Texts(connection, rows, store.role, block), 0
        for values, are_present in workshop.sketches(texts):
            places = np.array(texts.places[start : start + len(values)])
            sketches[places], present[places] = values, are_present
            start += len(values)
        store.write([rows.keys[place] for place in block.tolist()], sketches[block], present[block])
    return sketches, present, int(np.count_nonzero(missing))


def _blocks(rows: _Rows, places: Indices) -> Iterator[Indices]:
    """`places` in the order of their ids, as the lake's files are, in blocks."""
    ordered = np.array(sorted(places.tolist(), key=lambda place: rows.keys[place]), dtype=np.int64)
    for start in range(0, len(ordered), BLOCK_ROWS):
        yield ordered[start : start + BLOCK_ROWS]


class _Texts:
    """The texts of the rows in `block`, read as they are taken; rows without any are left out."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, rows: _Rows, role: SignatureRole, block: Indices) -> None:
        self.places: list[int] = []
        """Whose texts were taken, in order."""
        self._connection, self._role, self._block = connection, role, block
        self._first, self._last = (literal(rows.keys[place][0]) for place in (block[0], block[-1]))

    def __iter__(self) -> Iterator[Parts]:
        for place, texts in groupby(self._read(), key=itemgetter(0)):
            self.places.append(place)
            yield [text for _, text in texts]

    def _read(self) -> Iterator[tuple[int, str]]:
        self._connection.register("asked", pa.table({"place": self._block}))
        try:
            for batch in self._connection.sql(self._query()).to_arrow_reader(READ_ROWS):
                yield from zip(batch["place"].to_pylist(), batch["text"].to_pylist(), strict=True)
        finally:
            self._connection.unregister("asked")

    def _query(self) -> str:
        wanted = "(SELECT trajectory_id, place FROM ranked SEMI JOIN asked USING (place))"
        if self._role == "task":
            asked = f"trajectories_scored JOIN {wanted} USING (trajectory_id)"
            return f"SELECT place, question AS text FROM {asked} WHERE question IS NOT NULL"
        # By the range of ids, DuckDB passes over what a compacted lake holds of other blocks. Sorted, not gathered into
        # lists: that takes half the memory.
        return f"""
            SELECT place, {_STEP_TEXTS[self._role]} AS text FROM steps JOIN {wanted} USING (trajectory_id)
            WHERE trajectory_id BETWEEN {self._first} AND {self._last} AND text IS NOT NULL
            ORDER BY place, step_index"""


def _drops(
    rows: _Rows, present: Flags, neighbours: Neighbours, thinned: Thinned, options: DedupOptions
) -> Iterator[_Drop]:
    """What goes: rows near one that stays, and rows of strategies beyond the first `per_task` of their task."""
    said: dict[str, object] = {"by": options.by, "keep": options.keep, "threshold": options.jaccard}
    surplus = _surplus(rows, present, thinned, options.per_task) if options.per_task else {}
    for place in range(len(rows.keys)):
        match = thinned.matches.get(place)
        if place in surplus:
            strategy, stay = surplus[place]
            estimates = neighbours.estimates(place, np.array(stay))
            nearest = int(estimates.argmax())
            # Not near enough to be verified: only the sketches say how near.
            estimate = {"estimated_jaccard": round(float(estimates[nearest]), 2)}
            yield _Drop(place, stay[nearest], {**said, "per_task": options.per_task, "strategy": strategy, **estimate})
        elif match is not None:
            counted = {"shared_shingles": match.shared, "all_shingles": match.union}
            measured = {"jaccard": round(match.jaccard, 4), **counted, "cluster": thinned.clusters[place]}
            yield _Drop(place, match.keeper, {**said, **measured})


def _surplus(rows: _Rows, present: Flags, thinned: Thinned, per_task: int) -> dict[int, tuple[int, list[int]]]:
    """Rows of strategies beyond the first `per_task` of their task: which one of the task's, and the rows that stay.

    What says nothing in the role is no strategy.
    """
    firsts: dict[int, list[int]] = {}
    strategy_of: dict[int, int] = {}
    for place in np.flatnonzero(present).tolist():
        match, found = thinned.matches.get(place), firsts.setdefault(int(rows.tasks[place]), [])
        if match is None:
            found.append(place)
        strategy_of[place] = len(found) if match is None else strategy_of[match.keeper]
    return {
        place: (strategy, firsts[int(rows.tasks[place])][:per_task])
        for place, strategy in strategy_of.items()
        if strategy > per_task
    }


def _leave(connection: duckdb.DuckDBPyConnection, rows: _Rows, drops: list[_Drop]) -> None:
    found = {
        "trajectory_id": [rows.keys[drop.place][0] for drop in drops],
        "evidence": [orjson.dumps(drop.evidence).decode() for drop in drops],
        "nearest_kept_id": [rows.keys[drop.stayed][0] for drop in drops],
    }
    connection.register("found", pa.table({name: pa.array(values, pa.string()) for name, values in found.items()}))
    connection.execute("CREATE OR REPLACE TEMP TABLE near_duplicates AS SELECT * FROM found")
    connection.unregister("found")
