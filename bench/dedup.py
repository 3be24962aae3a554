"""Near-duplicates: the toolkit against other tools: `python -m bench.dedup --peers PYTHON`.

Chats with planted near-copies (`bench.dedup_rows`), once plain and once with a system prompt of 9 KB that all share.
Every tool gets both, in turn, in a process of its own, `--rounds` times; medians are printed. The peers read the file;
the toolkit reads the lake that `toolkit import` made of it, which is timed beside it.
A family is a row with its copies. Recall is the share of copies that were dropped, one row of each family kept; lost is
every row without copies that was dropped, and every family of which nothing was kept. A tool that takes longer than
`--at-most` is ended; its rate is then an upper bound, and what it would have dropped is not known.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from bench import dedup_peers
from bench.dedup_rows import write_rows

LOOK_S = 0.2
VARIANTS = ("plain", "prompt")
PEERS = ("rensa", "datasketch", "datatrove")


def judged(dropped: Sequence[int], families: Sequence[int]) -> dict[str, int | float]:
    """Recall and lost rows of one outcome."""
    sizes, gone = Counter(families), Counter(families[number] for number in dropped)
    copies = sum(size - 1 for size in sizes.values())
    found = sum(min(count, sizes[family] - 1) for family, count in gone.items())
    return {"recall": found / copies, "lost": sum(gone[family] == size for family, size in sizes.items())}


def ask(command: Sequence[str], at_most_s: float = math.inf) -> dict[str, Any]:
    """What the last line that a program prints says; `cpu_s` of it and its descendants, `peak_mb` they held at once.

    Looked at while it runs, because the times of processes that a fork server made are not added to the program's.
    One that takes longer than `at_most_s` is ended: `seconds` are then what it had, and `dropped` is None.
    """
    before = _waited_for_s()
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complaints:
        process, began = subprocess.Popen(command, stdout=said, stderr=complaints), time.monotonic()
        peak_mb, cpu_s, cut_off = 0.0, dict[int, float](), False
        while process.poll() is None and not cut_off:
            peak_mb = max(peak_mb, _look(process.pid, cpu_s))
            time.sleep(LOOK_S)
            cut_off = time.monotonic() - began > at_most_s
        if cut_off:
            _end(process)
            return {"seconds": at_most_s, "dropped": None, "peak_mb": peak_mb, "cpu_s": sum(cpu_s.values())}
        said.seek(0), complaints.seek(0)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{complaints.read()[-3000:]}")
        # The last moments of a process are not seen from here.
        used_s = max(sum(cpu_s.values()), _waited_for_s() - before)
        return {**json.loads(said.read().splitlines()[-1]), "peak_mb": peak_mb, "cpu_s": used_s}


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and what it has started."""
    with suppress(psutil.NoSuchProcess):
        top = psutil.Process(process.pid)
        for one in (top, *top.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                one.kill()
    process.wait()


def _waited_for_s() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def _look(pid: int, cpu_s: dict[int, float]) -> float:
    """Memory in MB of a process and its descendants, what they share counted once; notes the time that each used."""
    held = 0.0
    with suppress(psutil.Error):
        top = psutil.Process(pid)
        for process in (top, *top.children(recursive=True)):
            with suppress(psutil.Error):
                times = process.cpu_times()
                cpu_s[process.pid] = times.user + times.system
                held += process.memory_full_info().pss / 2**20
    return held


def imported(file: Path, lake: Path) -> float:
    """Seconds of `toolkit import`."""
    began = time.monotonic()
    command = [sys.executable, "-m", "toolkit.cli", "import", str(file), "--lake", str(lake)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - began


def commands(directory: Path, options: argparse.Namespace, turn: int) -> dict[tuple[str, str], list[str]]:
    """What to run, by tool and variant."""
    found = {}
    for variant in VARIANTS:
        for by in options.by:
            lake = str(directory / f"lake-{variant}")
            name = f"toolkit, by {by}"
            found[name, variant] = [sys.executable, "-m", "bench.dedup_ours", lake, by, str(options.jaccard)]
        for peer in options.tools if options.peers else ():
            place = str(directory / f"{peer}-{variant}-{turn}")
            file = str(directory / f"{variant}.jsonl")
            found[peer, variant] = [options.peers, "-P", str(dedup_peers.__file__), peer, file, place]
    return found


def run(options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """Everything that is measured."""
    families = write_rows(directory, options.rows, options.seed)
    measured: dict[tuple[str, str], list[dict[str, Any]]] = {}
    import_s = {}
    for turn in range(options.rounds):
        for variant in VARIANTS:
            # A lake of its own for each round, for sketches are made only once.
            lake = directory / f"lake-{variant}"
            lake.rename(directory / f"lake-{variant}-{turn}") if lake.exists() else None
            import_s[variant] = imported(directory / f"{variant}.jsonl", lake)
        for key, command in commands(directory, options, turn).items():
            if turn == 0 or key[0] not in options.once:
                measured.setdefault(key, []).append(ask(command, options.at_most))
                # Hours may lie between the first and the last.
                print(f"load {os.getloadavg()[0]:.1f}", _row(key, measured[key][-1:], families), file=sys.stderr)
    again = [ask(command) for key, command in commands(directory, options, 0).items() if key[0].startswith("toolkit")]
    report = [_row(key, found, families) for key, found in measured.items()]
    dropped = {key: found[0]["dropped"] for key, found in measured.items()}
    same = {
        tool: dropped[tool, "plain"] == dropped[tool, "prompt"]
        for tool, _ in dropped
        if dropped[tool, "plain"] is not None and dropped[tool, "prompt"] is not None
    }
    return {
        "rows": options.rows,
        "import_s": import_s,
        "tools": report,
        "same_rows_with_and_without_prompt": same,
        "stored_sketches": [{"note": found["note"], "seconds": found["seconds"]} for found in again],
        "load": os.getloadavg(),
    }


def _row(key: tuple[str, str], found: list[dict[str, Any]], families: Sequence[int]) -> dict[str, Any]:
    seconds = statistics.median(one["seconds"] for one in found)
    cpu_s = statistics.median(one["cpu_s"] for one in found)
    dropped = found[0]["dropped"]
    return {
        "tool": key[0],
        "variant": key[1],
        "cut_off": dropped is None,
        "rows_per_s": len(families) / seconds,
        "rows_per_s_best": len(families) / min(one["seconds"] for one in found),
        "rows_per_cpu_s": len(families) / cpu_s,
        "peak_mb": max(one["peak_mb"] for one in found),
        **(judged(dropped, families) if dropped is not None else {}),
    }


def print_report(report: dict[str, Any]) -> None:
    """The table."""
    columns = ["tool", "variant", "rows_per_s", "rows_per_s_best", "rows_per_cpu_s", "recall", "lost", "peak_mb"]
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for row in report["tools"]:
        print("| " + " | ".join(_cell(row, name) for name in columns) + " |")
    for name in ("rows", "import_s", "same_rows_with_and_without_prompt", "stored_sketches", "load"):
        print(f"{name}: {report[name]}")


def _cell(row: dict[str, Any], name: str) -> str:
    if name not in row:
        return "–"
    value = row[name]
    if not isinstance(value, float):
        return str(value)
    bound = "< " if row["cut_off"] and name.startswith("rows_per") else ""
    return bound + (f"{value:,.3f}" if name == "recall" else f"{value:,.0f}")


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jaccard", type=float, default=0.8)
    parser.add_argument("--by", nargs="+", default=["trajectory"], help="roles that the toolkit compares")
    parser.add_argument("--peers", help="interpreter with rensa, datasketch, datatrove[io,processing] and spacy")
    parser.add_argument("--tools", nargs="+", default=list(PEERS), help="which peers")
    parser.add_argument("--once", nargs="*", default=["datatrove"], help="peers that take part in the first round only")
    parser.add_argument("--at-most", type=float, default=math.inf, metavar="S", help="end a tool after S seconds")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-dedup-") as directory:
        report = run(options, Path(directory))
    print_report(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
