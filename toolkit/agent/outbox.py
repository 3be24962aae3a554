"""Finished rollouts on their way into the lake, a few hundred a commit.

Invariant: what a rollout was answered leaves the journal only after the lake holds its row; one that ended in an
error keeps it, so that its retry pays for nothing twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from schemas import Row, Run, Task
from toolkit.agent.draft import Finished
from toolkit.lake.journal import Journal
from toolkit.lake.lake import Lake

BATCH_ROLLOUTS = 500
BATCH_S = 30.0


class Outbox:
    """Rows of one run that wait for their commit.

    Args:
        lake: Where they go.
        run: The run, which the first commit tells of.
        shared: Rows that all rollouts refer to; they go with the first commit, too.
        tasks: task_ids that the lake holds.
        journal: Where the rollouts' answers are. None: nowhere.
    """

    def __init__(self, lake: Lake, run: Run, shared: Iterable[Row], tasks: set[str], journal: Journal | None) -> None:
        self._lake, self._run, self._journal = lake, run, journal
        self._tasks = tasks
        self._rows: list[Row] = [run, *shared]
        self._finished: list[Finished] = []
        self._flushed_at = time.monotonic()
        self.commits: list[int] = []
        """Numbers of the commits so far."""

    def add(self, task: Task, done: Finished) -> None:
        """Put a finished rollout among the rows of the next commit."""
        if task.task_id not in self._tasks:
            self._tasks.add(task.task_id)
            self._rows.append(task)
        self._rows += done.rows()
        self._finished.append(done)

    @property
    def is_due(self) -> bool:
        """Whether there is enough for a commit, or it has waited long enough."""
        return len(self._finished) >= BATCH_ROLLOUTS or time.monotonic() - self._flushed_at > BATCH_S

    async def flush(self) -> None:
        """Commit what waits, to its end even if the caller is cancelled meanwhile.

        Raises:
            LakeError: the disk refused; the rollouts are still in the journal.
            RunError: the journal cannot be written.
        """
        if not self._finished:
            return
        rows, finished = self._rows, self._finished
        self._rows, self._finished, self._flushed_at = [], [], time.monotonic()
        await asyncio.shield(self._settle(rows, finished))

    async def _settle(self, rows: list[Row], finished: list[Finished]) -> None:
        self.commits.append(await asyncio.to_thread(self._commit, rows))
        if self._journal is not None:
            ended = [done.trajectory for done in finished if done.trajectory.stop_reason != "error"]
            await self._journal.forget([trajectory.trajectory_id for trajectory in ended])

    def _commit(self, rows: list[Row]) -> int:
        with self._lake.write(f"{self._run.kind} {self._run.run_id[:8]}") as batch:
            batch.add(rows)
        assert batch.commit is not None
        return batch.commit
