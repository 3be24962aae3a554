"""Runs of `toolkit generate` to be disturbed: the command as a process, and what journal and lake hold of a run.

Questions are numbers, the tool `look` appends its argument to a file, so that calls can be counted; the server's
answers carry the hash of their request, so that what is recorded can be told from what is not.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson
from counting_server import Running

from toolkit.lake.check import check
from toolkit.lake.lake import open_lake

DEADLINE_S = 240.0
_MARK = re.compile(r"# ([0-9a-f]{16})|twice\. ([0-9a-f]{16})")
_TOOLS = """
import os
from toolkit.tools import tool

@tool
def look(name: str) -> str:
    \"\"\"Looks.\"\"\"
    with open({path!r}, "ab", buffering=0) as file:
        file.write((name + "\\n").encode())
    return name
"""


class Siege:
    """One lake, the questions that fill it, and the calls that were made for it."""

    def __init__(self, root: Path, questions: int) -> None:
        root.mkdir(exist_ok=True)
        self.root, self.lake, self.calls = root, root / "lake", root / "calls.txt"
        self.calls.touch()
        self._processes: list[subprocess.Popen[str]] = []
        (root / "my_tools.py").write_text(_TOOLS.format(path=str(self.calls)))
        lines = [json.dumps({"id": f"q{n}", "question": f"Question {n}?", "answer": "2"}) for n in range(questions)]
        (root / "questions.jsonl").write_text("\n".join(lines) + "\n")

    def command(self, server: Running, *more: object) -> list[str]:
        arguments = ["--tasks", self.root / "questions.jsonl", "--tools", self.root / "my_tools.py"]
        arguments += ["--lake", self.lake, "--teacher", "openai:counted", "--base-url", server.base_url]
        arguments += ["--sandbox", "unsafe", "--in-flight", 16, "--json", *more]
        return [sys.executable, "-m", "toolkit.cli", "generate", *map(str, arguments)]

    def start(self, server: Running, *more: object) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        process = subprocess.Popen(self.command(server, *more), stdout=pipe, stderr=pipe, text=True)
        self._processes.append(process)
        return process

    def end(self) -> None:
        """End what a failed test left running."""
        for process in self._processes:
            if process.returncode is None:
                process.kill()
                process.communicate()

    def run(self, server: Running, *more: object, expect: int = 0) -> dict[str, Any]:
        """Run to the end; its report."""
        return ended(self.start(server, *more), expect)

    def journaled(self) -> tuple[set[str], set[str]]:
        """Hashes of the requests whose replies, and arguments of the calls whose results, the journals hold.

        Read from a copy.
        """
        replies: set[str] = set()
        results: set[str] = set()
        with tempfile.TemporaryDirectory() as copy:
            if (self.lake / "journal").exists():
                shutil.copytree(self.lake / "journal", copy, dirs_exist_ok=True)
            for path in Path(copy).glob("*.sqlite"):
                connection = sqlite3.connect(path)
                try:
                    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
                    for kind, value in connection.execute("SELECT kind, value FROM entries") if tables else ():
                        content = orjson.loads(value)
                        if kind == "reply":
                            replies |= marks(content["completions"][0]["text"])
                        else:
                            results.add(orjson.loads(content["result"]))
                finally:
                    connection.close()
        return replies, results

    def called(self, start: int = 0) -> list[str]:
        """Arguments of the calls that were made, from byte `start` of their file."""
        return self.calls.read_bytes()[start:].decode().split()

    def held(self) -> set[str]:
        """Hashes of the requests whose replies the lake holds."""
        if not (self.lake / "lake.json").exists():
            return set()
        rows = open_lake(self.lake).sql("SELECT completion FROM raw.steps").fetchall()
        return set().union(*(marks(completion) for (completion,) in rows))

    def contents(self) -> dict[str, str]:
        """Content hash of each trajectory; sees that none is there twice and the lake is whole."""
        lake = open_lake(self.lake)
        assert [finding for finding in check(lake) if finding.severity != "leftover"] == []
        rows = lake.sql("SELECT trajectory_id, content_hash FROM raw.trajectories WHERE stop_reason <> 'error'")
        found: list[tuple[str, str]] = rows.fetchall()
        assert len(found) == len(dict(found)), "a trajectory is in the lake twice"
        return dict(found)


def marks(text: str) -> set[str]:
    """Hashes of requests in a completion; a first thought carries that of its chain of thought, too."""
    return {first or second for first, second in _MARK.findall(text)}


def ended(process: subprocess.Popen[str], expect: int | None = 0) -> dict[str, Any]:
    """Its report; `expect` None: it may have failed rollouts."""
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == expect or (expect is None and process.returncode in (0, 1)), err
    report: dict[str, Any] = json.loads(out)
    return report


def kill(process: subprocess.Popen[str]) -> bool:
    """kill -9; whether it still ran."""
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def wait_for_requests(process: subprocess.Popen[str], server: Running, start: int) -> None:
    """Until the process has asked something, or ended."""
    until = time.monotonic() + DEADLINE_S
    while server.end == start and process.poll() is None:
        assert time.monotonic() < until, "it asked nothing"
        time.sleep(0.005)
