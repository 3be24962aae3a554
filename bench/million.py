"""A million trajectories, from files to a curated lake, by the commands that users type: `python -m bench.million`.

Synthetic files (`bench.million_rows`) → `toolkit import`, `compact`, `filter`, `filter` again, `stats`, `diff`, and the
queries of `docs/queries.md`. Each command is a process of its own; wall and processor time, its own peak of memory and
the size of the lake's directory are written down. The recipe's `dedup` with `jaccard` makes the sketches (signatures)
and keeps them in the lake, so that the second `filter` shows what they save; `--no-sketches` leaves that rule out.

Queries are asked of one open connection, as a program would; the first answer warms the file cache, the median of the
others counts. Not covered: texts of real length; grading, which `bench.grading` measures.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.million_rows import TEACHERS, write_files
from toolkit.lake.lake import open_lake

QUERIES = Path(__file__).parent.parent / "docs" / "queries.md"
BUDGET_S = 1.0
"""What a documented query may take."""
_QUERY = re.compile(r"^## ([^\n]+)\n+```sql\n(.+?)```", re.MULTILINE | re.DOTALL)


@dataclass
class Stage:
    """What one command took."""

    name: str
    wall_s: float
    cpu_s: float
    """Processor time of the process and its children."""
    peak_mb: float
    """The most memory that the largest of its processes held."""
    lake_mb: float
    """Size of the lake's directory afterwards, superseded segments included."""


def recipe(*, sketches: bool) -> str:
    """The recipe that is measured: every rule that works on all rows."""
    shares = ", ".join(f"{teacher}: {share}" for teacher, share in zip(TEACHERS, (0.4, 0.4, 0.2), strict=True))
    near = ["  - dedup: {by: actions, jaccard: 0.8, keep: shortest}"] if sketches else []
    steps = [
        *near,
        "  - dedup: {by: trajectory}",
        "  - where: \"correct and stop_reason = 'final_answer' and parse_errors = 0\"",
        '  - where: "samples >= 4 and pass_rate between 0.25 and 0.75"',
        "  - max_tokens: {n: 2000}",
        "  - best_of: {per_task: 2, order_by: [n_steps]}",
        "  - mask_steps: \"error_kind <> 'none'\"",
        f"  - mix: {{by: teacher, shares: {{{shares}}}}}",
        "  - balance: {by: dataset}",
    ]
    return "\n".join(["name: million", "steps:", *steps]) + "\n"


def toolkit(name: str, lake: Path, *arguments: str) -> Stage:
    """Run one command to its end."""
    command = [sys.executable, "-m", "toolkit.cli", *arguments, "--lake", str(lake)]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read()
    # Of this very process, not the most that any child ever held.
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - began
    if process.returncode != 0:
        raise SystemExit(
            f"{' '.join(command)} ended with {process.returncode}: {said.decode(errors='replace')[-2_000:]}"
        )
    stage = Stage(name, wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, megabytes(lake))
    print(f"{name}: {wall_s:.1f} s", file=sys.stderr, flush=True)
    return stage


def megabytes(directory: Path) -> float:
    """Bytes of all files, in millions."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()) / 1e6


def documented_queries(path: Path = QUERIES) -> dict[str, str]:
    """The queries of the documentation, by their headings."""
    return dict(_QUERY.findall(path.read_text(encoding="utf-8")))


def ask(lake: Path, repeats: int) -> list[dict[str, Any]]:
    """Median seconds of each documented query over an open lake, and the least processor time."""
    connection = open_lake(lake).snapshot().connect()
    queries = documented_queries()
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in queries}
    for _ in range(repeats + 1):
        for name, query in queries.items():
            began = time.perf_counter(), time.process_time()
            connection.execute(query).fetchall()
            times[name].append((time.perf_counter() - began[0], time.process_time() - began[1]))
    return [
        {
            "query": name,
            "wall_s": statistics.median(wall for wall, _ in found[1:]),
            "cpu_s": min(cpu for _, cpu in found[1:]),
        }
        for name, found in times.items()
    ]


def run(count: int, seed: int, repeats: int, sketches: bool, directory: Path) -> dict[str, Any]:
    """Everything that is measured."""
    began = time.perf_counter()
    files = write_files(directory / "files", count, seed=seed)
    made_s = time.perf_counter() - began
    lake, curation = directory / "lake", directory / "recipe.yaml"
    curation.write_text(recipe(sketches=sketches), encoding="utf-8")
    stages = [toolkit(f"import {name}", lake, "import", str(path), "--dataset", name) for name, path in files.items()]
    stages += [
        toolkit("compact", lake, "compact"),
        toolkit("filter", lake, "filter", str(curation)),
        toolkit("filter again", lake, "filter", str(curation), "--name", "again"),
        toolkit("stats", lake, "stats"),
        toolkit("stats of the selection", lake, "stats", "--selection", "million"),
        toolkit("diff", lake, "diff", "million", "again"),
    ]
    # Filtering adds segments, which keep views from being bare scans.
    stages.append(toolkit("compact again", lake, "compact"))
    snapshot = open_lake(lake).snapshot()
    return {
        "trajectories": snapshot.rows("trajectories"),
        "steps": snapshot.rows("steps"),
        "signatures": snapshot.rows("signatures"),
        "input_mb": sum(path.stat().st_size for path in files.values()) / 1e6,
        "live_mb": snapshot.size_bytes() / 1e6,
        "making_files_s": made_s,
        "load_average": os.getloadavg(),
        "stages": [asdict(stage) for stage in stages],
        "queries": ask(lake, repeats),
    }


def print_report(report: dict[str, Any]) -> None:
    """Both tables, as Markdown."""
    print(
        f"{report['trajectories']:,} trajectories, {report['steps']:,} steps, {report['signatures']:,} sketches; "
        f"files of {report['input_mb']:,.0f} MB, made in {report['making_files_s']:,.0f} s; live lake of "
        f"{report['live_mb']:,.0f} MB; {os.cpu_count()} cores, load average {report['load_average'][0]:.1f}\n"
    )
    print("| stage | s | processor s | trajectories/s | peak MB | lake's directory, MB |\n|---|---|---|---|---|---|")
    for stage in report["stages"]:
        rows = report["trajectories"] // (2 if stage["name"].startswith("import") else 1)
        print(
            f"| {stage['name']} | {stage['wall_s']:,.1f} | {stage['cpu_s']:,.1f} | {rows / stage['wall_s']:,.0f} "
            f"| {stage['peak_mb']:,.0f} | {stage['lake_mb']:,.0f} |"
        )
    print()
    print_queries(report["queries"])


def print_queries(times: list[dict[str, Any]]) -> None:
    """The second table."""
    print("| documented query | ms | processor ms |\n|---|---|---|")
    for found in times:
        late = "" if found["wall_s"] <= BUDGET_S else " (over the budget)"
        print(f"| {found['query']} | {found['wall_s'] * 1e3:,.0f}{late} | {found['cpu_s'] * 1e3:,.0f} |")


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trajectories", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-sketches", action="store_true", help="without the near-duplicate rule")
    parser.add_argument("--directory", type=Path, help="where files and lake are made, and stay; default: temporary")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--queries", type=Path, metavar="LAKE", help="only ask the queries, of a lake that was kept")
    options = parser.parse_args()
    if options.queries:
        report: dict[str, Any] = {"queries": ask(options.queries, options.repeats)}
        print_queries(report["queries"])
    else:
        report = _measured(options)
        print_report(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _measured(options: argparse.Namespace) -> dict[str, Any]:
    directory = options.directory or Path(tempfile.mkdtemp(prefix="bench-million-"))
    try:
        return run(options.trajectories, options.seed, options.repeats, not options.no_sketches, directory)
    finally:
        if options.directory is None:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
