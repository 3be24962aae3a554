"""Other programs that use the lake at the same time: real processes, each with a small script."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HERE = Path(__file__).parent
_PRELUDE = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {str(_HERE)!r})
from lake_rows import an_id, rollout, score
from toolkit.lake.check import check
from toolkit.lake.compaction import compact
from toolkit.lake.lake import open_lake
from toolkit.lake.vacuum import vacuum
root, arguments = Path(sys.argv[1]), sys.argv[2:]
"""
DEADLINE_S = 120


def start(script: str, lake: Path, *arguments: object) -> subprocess.Popen[str]:
    """Run `script` in a new interpreter; it finds the lake's path as `root` and `arguments` as a list."""
    command = [sys.executable, "-W", "error", "-c", _PRELUDE + script, str(lake), *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    """What the process printed; it must have ended well."""
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, err
    return out


@contextmanager
def running(script: str, lake: Path, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process that is killed at the end of the block; the block begins when it has printed its first line."""
    process = start(script, lake, *arguments)
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline(), process.stderr.read()
        yield process
    finally:
        process.kill()
        process.communicate(timeout=DEADLINE_S)
