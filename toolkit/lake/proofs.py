"""What is known about the keys of a snapshot before any query runs, so that views can be bare scans.

The current rows of a table are, in general, a join and a window over all rows. Both fall away
where no key can occur twice and no row can lack its trajectory. Most of that follows from what
commits say about their files: key ranges, uniqueness inside a file, and whether each row stands
beside its trajectory (`attached`). Ids are hashes, so ranges of many segments overlap; then the
ids of `trajectories` alone are counted once, and the tables that follow it inherit the answer:
a step that occurs twice would need a trajectory that occurs twice.

Invariant: whatever is claimed here holds; what is not claimed may hold, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from schemas import TABLES, Table
from schemas.tables import LINKS
from toolkit.errors import LakeDamagedError
from toolkit.lake.commits import SegmentTable


@dataclass(frozen=True, slots=True)
class Proven:
    """Tables by what is known of their rows."""

    unique: frozenset[str]
    """No key occurs twice: each row is the newest of its key."""
    distinct: frozenset[str]
    """No fact (key and version) is stated twice; holds wherever `unique` does."""
    attached: frozenset[str]
    """Every row has the row of the table that it follows; true of tables that follow none."""

    def follows_freely(self, table: Table) -> bool:
        """Whether all rows of `table` are current, as far as the table that it follows decides."""
        return table.follows is None or (table.follows in self.unique and table.name in self.attached)


def prove(entries: Mapping[str, Sequence[SegmentTable]], trajectory_files: Sequence[Path]) -> Proven:
    """What `entries`, the commits' descriptions of each table's files, and the trajectories' ids say.

    Raises:
        LakeDamagedError: the ids cannot be read.
    """
    attached = frozenset(name for name in TABLES if all(entry.attached for entry in entries[name]))
    alone = {name for name in TABLES if all(entry.unique for entry in entries[name])}
    unique = {name for name in alone if ranges_apart(entries[name])}
    distinct = set(unique)
    if "trajectories" not in unique:
        ids_unique, attempts_unique = _count_ids(trajectory_files)
        unique |= {"trajectories"} if ids_unique else set()
        distinct |= {"trajectories"} if attempts_unique else set()
    if "trajectories" in distinct:
        unique |= {name for name in alone & attached if TABLES[name].follows == "trajectories"}
    return Proven(frozenset(unique), frozenset(distinct | unique), attached)


def ranges_apart(entries: Sequence[SegmentTable]) -> bool:
    """Whether the files' ranges of the first key column do not touch."""
    ordered = sorted(entries, key=lambda entry: entry.first)
    return all(left.last < right.first for left, right in zip(ordered, ordered[1:], strict=False))


def _count_ids(files: Sequence[Path]) -> tuple[bool, bool]:
    """Whether no trajectory_id, and whether no (trajectory_id, attempt), occurs twice."""
    names = [str(path) for path in files]
    try:
        with duckdb.connect() as connection:
            for columns in ("trajectory_id", ", ".join(LINKS["trajectories"])):
                query = f"SELECT {columns} FROM read_parquet(?, hive_partitioning = false)"
                counted = "SELECT count(*) = (SELECT count(*) FROM (SELECT DISTINCT * FROM r)) FROM r"
                ((once,),) = connection.execute(f"WITH r AS ({query}) {counted}", [names]).fetchall()
                if once:
                    return columns == "trajectory_id", True
    except duckdb.Error as error:
        raise LakeDamagedError(f"the ids of {len(files)} trajectory files cannot be read: {error}") from error
    return False, False
