"""Many judgements in flight, recorded before they are used, committed in batches.

Invariant: equal content is asked for once, whether the equal ones come one after the other, at the same time, or in
another call of the command. An answer is in the journal before it is a score and leaves it when the lake holds the
score; one that cannot be read stays there, so that asking again is free until more tokens are allowed. What a server
refuses or does not answer is counted and asked again by the next call. Ctrl-C finishes what is in flight; pressed
twice, it drops that. A spent budget lets nothing more be asked.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from schemas import Prompt, Row
from schemas.identity import canonical_json
from toolkit.agent.budget import BudgetError, Meter
from toolkit.agent.interrupts import on_interrupt
from toolkit.agent.recorder import Recorder
from toolkit.contracts import LLM
from toolkit.errors import ModelError, ToolkitError
from toolkit.judging.cases import Case
from toolkit.judging.judge import Judge, UnreadableError
from toolkit.judging.rubric import Answer
from toolkit.lake.journal import Entry, Journal
from toolkit.lake.lake import Lake

BATCH_ROWS = 500
BATCH_S = 30.0


@dataclass(slots=True)
class Report:
    """Counts of one call."""

    judged: int = 0
    """Scores written, those that took over the verdict on equal content included."""
    copied: int = 0
    """Scores that took one over."""
    replayed: int = 0
    """Answers that came from the journal."""
    unreadable: Counter[str] = field(default_factory=Counter)
    """Why answers could not be read."""
    failed: Counter[str] = field(default_factory=Counter)
    """Why there was no answer."""
    verdicts: Counter[str] = field(default_factory=Counter)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    interrupted: bool = False
    out_of_budget: str | None = None
    """Which limit was reached. None: none."""
    commits: int = 0

    @property
    def ended(self) -> int:
        """Cases that need no more work now."""
        return self.judged + self.unreadable.total() + self.failed.total()

    @property
    def is_whole(self) -> bool:
        """Whether everything that was asked for has a score."""
        return not (self.interrupted or self.out_of_budget or self.unreadable or self.failed)


class Judging:
    """One judge at work.

    Args:
        lake: Where scores go.
        judge: Who judges.
        llm: The model that the judge is.
        journal: Where answers are recorded before they are used.
        known: Verdicts that the lake holds, by content.
        meter: Counts tokens, and stops when they are spent.
        progress: Called whenever a case has ended.
    """

    def __init__(
        self,
        lake: Lake,
        judge: Judge,
        llm: LLM,
        journal: Journal,
        known: dict[str, Answer],
        meter: Meter,
        progress: Callable[[Report], None] = lambda report: None,
    ) -> None:
        self._lake, self._judge, self._llm, self._journal = lake, judge, llm, journal
        self._known, self._meter, self._progress = known, meter, progress
        self._recorded: dict[str, list[Entry]] = defaultdict(list)
        for entry in journal.entries():
            self._recorded[entry.trajectory_id].append(entry)
        self._unreadable: dict[str, UnreadableError] = {}
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._model = canonical_json([llm.name, llm.identity]).encode()
        self._rows: list[Row] = []
        self._keys: list[str] = []
        self._flushed_at = time.monotonic()
        self._stopping = False
        self.report = Report()

    async def run(self, cases: Iterable[Case], in_flight: int) -> Report:
        """Judge `cases`.

        Raises:
            InputError: the model is gone or the key was revoked; what was judged is kept.
            RunError: the journal cannot be written, or tokens cannot be counted; likewise.
            LakeError: the lake cannot be written; the journal holds the answers.
        """
        await self._journal.forget([key for key in self._recorded if key in self._known])
        workers: list[asyncio.Task[None]] = []
        failure: Exception | None = None

        def drop() -> None:
            for worker in workers:
                worker.cancel()

        with on_interrupt(self._finish_in_flight, drop):
            try:
                work = self._work(cases)
                async with asyncio.TaskGroup() as group:
                    workers += [group.create_task(self._worker(work)) for _ in range(in_flight)]
            except* asyncio.CancelledError:
                self.report.interrupted = True
            except* ToolkitError as errors:
                failure = errors.exceptions[0]
        if failure is not None:
            # What has been answered is in the journal, should the lake refuse it, too.
            with suppress(ToolkitError):
                await self._flush()
            raise failure
        await self._flush()
        return self.report

    def _finish_in_flight(self) -> None:
        self._stopping = self.report.interrupted = True
        self._progress(self.report)

    def _work(self, cases: Iterable[Case]) -> Iterator[Case]:
        """The cases, one after another; workers share this iterator."""
        for case in cases:
            if self._stopping:
                return
            yield case

    async def _worker(self, work: Iterator[Case]) -> None:
        for case in work:
            key = self._judge.key(case)
            try:
                # Equal ones wait for the first of them.
                async with self._turns[key]:
                    answer, tokens = await self._answer(key, case)
            except BudgetError as error:
                self._stopping, self.report.out_of_budget = True, str(error)
                return
            except UnreadableError as error:
                self.report.unreadable[str(error)] += 1
            except ModelError as error:
                self.report.failed[str(error)] += 1
            else:
                self._keep(key, case, answer, tokens)
            self._progress(self.report)
            if len(self._rows) >= BATCH_ROWS or time.monotonic() - self._flushed_at > BATCH_S:
                await self._flush()

    async def _answer(self, key: str, case: Case) -> tuple[Answer, tuple[int, int] | None]:
        """The verdict, and the tokens that it took; None: it is of equal content."""
        if key in self._known:
            return self._known[key], None
        if key in self._unreadable:
            raise self._unreadable[key]
        recorder = Recorder(key, 0, self._journal, self._recorded.pop(key, ()), self._meter)
        (completion, *_) = await recorder.reply(self._llm, self._judge.request(case), self._model)
        tokens = (recorder.prompt_tokens, recorder.completion_tokens)
        self.report.replayed += recorder.replayed
        self.report.prompt_tokens += tokens[0]
        self.report.completion_tokens += tokens[1]
        try:
            self._known[key] = answer = self._judge.read(completion)
        except UnreadableError as error:
            self._unreadable[key] = error
            raise
        return answer, tokens

    def _keep(self, key: str, case: Case, answer: Answer, tokens: tuple[int, int] | None) -> None:
        self._rows.append(self._judge.score(case, answer, datetime.now(UTC), tokens))
        if tokens is not None:
            self._keys.append(key)
        self.report.judged += 1
        self.report.copied += tokens is None
        self.report.verdicts[answer.verdict] += 1

    async def _flush(self) -> None:
        """Commit what waits, to its end even if the caller is cancelled meanwhile."""
        if not self._rows:
            return
        rows, keys = self._rows, self._keys
        self._rows, self._keys, self._flushed_at = [], [], time.monotonic()
        await asyncio.shield(self._settle(rows, keys))

    async def _settle(self, rows: list[Row], keys: list[str]) -> None:
        await asyncio.to_thread(self._commit, rows)
        await self._journal.forget(keys)

    def _commit(self, rows: list[Row]) -> None:
        rubric = self._judge.rubric
        with self._lake.write(f"judge {rubric.name}") as batch:
            batch.add(rows)
            if not self.report.commits:
                batch.add([Prompt(prompt_hash=rubric.hash, text=rubric.text)])
        self.report.commits += 1
