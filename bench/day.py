"""A day's work on Minipedia, from questions to a graded, compacted lake: `python -m bench.day [--questions 2000]`.

The oracle teacher stands behind a real HTTP server of its own process (`bench.chat_server`); the index, `generate`
(ftp agent, four samples, a chain of thought for each question on demand), `score` and `compact` are the commands that
users type. With `--kill`, `generate` is killed once in the middle and started again; the server then says how many
requests that it had answered were asked again. At most those in flight at that moment may be: their answers were
never recorded. Memory is looked at every half second: of `generate` the most that it ever held, of its sandbox the
largest sum of proportional shares. Not covered: a model's latency, which is the oracle's own (a few ms at most).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from bench.chat_server import MODEL, Running, chat_server

TASKS = "minipedia:train"
SAMPLES = 4
KILL_AFTER = 4
"""Calls of the model for each question, about a third of all."""
_LOOK_S = 0.5


@dataclass
class Watch:
    """What was seen of the processes of `generate`, those that were killed included."""

    calls: int = 0
    again: int = 0
    client_mb: float = 0.0
    sandbox_mb: float = 0.0
    kills: int = 0
    seconds: float = 0.0
    reports: list[dict[str, Any]] = field(default_factory=list)


def generate(command: list[str], server: Running, kill_at: int | None) -> Watch:
    """Run `command` to its end; with `kill_at` it is killed after so many calls and started once more."""
    watch, started = Watch(), time.monotonic()
    while True:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            while process.poll() is None:
                _look(process.pid, watch)
                _count(server, watch)
                if kill_at is not None and watch.calls >= kill_at and not watch.kills:
                    process.kill()
                    watch.kills += 1
                time.sleep(_LOOK_S)
            said = process.communicate()[0]
        _count(server, watch)
        if process.returncode == 0:
            watch.reports.append(json.loads(said))
            watch.seconds = time.monotonic() - started
            return watch
        if process.returncode != -9 or not watch.kills:
            raise SystemExit(f"generate ended with {process.returncode}: {said}")


def _count(server: Running, watch: Watch) -> None:
    found = server.counts()
    watch.calls += found["calls"]
    watch.again += found["again"]


def _look(pid: int, watch: Watch) -> None:
    """Note the memory of a process and of its descendants; those that end meanwhile do not count."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        most = next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
        watch.client_mb = max(watch.client_mb, most / 1024)
        children = psutil.Process(pid).children(recursive=True)
    except (OSError, psutil.Error):
        return
    watch.sandbox_mb = max(watch.sandbox_mb, sum(map(_share_mb, children)))


def _share_mb(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().pss) / 2**20
    except psutil.Error:
        return 0.0


def toolkit(*arguments: str) -> dict[str, Any]:
    """The JSON document that a command prints."""
    done = subprocess.run([sys.executable, "-m", "toolkit.cli", *arguments, "--json"], stdout=subprocess.PIPE)
    if done.returncode:
        raise SystemExit(f"toolkit {' '.join(arguments)} ended with {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def day(directory: Path, questions: int, in_flight: int, *, kill: bool) -> dict[str, Any]:
    """Everything, and its figures."""
    lake, index = str(directory / "lake"), str(directory / "index")
    load, started = os.getloadavg()[0], time.monotonic()
    toolkit("index", TASKS, "--index", index)
    indexed = time.monotonic()
    command = [sys.executable, "-m", "toolkit.cli", "generate", "--tasks", TASKS, "--limit", str(questions), "--json"]
    command += ["--samples", str(SAMPLES), "--index", index, "--lake", lake, "--in-flight", str(in_flight)]
    command += ["--teacher", f"openai:{MODEL}"]
    with chat_server("oracle", "--tasks", TASKS, "--limit", str(questions)) as server:
        command += ["--base-url", server.base_url]
        watch = generate(command, server, questions * KILL_AFTER if kill else None)
    if watch.again > watch.kills * in_flight:
        raise SystemExit(f"{watch.again} answered requests were asked again; at most {in_flight} were in flight")
    journal = sum(path.stat().st_size for path in (directory / "lake" / "journal").glob("*.sqlite*"))
    generated = time.monotonic()
    scored = toolkit("score", "--lake", lake)
    score_s = time.monotonic() - generated
    compacted = toolkit("compact", "--lake", lake)
    report = _checked(lake, questions)
    return {
        "questions": questions,
        "rollouts": report["agents"],
        "chains of thought": report["chains"],
        "model calls": watch.calls,
        "killed": watch.kills,
        "asked again": watch.again,
        "index s": indexed - started,
        "generate s": watch.seconds,
        "rollouts/s": report["agents"] / watch.seconds,
        "calls/s": watch.calls / watch.seconds,
        "score s": score_s,
        "answers graded": scored["graded"],
        "peak of generate MB": watch.client_mb,
        "peak of its sandbox MB": watch.sandbox_mb,
        "lake MB": compacted["bytes_before"] / 2**20,
        "lake compacted MB": compacted["bytes_after"] / 2**20,
        "journal bytes": journal,
        "agents right": report["agents_right"],
        "chains right": report["chains_right"],
        "ended in an answer": report["ended"],
        "load before": load,
        "load after": os.getloadavg()[0],
    }


_RESULTS = """
SELECT count(*) FILTER (kind = 'agent') AS agents, count(*) FILTER (kind = 'cot') AS chains,
       avg(correct::INT) FILTER (kind = 'agent') AS agents_right,
       avg(correct::INT) FILTER (kind = 'cot') AS chains_right,
       avg((stop_reason = 'final_answer')::INT) FILTER (kind = 'agent') AS ended,
       count(*) FILTER (stop_reason = 'error') AS errors
FROM trajectories_scored"""


def _checked(lake: str, questions: int) -> dict[str, Any]:
    """Counts and shares of the whole lake; nothing may be missing."""
    from toolkit.lake.lake import open_lake

    relation = open_lake(lake).sql(_RESULTS)
    found = dict(zip(relation.columns, relation.fetchall()[0], strict=True))
    if (found["agents"], found["chains"], found["errors"]) != (questions * SAMPLES, questions, 0):
        raise SystemExit(f"expected {questions * SAMPLES} agents and {questions} chains without error, got {found}")
    return found


def main() -> None:
    """Print one line a figure, or one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=2_000)
    parser.add_argument("--in-flight", type=int, default=32)
    parser.add_argument("--kill", action="store_true", help="kill generate once and go on")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        found = day(Path(directory), asked.questions, asked.in_flight, kill=asked.kill)
    if asked.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name:24} {f'{value:,.2f}' if isinstance(value, float) else f'{value:,}'}")


if __name__ == "__main__":
    main()
