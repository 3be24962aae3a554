"""Trajectories run again in batches: one sandbox for each set of tools, several sessions at once in each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import groupby

import duckdb
import orjson

from pipelines.parts import SandboxChoice, build_sandbox
from pipelines.replay_scores import step_score, whole_score
from schemas import Score
from toolkit.cli.output import Advance
from toolkit.contracts import Limits, Sandbox
from toolkit.dialects import DIALECTS, load_dialect
from toolkit.dialects.code_dialect import CodeDialect
from toolkit.errors import ToolkitError
from toolkit.lake.records import TrajectoryRecord
from toolkit.replay.recorded_tools import RecordedTools, tools_of
from toolkit.replay.verification import StepReplay, TrajectoryReplay, called_but_unbound, ran_here

SESSIONS_A_WORKER = 4
"""Sessions open at once in each process, so that it has work while the host reads an answer."""
STEP_TIMEOUT_S = 60.0
"""Six times what rollouts get: an action that ended in time then does so now, also on a busy machine."""
RENDERED_AS = {name: name for name in DIALECTS} | {"smolagents-1.13": "smolagents"}
"""Dialects whose actions are Python, and the one that words observations alike."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a run says about how its observations came to be."""

    dialect: dict[str, object] = field(default_factory=dict)
    """Identity of its dialect; empty: it does not say."""
    python: str | None = None
    """Version that ran its actions. None: it does not say."""
    modules: tuple[str, ...] = ()
    """Packages that its actions could import besides the usual ones."""


@dataclass(slots=True)
class _Room:
    """The sandbox that is open, for one set of tools and of modules."""

    key: tuple[object, ...] | None = None
    guessed: set[str] = field(default_factory=set)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    sandbox: Sandbox | None = None
    tools: RecordedTools | None = None


class Replayer:
    """Runs batches of trajectories, several at once.

    Args:
        runs: How each run worded observations.
        workers: Processes of the sandbox.
        choice: Which sandbox is accepted.
    """

    def __init__(self, runs: dict[str, Made], workers: int, choice: SandboxChoice) -> None:
        self._runs, self._workers, self._choice = runs, workers, choice
        self._dialects: dict[tuple[str, int | None], CodeDialect] = {}
        self._room = _Room()

    async def close(self) -> None:
        """End the sandbox."""
        await self._room.stack.aclose()

    async def scores(self, records: Sequence[TrajectoryRecord], advance: Advance, *, done: int) -> list[Score]:
        """Verdicts on `records`; `done` trajectories came before them.

        Raises:
            RunError: the sandbox failed.
        """
        found: list[Score] = []
        runnable: list[tuple[tuple[object, ...], TrajectoryRecord]] = []
        for record in records:
            refusal = self._refusal(record)
            if refusal is None:
                runnable.append(((self._made(record).modules, *_tool_key(record)), record))
            else:
                found.append(whole_score(record, [], refusal))
        # By modules and tools, because a sandbox has one set of them; by text, since keys do not compare.
        runnable.sort(key=lambda pair: (str(pair[0]), pair[1].trajectory.trajectory_id))
        finished = done + len(found)

        async def work(waiting: Iterator[TrajectoryRecord]) -> None:
            nonlocal finished
            for record in waiting:
                steps = await self._run(record)
                found.extend([*(step_score(record, step) for step in steps), whole_score(record, steps)])
                finished += 1
                advance(finished)

        for key, pairs in groupby(runnable, key=lambda pair: pair[0]):
            together = [record for _, record in pairs]
            await self._open(key, together)
            waiting = iter(together)
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(len(together), self._workers * SESSIONS_A_WORKER)):
                        group.create_task(work(waiting))
            except* ToolkitError as errors:
                raise errors.exceptions[0] from None
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

    def _made(self, record: TrajectoryRecord) -> Made:
        return self._runs.get(record.trajectory.run_id, Made())

    def _dialect(self, record: TrajectoryRecord) -> CodeDialect:
        chars = self._made(record).dialect.get("observation_chars")
        key = RENDERED_AS[record.trajectory.dialect], chars if isinstance(chars, int) else None
        if key not in self._dialects:
            self._dialects[key] = load_dialect(key[0], observation_chars=key[1])
        return self._dialects[key]

    async def _open(self, key: tuple[object, ...], records: Sequence[TrajectoryRecord]) -> None:
        """Have a sandbox with the modules and tools of `records`, which are the same for all."""
        strangers = [record for record in records if not ran_here(record)]
        guessed = called_but_unbound(step.code for record in strangers for step in record.steps if step.code)
        if key == self._room.key and guessed <= self._room.guessed:
            return
        await self._room.stack.aclose()
        tools = RecordedTools(records[:1], {}, guessed)
        self._room = _Room(key, guessed, tools=tools)
        made = build_sandbox(
            tools.tools,
            self._choice,
            Limits(step_timeout_s=STEP_TIMEOUT_S),
            modules=self._made(records[0]).modules,
            workers=self._workers,
        )
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


def read_runs(connection: duckdb.DuckDBPyConnection) -> dict[str, Made]:
    """What each run says, by run_id."""
    found = {}
    rows = connection.execute("SELECT run_id, identity, environment->>'$.python' FROM runs").fetchall()
    for run_id, identity, python in rows:
        said = orjson.loads(identity)
        said = said if isinstance(said, dict) else {}
        dialect, modules = said.get("dialect"), said.get("modules")
        names = tuple(map(str, modules)) if isinstance(modules, list) else ()
        found[run_id] = Made(dialect if isinstance(dialect, dict) else {}, python, names)
    return found


def _tool_key(record: TrajectoryRecord) -> tuple[object, ...]:
    tools = ((tool.name, tool.signature, tool.description) for tool in tools_of(record))
    return ran_here(record), *sorted(tools)
