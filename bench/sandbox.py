"""The sandbox: `python -m bench.sandbox`, and against plain `exec` and smolagents with `--peers`.

One run, everything in turn (`bench.sandbox_times`, `bench.sandbox_load`, `bench.sandbox_peers`); tables are Markdown.
Times are medians, with the 95th percentile in brackets where a table says so. On a busy machine they show the load.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from bench.actions import LOOP
from bench.sandbox_load import idle_memory, live, one_after_the_other, sag_load, several
from bench.sandbox_peers import compare
from bench.sandbox_times import MODULES, measure, summary
from toolkit.sandbox import DEFAULT_MODULES, probe

BUDGETS_MS = {
    "in-place action": ("light", "action", 0.1),
    "fork + run of 8, light": ("light", "fork + run of 8", 15.0),
    "fork + run of 8, numpy + sympy": ("numpy + sympy", "fork + run of 8", 30.0),
}
"""By name: libraries, what is measured, and the most that its median may be."""
LOOP_RATIO = 100
"""So many times faster than smolagents the loop must be."""
BUSY = 1.0
"""Load average above which the figures say more about the neighbours."""
_AT_ONCE = (1, 2, 4, 16)
_LIVE, _SAG, _SAG_STEPS = 1_000, 64, 3


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """Everything that is measured."""
    report: dict[str, Any] = {
        "load_average": os.getloadavg(),
        "cores": len(os.sched_getaffinity(0)),
        "level": probe().level,
        "repeats": options.repeat,
        "times_ms": summary(await measure(options.repeat)),
        "loads": {},
    }
    for libraries in MODULES:
        report["loads"][libraries] = {
            "actions_per_s": await several(libraries, _AT_ONCE),
            "idle_mb": await idle_memory(libraries),
            "live": await live(libraries, _LIVE),
            "sag": await sag_load(libraries, _SAG, _SAG_STEPS),
        }
    report["in_a_row"] = await one_after_the_other("light", 10_000 if options.long else 1_000)
    if options.peers:
        report["peers"] = await compare(DEFAULT_MODULES, options.smolagents, max(3, options.repeat // 10))
    return report


def print_times(times: dict[str, dict[str, dict[str, float]]]) -> None:
    """One row a thing that was done, one column a sandbox or floor."""
    rows = list(dict.fromkeys(what for column in times.values() for what in column))
    _table("ms, p50 (p95)", list(times), [[what, *(_both(times[name].get(what)) for name in times)] for what in rows])


def _both(found: dict[str, float] | None) -> str:
    if found is None:
        return "–"
    digits = 3 if found["p50"] < 1 else 1
    return f"{found['p50']:,.{digits}f} ({found['p95']:,.{digits}f})"


def print_loads(loads: dict[str, dict[str, Any]]) -> None:
    """One row a figure, one column a choice of libraries."""
    rows: dict[str, list[str]] = {}
    for load in loads.values():
        for count, rate in load["actions_per_s"].items():
            rows.setdefault(f"in-place actions a second, {count} sessions", []).append(f"{rate:,.0f}")
        rows.setdefault("memory of an idle session", []).append(f"{load['idle_mb']:.1f} MB")
        rows.setdefault("1,000 live sessions", []).append(_told(load["live"], _live_text))
        rows.setdefault("64 sessions fork 8 and run them, at once", []).append(_told(load["sag"], _sag_text))
    _table("", list(loads), [[name, *cells] for name, cells in rows.items()])


def _told(found: dict[str, Any], text: Any) -> str:
    return f"skipped: {found['skipped']}" if "skipped" in found else str(text(found))


def _live_text(found: dict[str, Any]) -> str:
    return (
        f"opened in {found['open_s']:.1f} s, {found['right']:,} with their own state, {found['memory_mb']:,.0f} MB, "
        f"closed in {found['close_s']:.1f} s, left {_left(found['before'], found['after'])}"
    )


def _sag_text(found: dict[str, Any]) -> str:
    return f"{found['candidates_per_s']:,.0f} candidates/s, p50 {found['p50_ms']:,.0f} ms"


def _left(before: dict[str, int], after: dict[str, int]) -> str:
    return ", ".join(f"{after[what] - before[what]} {what}" for what in before)


def print_in_a_row(found: dict[str, Any]) -> None:
    """What many sessions, one after the other, leave behind."""
    print(
        f"{found['sessions']:,} sessions one after the other: {found['seconds']:.1f} s; while the sandbox is open they "
        f"left {_left(found['entered'], found['left'])}; afterwards {_left(found['before'], found['after'])}; memory "
        f"{found['early_mb']:.1f} MB after a tenth of them, {found['late_mb']:.1f} MB after all\n"
    )


def print_peers(peers: dict[str, dict[str, Any]]) -> None:
    """One row an action, and how many were right."""
    right = [f"{sum(each['right'] for each in actions.values())} of {len(actions)}" for actions in peers.values()]
    rows = [["right", *right]]
    for action in peers["sandbox"]:
        cells = [peer[action] for peer in peers.values()]
        rows.append([action, *(f"{cell['ms']:,.2f}" + ("" if cell["right"] else " (wrong)") for cell in cells)])
    _table("ms", list(peers), rows)


def print_budgets(report: dict[str, Any]) -> None:
    """What was promised, and what came."""
    for name, (libraries, what, most) in BUDGETS_MS.items():
        took = report["times_ms"][f"level {report['level']}, {libraries}"][what]["p50"]
        print(f"{'kept  ' if took <= most else 'MISSED'} {name}: {took:.3f} ms, at most {most:g} ms")
    peers = report.get("peers", {})
    if "smolagents" in peers:
        ratio = peers["smolagents"][LOOP]["ms"] / peers["sandbox"][LOOP]["ms"]
        print(
            f"{'kept  ' if ratio >= LOOP_RATIO else 'MISSED'} {LOOP}: {ratio:,.0f}x smolagents, at least {LOOP_RATIO}x"
        )


def _table(corner: str, columns: list[str], rows: list[list[str]]) -> None:
    lines = [[corner, *columns], ["---"] * (len(columns) + 1), *rows]
    print("\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n")


def print_report(report: dict[str, Any]) -> None:
    """All tables."""
    print(f"level {report['level']}, {report['cores']} cores, {report['repeats']} rounds\n")
    print_times(report["times_ms"])
    print_loads(report["loads"])
    print_in_a_row(report["in_a_row"])
    if "peers" in report:
        print_peers(report["peers"])
        if "smolagents" not in report["peers"]:
            print("smolagents left out: --smolagents PYTHON names an interpreter that has it\n")
    print_budgets(report)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeat", type=int, default=40, help="rounds of the interleaved times")
    parser.add_argument("--peers", action="store_true", help="also run the thirty actions elsewhere")
    parser.add_argument("--smolagents", metavar="PYTHON", help="an interpreter that has smolagents 1.26")
    parser.add_argument("--long", action="store_true", help="10,000 sessions in a row instead of 1,000")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    load = os.getloadavg()
    print(f"load average {load[0]:.2f}, {load[1]:.2f}, {load[2]:.2f}", flush=True)
    if load[0] > BUSY:
        print(f"WARNING: others are using this machine (load above {BUSY:g}): times are inflated", flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-sandbox-") as directory:
        tempfile.tempdir = directory  # so that only our own temporary files are counted
        report = asyncio.run(run(options))
    print_report(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
