"""What must hold of a lake at every moment, whoever was killed: asked of it through its own views.

Every file that is imported here holds the same number of episodes and fits one commit. So a
dataset is in the lake whole or not at all, and what was seen once is seen for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from toolkit.lake.check import check
from toolkit.lake.lake import Lake, open_lake

EPISODES = 150
STEPS = 3
_ORPHANS = """
SELECT (SELECT count(*) FROM raw.steps ANTI JOIN raw.trajectories USING (trajectory_id, attempt))
     + (SELECT count(*) FROM raw.tool_calls ANTI JOIN raw.steps USING (trajectory_id, attempt, step_index))
     + (SELECT count(*) FROM raw.scores ANTI JOIN raw.trajectories USING (trajectory_id, attempt))
     + (SELECT count(*) FROM raw.trajectories ANTI JOIN raw.tasks USING (task_id))
     + (SELECT count(*) FROM raw.decisions ANTI JOIN raw.selections USING (selection_id))
"""
_SELECTIONS = """
SELECT name, n_input, n_kept, count(d.trajectory_id), count(d.trajectory_id) FILTER (d.kept)
FROM (SELECT DISTINCT name, selection_id, n_input, n_kept FROM raw.selections)
LEFT JOIN raw.decisions d USING (selection_id)
GROUP BY ALL
"""


@dataclass(frozen=True)
class Seen:
    """What one look found."""

    commit: int
    datasets: frozenset[str]
    selections: frozenset[str]

    def must_follow(self, earlier: Seen) -> None:
        """See that nothing which was there is gone."""
        assert self.commit >= earlier.commit, (self, earlier)
        assert self.datasets >= earlier.datasets, earlier.datasets - self.datasets
        assert self.selections >= earlier.selections, earlier.selections - self.selections


NOTHING = Seen(0, frozenset(), frozenset())


def look(lake: Lake) -> Seen:
    """Read the newest snapshot and see that it is whole."""
    snapshot = lake.snapshot()
    connection = snapshot.connect()
    try:
        datasets = connection.execute(
            "SELECT dataset, count(*), count(DISTINCT trajectory_id), sum(n_steps), sum(n_tool_calls)"
            " FROM raw.trajectories GROUP BY dataset"
        ).fetchall()
        for dataset, rows, ids, steps, calls in datasets:
            assert (rows, ids, steps, calls) == (EPISODES, EPISODES, EPISODES * STEPS, EPISODES * (STEPS - 1)), dataset
        for table, each in (("trajectories", 1), ("steps", STEPS), ("tool_calls", STEPS - 1), ("scores", 1)):
            [(raw, current)] = connection.execute(
                f"SELECT (SELECT count(*) FROM raw.{table}), (SELECT count(*) FROM {table})"
            ).fetchall()
            assert raw == current == len(datasets) * EPISODES * each, table
        assert connection.execute(_ORPHANS).fetchall() == [(0,)]
        selections = connection.execute(_SELECTIONS).fetchall()
        for name, n_input, n_kept, decided, kept in selections:
            assert (n_input, n_kept) == (decided, kept), name
    finally:
        connection.close()
    return Seen(snapshot.number, frozenset(row[0] for row in datasets), frozenset(row[0] for row in selections))


class Memory:
    """Every commit that was ever seen, to the byte."""

    def __init__(self) -> None:
        self._commits: dict[int, bytes] = {}
        self._seen = NOTHING

    def inspect(self, path: Path) -> Seen:
        """Look at the lake with fresh eyes, and hold it against all that was seen before."""
        lake = open_lake(path)
        numbers = lake.log.numbers()
        for number, content in self._commits.items():
            assert lake.layout.commit(number).read_bytes() == content, f"commit {number} changed"
        self._commits.update({number: lake.layout.commit(number).read_bytes() for number in numbers})
        bad = [finding for finding in check(lake) if finding.severity != "leftover"]
        assert bad == []
        seen = look(lake)
        seen.must_follow(self._seen)
        self._seen = seen
        return seen
