"""`toolkit replay`: run recorded actions again, with recorded results of tools, and compare what is observed.

The road of the data: trajectories without a verdict → one sandbox for each set of tools, several sessions at once →
`scores` under `replay@1`, one row a step and one for the whole, committed every few hundred trajectories.
Invariant: what has a verdict of this version is not run again, and no tool or model is called.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby, islice
from typing import Annotated

import duckdb
import orjson
from cyclopts import Parameter

from pipelines.option_checks import check_counts
from pipelines.parts import SandboxChoice, build_sandbox, check_sandbox
from schemas import Score
from schemas.identity import canonical_json
from toolkit.cli.options import DEFAULT_LAKE, AsJson, LakePath
from toolkit.cli.output import Advance, note, print_json, print_table, progress
from toolkit.contracts import Limits, Sandbox
from toolkit.dialects import DIALECTS, load_dialect
from toolkit.dialects.code_dialect import CodeDialect
from toolkit.lake.lake import Lake, open_lake
from toolkit.lake.records import TrajectoryRecord, read_records
from toolkit.replay.recorded_tools import RecordedTools, tools_of
from toolkit.replay.verification import StepReplay, TrajectoryReplay, called_but_unbound, ran_here

SCORER = "replay@1"
"""Raised with every change of what is compared, or of when a step may differ."""
BATCH = 500
"""Trajectories that are committed together."""
SESSIONS_A_WORKER = 4
"""Sessions open at once in each process, so that it has work while the host reads an answer."""
STEP_TIMEOUT_S = 60.0
"""Six times what rollouts get: an action that ended in time then does so now, also on a busy machine."""
RENDERED_AS = {name: name for name in DIALECTS} | {"smolagents-1.13": "smolagents"}
"""Dialects whose actions are Python, and the one that words observations alike."""
WHOLE = ("matches", "differs", "undecided", "not_replayable")

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


@dataclass(frozen=True, slots=True)
class _Made:
    """What a run says about how its observations came to be."""

    dialect: dict[str, object] = field(default_factory=dict)
    """Identity of its dialect; empty: it does not say."""
    python: str | None = None
    """Version that ran its actions. None: it does not say."""


@dataclass(slots=True)
class _Room:
    """The sandbox that is open, for one set of tools."""

    key: tuple[object, ...] | None = None
    guessed: set[str] = field(default_factory=set)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    sandbox: Sandbox | None = None
    tools: RecordedTools | None = None


async def replay_lake(lake: Lake, *, workers: int | None = None, sandbox: SandboxChoice = "best") -> Counter[str]:
    """Run again what has no verdict yet; how many trajectories came to each of `WHOLE`.

    Raises:
        InputError: the sandbox of this machine is too weak.
        RunError: the sandbox failed; what was committed stays, and the same call goes on from there.
    """
    check_sandbox(sandbox)
    connection = lake.snapshot().connect()
    replay = _Replay(_runs(connection), workers or len(os.sched_getaffinity(0)), sandbox)
    counts: Counter[str] = Counter()
    try:
        total = int(connection.execute(f"SELECT count(*) FROM ({_UNREPLAYED})").fetchall()[0][0])
        stream = read_records(connection, _UNREPLAYED)
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


class _Replay:
    """Runs batches of trajectories, several at once.

    Args:
        runs: How each run worded observations.
        workers: Processes of the sandbox.
        choice: Which sandbox is accepted.
    """

    def __init__(self, runs: dict[str, _Made], workers: int, choice: SandboxChoice) -> None:
        self._runs, self._workers, self._choice = runs, workers, choice
        self._dialects: dict[tuple[str, int | None], CodeDialect] = {}
        self._room = _Room()

    async def close(self) -> None:
        """End the sandbox."""
        await self._room.stack.aclose()

    async def scores(self, records: Sequence[TrajectoryRecord], advance: Advance, *, done: int) -> list[Score]:
        """Verdicts on `records`; `done` trajectories came before them."""
        found: list[Score] = []
        runnable: list[tuple[tuple[object, ...], TrajectoryRecord]] = []
        for record in records:
            refusal = self._refusal(record)
            if refusal is None:
                runnable.append((_tool_key(record), record))
            else:
                found.append(_whole(record, [], refusal))
        # By tools, because a sandbox has one set of them; by text, since keys do not compare.
        runnable.sort(key=lambda pair: (str(pair[0]), pair[1].trajectory.trajectory_id))
        finished = done + len(found)

        async def work(waiting: Iterator[TrajectoryRecord]) -> None:
            nonlocal finished
            for record in waiting:
                steps = await self._run(record)
                found.extend([*(_of_step(record, step) for step in steps), _whole(record, steps)])
                finished += 1
                advance(finished)

        for key, pairs in groupby(runnable, key=lambda pair: pair[0]):
            together = [record for _, record in pairs]
            await self._open(key, together)
            waiting = iter(together)
            async with asyncio.TaskGroup() as group:
                for _ in range(min(len(together), self._workers * SESSIONS_A_WORKER)):
                    group.create_task(work(waiting))
        return found

    def _refusal(self, record: TrajectoryRecord) -> str | None:
        """Why a trajectory cannot be run again. None: it can."""
        trajectory = record.trajectory
        if trajectory.dialect not in RENDERED_AS:
            return f"actions of the dialect {trajectory.dialect} are not Python"
        if not any(step.code is not None or step.error_kind == "parse" for step in record.steps):
            return "it has no action"
        then = self._made(record).dialect.get("version")
        here = self._dialect(record).version
        if ran_here(record) and then not in (None, here):
            return f"its observations were worded by {trajectory.dialect} {then}, and here is {here}"
        return None

    def _made(self, record: TrajectoryRecord) -> _Made:
        return self._runs.get(record.trajectory.run_id, _Made())

    def _dialect(self, record: TrajectoryRecord) -> CodeDialect:
        chars = self._made(record).dialect.get("observation_chars")
        key = RENDERED_AS[record.trajectory.dialect], chars if isinstance(chars, int) else None
        if key not in self._dialects:
            self._dialects[key] = load_dialect(key[0], observation_chars=key[1])
        return self._dialects[key]

    async def _open(self, key: tuple[object, ...], records: Sequence[TrajectoryRecord]) -> None:
        """Have a sandbox with the tools of `records`, which are the same for all."""
        strangers = [record for record in records if not ran_here(record)]
        guessed = called_but_unbound(step.code for record in strangers for step in record.steps if step.code)
        if key == self._room.key and guessed <= self._room.guessed:
            return
        await self._room.stack.aclose()
        tools = RecordedTools(records[:1], {}, guessed)
        self._room = _Room(key, guessed, tools=tools)
        made = build_sandbox(tools.tools, self._choice, Limits(step_timeout_s=STEP_TIMEOUT_S), workers=self._workers)
        self._room.sandbox = await self._room.stack.enter_async_context(made)

    async def _run(self, record: TrajectoryRecord) -> list[StepReplay]:
        sandbox, tools = self._room.sandbox, self._room.tools
        assert sandbox is not None
        assert tools is not None
        session = await sandbox.open()
        try:
            made = self._made(record)
            replay = TrajectoryReplay(record, self._dialect(record), session, tools, made.python)
            return [found for step in record.steps if (found := await replay.step(step)) is not None]
        finally:
            await session.close()


def _runs(connection: duckdb.DuckDBPyConnection) -> dict[str, _Made]:
    found = {}
    rows = connection.execute("SELECT run_id, identity, environment->>'$.python' FROM runs").fetchall()
    for run_id, identity, python in rows:
        said = orjson.loads(identity)
        dialect = said.get("dialect") if isinstance(said, dict) else None
        found[run_id] = _Made(dialect if isinstance(dialect, dict) else {}, python)
    return found


def _tool_key(record: TrajectoryRecord) -> tuple[object, ...]:
    tools = ((tool.name, tool.signature, tool.description) for tool in tools_of(record))
    return ran_here(record), *sorted(tools)


def _of_step(record: TrajectoryRecord, step: StepReplay) -> Score:
    passed = {"matches": True, "differs": False}.get(step.verdict)
    said = {"verdict": step.verdict, "because": step.because, "diff": step.diff}
    if step.verdict == "matches" and not step.because:
        said = {}
    return _score(record, passed, said, value=None if passed is None else float(passed), step_index=step.step_index)


def _whole(record: TrajectoryRecord, steps: Sequence[StepReplay], refusal: str | None = None) -> Score:
    """The verdict on a trajectory: its value is the share of decided steps that match."""
    if refusal is not None:
        return _score(record, None, {"not_applicable": refusal})
    counts = Counter(step.verdict for step in steps)
    decided = counts["matches"] + counts["differs"]
    differing = [step.step_index for step in steps if step.verdict == "differs"]
    said = {"steps": dict(counts), "differing": differing}
    value = counts["matches"] / decided if decided else None
    return _score(record, not differing if decided else None, said, value=value)


def _score(
    record: TrajectoryRecord,
    passed: bool | None,
    details: dict[str, object],
    *,
    value: float | None = None,
    step_index: int | None = None,
) -> Score:
    return Score(
        trajectory_id=record.trajectory.trajectory_id,
        attempt=record.trajectory.attempt,
        step_index=step_index,
        scorer=SCORER,
        value=value,
        passed=passed,
        details=canonical_json(kept) if (kept := {key: said for key, said in details.items() if said}) else None,
        scored_at=datetime.now(UTC),
    )


def word_of(score: Score) -> str:
    """The one of `WHOLE` that a score about a trajectory says."""
    if score.passed is None:
        return "not_replayable" if "not_applicable" in orjson.loads(score.details or "{}") else "undecided"
    return "matches" if score.passed else "differs"


def replay_command(
    *,
    lake: LakePath = DEFAULT_LAKE,
    workers: Annotated[int | None, Parameter(help="Processes of the sandbox; default: one a core.")] = None,
    diffs: Annotated[int, Parameter(help="Differing steps to print with their diff.")] = 5,
    sandbox: Annotated[SandboxChoice, Parameter(help="unsafe accepts a sandbox below level 2.")] = "best",
    json: AsJson = False,
) -> None:
    """Run recorded actions again, with recorded results of tools, and compare what is observed.

    Calls no tool and no model. Verdicts are scores (`replay@1`); what has one is not run again.

    Args:
        lake: Directory of the lake.
        workers: Processes of the sandbox; default: one a core.
        diffs: Differing steps to print with their diff; with --json, to list. 0: none.
        sandbox: Which sandbox may run the actions.
        json: Print one JSON document.
    """
    check_counts(workers=workers)
    opened = open_lake(lake)
    counts = asyncio.run(replay_lake(opened, workers=workers, sandbox=sandbox))
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
