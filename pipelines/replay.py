"""`toolkit replay`: run recorded actions again, with recorded results of tools, and compare what is observed.

The road of the data: trajectories without a verdict → one sandbox for each set of tools, several sessions at once →
`scores` under `replay@1`, one row a step and one for the whole, committed every few hundred trajectories.
Invariant: what has a verdict of this version is not run again, and no tool or model is called.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Collection, Mapping
from itertools import islice
from typing import Annotated

import duckdb
from cyclopts import Parameter

from pipelines.parts import SandboxChoice, check_sandbox
from pipelines.replay_batches import Replayer, read_runs
from pipelines.replay_scores import SCORER, WHOLE, word_of
from pipelines.rollout_flags import Modules
from toolkit.cli.option_checks import check_counts
from toolkit.cli.options import DEFAULT_LAKE, AsJson, LakePath
from toolkit.cli.output import note, print_json, print_table, progress
from toolkit.lake.lake import Lake, open_lake
from toolkit.lake.literal import literal
from toolkit.lake.records import count_rows, read_records
from toolkit.sandbox.modules import importable

BATCH = 500
"""Trajectories that are committed together."""

_UNREPLAYED = f"""
SELECT trajectory_id FROM trajectories t WHERE kind = 'agent' AND NOT EXISTS (
    SELECT 1 FROM scores s WHERE s.trajectory_id = t.trajectory_id AND s.attempt = t.attempt
    AND s.step_index IS NULL AND s.scorer = '{SCORER}')"""
_SUMMARY = f"""
SELECT t.dataset, t.source, count(*) AS trajectories, count(*) FILTER (s.passed) AS matches,
       count(*) FILTER (NOT s.passed) AS differs,
       count(*) FILTER (s.passed IS NULL AND (s.details->'$.not_applicable') IS NULL) AS undecided,
       count(*) FILTER ((s.details->'$.not_applicable') IS NOT NULL) AS not_replayable
FROM scores s JOIN trajectories t USING (trajectory_id) WHERE s.scorer = '{SCORER}' AND s.step_index IS NULL
GROUP BY ALL ORDER BY ALL"""
_REASONS = f"""
SELECT verdict, reason, count(*) AS steps FROM (
    SELECT (details->>'$.verdict') AS verdict, unnest(CAST((details->'$.because') AS VARCHAR[])) AS reason
    FROM scores WHERE scorer = '{SCORER}' AND step_index IS NOT NULL AND passed IS NULL)
GROUP BY ALL ORDER BY steps DESC, verdict, reason"""
_REFUSED = f"""
SELECT (details->>'$.not_applicable') AS because, count(*) AS trajectories FROM scores
WHERE scorer = '{SCORER}' AND step_index IS NULL AND because IS NOT NULL
GROUP BY ALL ORDER BY trajectories DESC, because"""
_DIFFERING = f"""
SELECT trajectory_id, step_index, (details->>'$.diff') AS diff FROM scores
WHERE scorer = '{SCORER}' AND step_index IS NOT NULL AND NOT passed ORDER BY trajectory_id, step_index"""


_TABLES = {"datasets": _SUMMARY, "steps_not_decided": _REASONS, "not_replayable": _REFUSED}


async def replay_lake(
    lake: Lake, *, workers: int | None = None, modules: Collection[str] = (), sandbox: SandboxChoice = "best"
) -> Counter[str]:
    """Run again what has no verdict yet; how many trajectories came to each of `WHOLE`.

    Of runs that allowed packages besides the usual, only those are run again whose packages are all in `modules`.

    Raises:
        InputError: the sandbox of this machine is too weak, or a module is not installed.
        RunError: the sandbox failed; what was committed stays, and the same call goes on from there.
    """
    check_sandbox(sandbox)
    importable(modules)
    connection = lake.snapshot().connect()
    runs = read_runs(connection)
    replay = Replayer(runs, workers or len(os.sched_getaffinity(0)), sandbox)
    counts: Counter[str] = Counter()
    try:
        wanted = _wanted(connection, {run_id: set(made.modules).difference(modules) for run_id, made in runs.items()})
        total = count_rows(connection, wanted)
        stream = read_records(connection, wanted)
        with progress("replay", total, unit="trajectories") as advance:
            while records := list(islice(stream, BATCH)):
                scores = await replay.scores(records, advance, done=counts.total())
                with lake.write("replay") as batch:
                    batch.add(scores)
                counts.update(word_of(score) for score in scores if score.step_index is None)
    finally:
        await replay.close()
        connection.close()
    return counts


def _wanted(connection: duckdb.DuckDBPyConnection, lacking: Mapping[str, set[str]]) -> str:
    """The query for what is run again: not what was allowed to import something that is lacking, which is told."""
    closed = [run_id for run_id, modules in lacking.items() if modules]
    if not closed:
        return _UNREPLAYED
    among = f"run_id IN ({', '.join(map(literal, closed))})"
    left = count_rows(connection, f"{_UNREPLAYED} AND {among}")
    if left:
        names = " ".join(f"--modules {name}" for name in sorted(set().union(*lacking.values())))
        note(f"{left:,} trajectories are left: their code could import more than the usual; {names} allows it again")
    return f"{_UNREPLAYED} AND NOT {among}"


def replay_command(
    *,
    lake: LakePath = DEFAULT_LAKE,
    workers: Annotated[int | None, Parameter(help="Processes of the sandbox; default: one a core.")] = None,
    modules: Modules = (),
    diffs: Annotated[int, Parameter(help="Differing steps to print with their diff.")] = 5,
    sandbox: Annotated[SandboxChoice, Parameter(help="unsafe accepts a sandbox below level 2.")] = "best",
    json: AsJson = False,
) -> None:
    """Run recorded actions again, with recorded results of tools, and compare what is observed.

    Calls no tool and no model. Verdicts are scores (`replay@1`); what has one is not run again.

    Args:
        lake: Directory of the lake.
        workers: Processes of the sandbox; default: one a core.
        modules: Packages that code may import besides the usual, where its run allowed them.
        diffs: Differing steps to print with their diff; with --json, to list. 0: none.
        sandbox: Which sandbox may run the actions.
        json: Print one JSON document.
    """
    check_counts(workers=workers)
    opened = open_lake(lake)
    counts = asyncio.run(replay_lake(opened, workers=workers, modules=modules, sandbox=sandbox))
    connection = opened.snapshot().connect()
    try:
        tables = {name: connection.sql(query) for name, query in _TABLES.items()}
        found = {name: (table.columns, table.fetchall()) for name, table in tables.items()}
        differing = connection.execute(f"{_DIFFERING} LIMIT {max(diffs, 0)}").fetchall()
    finally:
        connection.close()
    if json:
        listed = {
            name: [dict(zip(columns, row, strict=True)) for row in rows] for name, (columns, rows) in found.items()
        }
        shown = [{"trajectory_id": row[0], "step_index": row[1], "diff": row[2]} for row in differing]
        now = {name: counts[name] for name in WHOLE}
        print_json({"replayed": counts.total(), "now": now, **listed, "differing": shown})
        return
    for name, (columns, rows) in found.items():
        if rows:
            print_table(columns, rows, title=name.replace("_", " "))
    for trajectory_id, step_index, diff in differing:
        print_table(["diff"], [[diff]], title=f"{trajectory_id} step {step_index}")
    note(f"replayed {counts.total():,} trajectories now")
