"""The lake against JSON lines with `datasets` and against nested Parquet with DuckDB: `python -m bench.lake`.

All three hold the same seeded rows. Each question is asked of every store in turn, again and
again, so that whatever else the machine does hits them alike; medians are compared, and the
answers must be equal. `datasets` is asked fewer times, because it takes minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from bench.lake_peers import CODE, Answer, PeerFiles, datasets_queries, nested_queries, nested_row
from bench.synthetic import episodes, the_run
from toolkit.lake.compaction import compact
from toolkit.lake.lake import Lake, open_lake

COMMITS = 20
QUERIES = {
    "step aggregate": "SELECT sum(completion_tokens), count(*) FROM steps",
    "searches by dataset and length": """
        SELECT dataset, n_steps, count(*), sum(coalesce(searches, 0)) FROM trajectories LEFT JOIN (
            SELECT trajectory_id, count(*) AS searches FROM tool_calls WHERE name = 'web_search' GROUP BY 1
        ) USING (trajectory_id) GROUP BY ALL""",
    "error kinds by dataset": """
        SELECT dataset, error_kind, count(*) FROM steps JOIN trajectories USING (trajectory_id) GROUP BY ALL""",
    "correct share by length": """
        SELECT n_steps, count(*), count(*) FILTER (correct) FROM trajectories_scored GROUP BY ALL""",
    "curation predicate": """
        SELECT dataset, count(*) FROM trajectories_scored
        WHERE correct AND parse_errors = 0 AND n_steps <= 5 GROUP BY ALL""",
    "code regex": f"SELECT count(*) FROM steps WHERE regexp_matches(code, '{CODE.pattern}')",
}


def fill(lake: Lake, peers: PeerFiles, count: int, seed: int) -> dict[str, float]:
    """Write all stores; seconds each of them took, making the rows not counted."""
    spent = {"lake": 0.0, "nested Parquet": 0.0, "JSONL": 0.0}
    made = episodes(count, seed=seed)
    for start in range(0, count, size := -(-count // COMMITS)):
        groups = [next(made) for _ in range(min(size, count - start))]
        nested = [nested_row(rows) for rows in groups]
        with lake.write("bench") as batch:
            batch.add(row for rows in groups for row in rows)
            batch.add([the_run(seed)] if start == 0 else [])
            began = time.perf_counter()  # rows to Arrow, sorting, writing and the commit happen at the end of the block
        spent["lake"] += time.perf_counter() - began
        spent["nested Parquet"] += seconds(partial(peers.write_parquet, nested))
        spent["JSONL"] += seconds(partial(peers.write_jsonl, nested))
    peers.close()
    return spent


def seconds(action: Callable[[], object]) -> float:
    """Wall-clock time of `action`."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def lake_queries(connection: duckdb.DuckDBPyConnection) -> dict[str, Callable[[], Answer]]:
    """The questions, asked of the lake's views."""
    return {name: lambda sql=sql: sorted(connection.execute(sql).fetchall()) for name, sql in QUERIES.items()}


def measure(stores: dict[str, dict[str, Callable[[], Answer]]], repeats: int, slow: str) -> dict[str, dict[str, float]]:
    """Median seconds by question and store; `slow` is asked only twice."""
    times: dict[str, dict[str, list[float]]] = {name: {store: [] for store in stores} for name in QUERIES}
    for turn in range(repeats + 1):
        for name in QUERIES:
            answers: dict[str, Answer] = {}
            for store, questions in stores.items():
                if store == slow and turn not in (1, repeats):
                    continue
                began = time.perf_counter()
                answers[store] = questions[name]()
                if turn:  # the first turn warms the file cache
                    times[name][store].append(time.perf_counter() - began)
            assert len({str(plain(answer)) for answer in answers.values()}) == 1, (name, answers)
    return {name: {store: statistics.median(found) for store, found in row.items()} for name, row in times.items()}


def plain(answer: Answer) -> list[list[Any]]:
    """Numbers as plain integers, for comparing."""
    return [[int(value) if not isinstance(value, str) else value for value in row] for row in answer]


def run(count: int, repeats: int, seed: int, directory: Path) -> dict[str, Any]:
    """Everything that is measured."""
    lake, peers = open_lake(directory / "lake", create=True), PeerFiles(directory)
    written_s = fill(lake, peers, count, seed)
    before = lake.snapshot()
    compact_s = seconds(lambda: compact(lake))
    after = lake.snapshot()
    opened: dict[str, Any] = {}
    open_s = {
        "lake": seconds(lambda: opened.update(lake=lake_queries(after.connect()))),
        "lake, not compacted": seconds(lambda: opened.update({"lake, not compacted": lake_queries(before.connect())})),
        "nested Parquet": seconds(lambda: opened.update({"nested Parquet": nested_queries(peers.parquet)})),
        "JSONL + datasets": seconds(
            lambda: opened.update({"JSONL + datasets": datasets_queries(peers.jsonl, directory / "cache")})
        ),
    }
    return {
        "trajectories": count,
        "steps": after.rows("steps"),
        "seed": seed,
        "repeats": repeats,
        "write_s": written_s,
        "compact_s": compact_s,
        "segments": [len(before.segments), len(after.segments)],
        "bytes": {
            "lake": after.size_bytes(),
            "lake, not compacted": before.size_bytes(),
            "nested Parquet": peers.parquet.stat().st_size,
            "JSONL + datasets": peers.jsonl.stat().st_size,
        },
        "open_s": open_s,
        "median_s": measure(opened, repeats, slow="JSONL + datasets"),
    }


def print_report(report: dict[str, Any]) -> None:
    """The table."""
    stores = list(report["open_s"])
    print(f"{report['trajectories']:,} trajectories, {report['steps']:,} steps; {os.cpu_count()} cores")
    print("write: " + ", ".join(f"{store} {found:.1f} s" for store, found in report["write_s"].items()))
    print(f"compact: {report['compact_s']:.1f} s, {report['segments'][0]} → {report['segments'][1]} segments")
    print("size: " + ", ".join(f"{store} {found / 1e6:,.0f} MB" for store, found in report["bytes"].items()))
    print("open: " + ", ".join(f"{store} {found * 1e3:,.0f} ms" for store, found in report["open_s"].items()))
    print(f"\n{'median of ' + str(report['repeats']):32}" + "".join(f"{store:>28}" for store in stores))
    for name, row in report["median_s"].items():
        cells = [f"{row[store] * 1e3:,.1f} ms ({row[store] / row['lake']:,.1f}×)" for store in stores]
        print(f"{name:32}" + "".join(f"{cell:>28}" for cell in cells))


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trajectories", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    with tempfile.TemporaryDirectory(prefix="bench-lake-") as directory:
        report = run(options.trajectories, options.repeats, options.seed, Path(directory))
    print_report(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
