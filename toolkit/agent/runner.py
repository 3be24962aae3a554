"""Many rollouts in flight in one event loop, committed in batches, resumed by id.

Invariant: a rollout that the lake already holds is not run again; one that ended in an error
is, as a new attempt. Ctrl-C stops starting rollouts and lets those in flight end; pressed
twice, it drops those in flight. What has ended is committed either way.
Not covered: continuing in the middle of a rollout (the journal).
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from schemas import Row, Run, Task
from toolkit.agent.chain import run_chain
from toolkit.agent.draft import Draft, Finished, FirstThought
from toolkit.agent.known import Known, load_known
from toolkit.agent.loop import run_agent
from toolkit.agent.setup import Setup
from toolkit.dialects.chain_of_thought import first_paragraph
from toolkit.errors import ToolkitError
from toolkit.lake.lake import Lake

BATCH_ROLLOUTS = 500
BATCH_S = 30.0


@dataclass(slots=True)
class Report:
    """What a run has done so far."""

    finished: int = 0
    skipped: int = 0
    """Rollouts that the lake already held."""
    stop_reasons: Counter[str] = field(default_factory=Counter)
    error_kinds: Counter[str] = field(default_factory=Counter)
    """Steps by error kind, those without error left out."""
    chains: int = 0
    """Chains of thought made for their first thought."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    interrupted: bool = False
    commits: list[int] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    """Messages of rollouts that ended in an error."""

    def add(self, done: Finished) -> None:
        """Count a finished rollout."""
        trajectory = done.trajectory
        self.prompt_tokens += trajectory.prompt_tokens or 0
        self.completion_tokens += trajectory.completion_tokens or 0
        self.error_kinds.update(step.error_kind for step in done.steps if step.error_kind != "none")
        if trajectory.error:
            self.errors[trajectory.error] += 1


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run."""

    setup: Setup
    samples: int = 1
    """Rollouts of each question."""
    first_thoughts: int = 1
    """Different first thoughts of each question; sample i takes number i modulo this."""
    in_flight: int = 32


class Runner:
    """Runs a plan over tasks and writes what comes of it into a lake."""

    def __init__(self, lake: Lake, plan: Plan, run: Run, *, progress: Callable[[Report], None] = lambda report: None):
        self._lake, self._plan, self._run, self._progress = lake, plan, run, progress
        self._known: Known = load_known(lake, plan.setup)
        self._pending: list[Row] = []
        self._pending_rollouts = 0
        self._flushed_at = time.monotonic()
        self._chains: dict[str, asyncio.Task[FirstThought | str]] = {}
        self._stopping = False
        self.report = Report()

    async def run(self, tasks: Iterable[Task]) -> Report:
        """Run every task that is not in the lake yet."""
        self._pending = [self._run, *self._shared_rows()]
        work = self._work(tasks)
        workers: list[asyncio.Task[None]] = []
        restore = self._on_interrupt(workers)
        try:
            async with asyncio.TaskGroup() as group:
                workers += [group.create_task(self._worker(work)) for _ in range(self._plan.in_flight)]
        except* asyncio.CancelledError:
            self.report.interrupted = True
        except* ToolkitError as errors:
            raise errors.exceptions[0] from None
        finally:
            restore()
            for chain in self._chains.values():
                chain.cancel()
            await self._flush()
        return self.report

    def _work(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, int]]:
        """The rollouts to run, one after another; workers share this iterator."""
        for task in tasks:
            for sample_index in range(self._plan.samples):
                if self._stopping:
                    return
                trajectory_id = self._plan.setup.trajectory_id(task.task_id, sample_index)
                if self._known.is_done(trajectory_id):
                    self.report.skipped += 1
                    self._progress(self.report)
                    continue
                yield task, sample_index

    async def _worker(self, work: Iterator[tuple[Task, int]]) -> None:
        for task, sample_index in work:
            done = await self._rollout(task, sample_index)
            self._keep(task, done)
            self.report.finished += 1
            self.report.stop_reasons[done.trajectory.stop_reason] += 1
            self._progress(self.report)
            if self._pending_rollouts >= BATCH_ROLLOUTS or time.monotonic() - self._flushed_at > BATCH_S:
                await self._flush()

    async def _rollout(self, task: Task, sample_index: int) -> Finished:
        setup = self._plan.setup
        draft = self._draft(setup, task, sample_index)
        if setup.kind != "agent":
            return await run_chain(draft)
        if setup.first_thoughts is not None:
            thought = await self._first_thought(setup.first_thoughts, task, sample_index % self._plan.first_thoughts)
            if isinstance(thought, str):
                return draft.finish("error", error=thought)
            draft.first_thought = thought
        return await run_agent(draft)

    def _draft(self, setup: Setup, task: Task, sample_index: int) -> Draft:
        attempt = self._known.next_attempt(setup.trajectory_id(task.task_id, sample_index))
        return Draft(setup, task, self._run.run_id, sample_index, attempt)

    async def _first_thought(self, chains: Setup, task: Task, index: int) -> FirstThought | str:
        """The first thought number `index` of a task, made once; or why there is none."""
        chain_id = chains.trajectory_id(task.task_id, index)
        if chain_id not in self._chains:
            self._chains[chain_id] = asyncio.ensure_future(self._make_first_thought(chains, task, index, chain_id))
        return await asyncio.shield(self._chains[chain_id])

    async def _make_first_thought(self, chains: Setup, task: Task, index: int, chain_id: str) -> FirstThought | str:
        text = self._known.chains.get(chain_id)
        if text is None:
            done = await run_chain(self._draft(chains, task, index))
            self._keep(task, done)
            self.report.chains += 1
            if done.trajectory.stop_reason == "error":
                return f"no first thought: {done.trajectory.error}"
            text = done.steps[0].completion
        paragraph = first_paragraph(text)
        return FirstThought(paragraph, chain_id) if paragraph else "no first thought: its chain of thought is empty"

    def _keep(self, task: Task, done: Finished) -> None:
        """Put a finished rollout among the rows of the next commit."""
        if task.task_id not in self._known.tasks:
            self._known.tasks.add(task.task_id)
            self._pending.append(task)
        self._pending += done.rows()
        self._pending_rollouts += 1
        self.report.add(done)

    def _shared_rows(self) -> list[Row]:
        setups = [self._plan.setup, *filter(None, [self._plan.setup.first_thoughts])]
        rows: dict[str, Row] = {}
        for setup in setups:
            rows |= {setup.model_row.model_id: setup.model_row, setup.prompt_row.prompt_hash: setup.prompt_row}
        return list(rows.values())

    async def _flush(self) -> None:
        rows, rollouts = self._pending, self._pending_rollouts
        self._pending, self._pending_rollouts, self._flushed_at = [], 0, time.monotonic()
        if rollouts:
            # Off the event loop, and to its end even if this worker is cancelled meanwhile.
            commit = await asyncio.shield(asyncio.to_thread(self._commit, rows))
            self.report.commits.append(commit)
        else:
            self._pending = [*rows, *self._pending]

    def _commit(self, rows: list[Row]) -> int:
        with self._lake.write(f"{self._run.kind} {self._run.run_id[:8]}") as batch:
            batch.add(rows)
        assert batch.commit is not None
        return batch.commit

    def _on_interrupt(self, workers: list[asyncio.Task[None]]) -> Callable[[], None]:
        """Let Ctrl-C finish what is in flight, and a second one drop it; returns how to undo this."""

        def interrupt() -> None:
            if not self._stopping:
                self._stopping = self.report.interrupted = True
                self._progress(self.report)
                return
            for worker in workers:
                worker.cancel()

        loop = asyncio.get_running_loop()
        try:
            loop.add_signal_handler(signal.SIGINT, interrupt)
        except (ValueError, RuntimeError):
            # Not in the main thread: whoever called us there handles signals.
            return lambda: None

        def restore() -> None:
            loop.remove_signal_handler(signal.SIGINT)

        return restore
