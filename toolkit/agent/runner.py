"""Many rollouts in flight in one event loop, committed in batches, resumed by id and from the journal.

Invariant: a rollout that the lake already holds is not run again; one that ended in an error is, as a new attempt,
if the retry policy says so; what nobody foresaw is such an error, too. One that was cut off is run again from its
start, and what it was answered before comes from the journal. Ctrl-C stops starting rollouts and lets those in flight
end; pressed twice, it drops those in flight. A spent budget lets nothing more be asked. What has ended is committed
either way.
Not covered: retries within one run; start the same command again.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from schemas import Row, Run, Task
from toolkit.agent.budget import BudgetError, Meter
from toolkit.agent.chain import run_chain
from toolkit.agent.draft import Draft, Finished, FirstThought
from toolkit.agent.interrupts import on_interrupt
from toolkit.agent.known import Known, Retry, load_first_thoughts
from toolkit.agent.loop import run_agent
from toolkit.agent.outbox import Outbox
from toolkit.agent.recorder import Recorder
from toolkit.agent.report import Report
from toolkit.agent.setup import Setup
from toolkit.dialects.chain_of_thought import first_paragraph
from toolkit.errors import ToolkitError
from toolkit.lake.journal import Entry, Journal
from toolkit.lake.journals import place
from toolkit.lake.lake import Lake


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run."""

    setup: Setup
    samples: int = 1
    """Rollouts of each question."""
    first_thoughts: int = 1
    """Different first thoughts of each question; sample i takes number i modulo this."""
    in_flight: int = 32
    retry: Retry = "errors"
    meter: Meter = field(default_factory=Meter)
    """Counts tokens, and stops the run when they are spent."""


class Runner:
    """Runs a plan over tasks and writes what comes of it into a lake.

    Args:
        lake: Where rollouts go.
        plan: What to run.
        run: The row of this run.
        known: What the lake already holds.
        journal: Where answers are recorded before they are used. None: nowhere.
        recorded: What the journal held at the start.
        old_thoughts: First thoughts in the lake, on their way. None: they are read when the first one is needed.
        progress: Called whenever a rollout has ended.
    """

    def __init__(
        self,
        lake: Lake,
        plan: Plan,
        run: Run,
        known: Known,
        *,
        journal: Journal | None = None,
        recorded: Iterable[Entry] = (),
        old_thoughts: asyncio.Task[dict[str, str]] | None = None,
        progress: Callable[[Report], None] = lambda report: None,
    ):
        self._lake, self._plan, self._run, self._known = lake, plan, run, known
        self._journal, self._progress = journal, progress
        self._recorded: dict[str, list[Entry]] = defaultdict(list)
        for entry in recorded:
            self._recorded[entry.trajectory_id].append(entry)
        self._outbox = Outbox(lake, run, self._shared_rows(), known.tasks, journal)
        self._chains: dict[str, asyncio.Task[FirstThought | str]] = {}
        self._old_thoughts = old_thoughts
        self._stopping = False
        self.report = Report(commits=self._outbox.commits)

    async def run(self, tasks: Iterable[Task]) -> Report:
        """Run every task that is not in the lake yet.

        Raises:
            RunError: the journal or the sandbox failed; the same command goes on from there.
            LakeError: the lake cannot be written; likewise.
        """
        await self._drop_finished()
        workers: list[asyncio.Task[None]] = []
        failure: Exception | None = None
        with on_interrupt(self._finish_in_flight, lambda: _cancel(workers)):
            try:
                work = self._work(tasks)
                async with asyncio.TaskGroup() as group:
                    workers += [group.create_task(self._worker(work)) for _ in range(self._plan.in_flight)]
            except* asyncio.CancelledError:
                self.report.interrupted = True
            except* ToolkitError as errors:
                failure = errors.exceptions[0]
            finally:
                chains = [*self._chains.values(), *filter(None, [self._old_thoughts])]
                _cancel(chains)
                await asyncio.gather(*chains, return_exceptions=True)
        if failure is not None:
            # What has ended is in the journal, should the lake refuse it, too.
            with suppress(ToolkitError):
                await self._outbox.flush()
            raise failure
        await self._outbox.flush()
        return self.report

    async def _drop_finished(self) -> None:
        """Drop from the journal what the lake holds: a run may die between its commit and that."""
        done = [trajectory_id for trajectory_id in self._recorded if self._known.is_done(trajectory_id)]
        for trajectory_id in done:
            del self._recorded[trajectory_id]
        if self._journal is not None:
            await self._journal.forget(done)

    def _work(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, int]]:
        """The rollouts to run, one after another; workers share this iterator."""
        for task in tasks:
            for sample_index in range(self._plan.samples):
                if self._stopping:
                    return
                trajectory_id = self._plan.setup.trajectory_id(task.task_id, sample_index)
                if self._known.is_done(trajectory_id):
                    self.report.skipped += 1
                elif self._known.is_left(trajectory_id, self._plan.retry):
                    self.report.left += 1
                else:
                    yield task, sample_index

    async def _worker(self, work: Iterator[tuple[Task, int]]) -> None:
        for task, sample_index in work:
            draft = self._draft(self._plan.setup, task, sample_index)
            try:
                done = await self._rollout(draft)
            except BudgetError as error:
                self._stopping, self.report.out_of_budget = True, str(error)
                self.report.unfinished += 1
                return
            except asyncio.CancelledError:
                self.report.unfinished += 1
                raise
            except ToolkitError:
                raise
            # One rollout that meets a defect, of ours or of a plugged-in part, must not keep all others from ending.
            except Exception as error:
                done = draft.finish("error", error=_defect(error))
            self._keep(draft, done)
            self.report.finished += 1
            self.report.retried += draft.attempt > 0
            self.report.stop_reasons[done.trajectory.stop_reason] += 1
            self._progress(self.report)
            if self._outbox.is_due:
                await self._outbox.flush()

    async def _rollout(self, draft: Draft) -> Finished:
        setup = draft.setup
        if setup.kind != "agent":
            return await run_chain(draft)
        if setup.first_thoughts is not None:
            index = draft.sample_index % self._plan.first_thoughts
            thought = await self._first_thought(setup.first_thoughts, draft.task, index)
            if isinstance(thought, str):
                return draft.finish("error", error=thought)
            draft.first_thought = thought
        return await run_agent(draft)

    def _draft(self, setup: Setup, task: Task, sample_index: int) -> Draft:
        trajectory_id = setup.trajectory_id(task.task_id, sample_index)
        recorded = self._recorded.pop(trajectory_id, ())
        recorder = Recorder(trajectory_id, place(task.task_id), self._journal, recorded, self._plan.meter)
        attempt = self._known.next_attempt(trajectory_id)
        return Draft(setup, task, self._run.run_id, sample_index, attempt, recorder=recorder)

    async def _first_thought(self, chains: Setup, task: Task, index: int) -> FirstThought | str:
        """The first thought number `index` of a task, made once; or why there is none."""
        chain_id = chains.trajectory_id(task.task_id, index)
        if chain_id not in self._chains:
            self._chains[chain_id] = asyncio.ensure_future(self._make_first_thought(chains, task, index, chain_id))
        return await asyncio.shield(self._chains[chain_id])

    async def _make_first_thought(self, chains: Setup, task: Task, index: int, chain_id: str) -> FirstThought | str:
        if self._known.is_done(chain_id):
            if self._old_thoughts is None:
                self._old_thoughts = asyncio.ensure_future(asyncio.to_thread(load_first_thoughts, self._lake, chains))
            paragraph = (await self._old_thoughts)[chain_id]
        else:
            draft = self._draft(chains, task, index)
            done = await run_chain(draft)
            self._keep(draft, done)
            self.report.chains += 1
            if done.trajectory.error is not None:
                return f"{done.trajectory.error}; so there is no first thought"
            paragraph = first_paragraph(done.steps[0].completion)
        return FirstThought(paragraph, chain_id) if paragraph else "no first thought: its chain of thought is empty"

    def _keep(self, draft: Draft, done: Finished) -> None:
        self._outbox.add(draft.task, done)
        self.report.add(done)
        self.report.replayed += draft.recorder.replayed
        self.report.spent = self._plan.meter.words()

    def _shared_rows(self) -> list[Row]:
        setups = [self._plan.setup, *filter(None, [self._plan.setup.first_thoughts])]
        rows: dict[str, Row] = {}
        for setup in setups:
            prompts = [setup.prompt_row, *filter(None, [setup.tools_row])]
            rows |= {setup.model_row.model_id: setup.model_row, **{row.prompt_hash: row for row in prompts}}
        return [row for key, row in rows.items() if key not in self._known.models]

    def _finish_in_flight(self) -> None:
        self._stopping = self.report.interrupted = True
        self._progress(self.report)


def _defect(error: Exception) -> str:
    """What nobody foresaw, with the place it came from."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"unexpected {type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}: {error}"


def _cancel(tasks: Iterable[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
