"""How long `toolkit --help` takes, beside a bare interpreter: `python -m bench.start`.

Both are started in turn, twenty times each; medians are compared.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 20
PROGRAMS = {"python -c pass": ["-c", "pass"], "toolkit --help": ["-m", "toolkit.cli", "--help"]}


def main() -> None:
    """Print one line a program."""
    spent: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(ROUNDS):
        for name, arguments in PROGRAMS.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            spent[name].append((time.perf_counter() - started) * 1000)
    for name, times in spent.items():
        print(f"{name:16} median {statistics.median(times):6.1f} ms, slowest {max(times):6.1f} ms")


if __name__ == "__main__":
    main()
