"""Process signals over many trajectories: how fast they are scored, and how long the queries take that use them.

    python -m bench.signals [--trajectories 10000]

Synthetic trajectories of code (`bench.synthetic`: five steps, a search of ten sentences each), one process. Rows are
scores. Processor time beside wall-clock time, for the machine may be busy.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.synthetic import episodes, the_run
from pipelines.filter import filter_lake
from pipelines.recipe import parse_recipe
from pipelines.signals import score_signals
from toolkit.lake.lake import Lake, open_lake
from toolkit.process.signals import NAMES

RECIPE = """\
name: by-signals
steps:
  - where: "repeated_calls = 0 and not hard_coded and grounded is not false"
  - mask_steps: "unused_retrieval or idle_code or loops"
"""
QUERIES = {
    "trajectories by signal": "SELECT loops, count(*), avg(steps_ratio) FROM trajectories_scored GROUP BY 1",
    "faults by step": "SELECT step_index, count(*) FILTER (unused_retrieval) FROM steps_scored GROUP BY 1",
    "without signals": "SELECT dataset, avg(n_steps) FROM trajectories_scored WHERE correct GROUP BY 1",
}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trajectories", type=int, default=10_000)
    count = parser.parse_args().trajectories
    with tempfile.TemporaryDirectory() as folder:
        lake = _lake(Path(folder) / "lake", count)
        with _timed("score --signals all", count, "trajectories"):
            rows = score_signals(lake, NAMES)
        print(f"{'scores written':24} {rows:,}")
        with _timed("again, nothing new"):
            score_signals(lake, NAMES)
        for name, query in QUERIES.items():
            with _timed(f"query: {name}"):
                lake.sql(query).fetchall()
        with _timed("filter by signals"):
            filter_lake(lake, parse_recipe(RECIPE, "bench"))


def _lake(path: Path, count: int) -> Lake:
    lake = open_lake(path, create=True)
    with lake.write("bench") as batch:
        batch.add([the_run(1)])
        for rows in episodes(count, seed=1):
            batch.add(rows)
    return lake


@contextmanager
def _timed(what: str, items: int = 0, unit: str = "") -> Iterator[None]:
    wall, processor = time.perf_counter(), time.process_time()
    yield
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    rate = f", {items / processor:,.0f} {unit} a processor second" if items else ""
    print(f"{what:32} {wall:.2f} s, {processor:.2f} s of processor{rate}", flush=True)


if __name__ == "__main__":
    main()
