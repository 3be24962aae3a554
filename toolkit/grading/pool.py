"""Mathematical equivalence in processes that can be killed, at thousands of pairs a second.

Idea: pairs travel in chunks. A chunk whose process hangs, crashes or runs out of memory is graded
again pair by pair, so that only the pair that does it alone is left undecided, with a reason.
Invariant: one grade for each pair, in input order, whatever happens to a process; at most
`MAX_IN_FLIGHT` pairs are read ahead; after `close` no process is left.
Processes are spawned, never forked: a program that uses the pool needs the usual
`if __name__ == "__main__":`. What each may take is in `limits`.
Not covered: Windows, whose processes cannot be limited.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from typing import Self

from pebble import CONSTS, ProcessExpired, ProcessPool

from toolkit.errors import InputError, RunError
from toolkit.grading.answers import Grade, known_answers, text_metrics
from toolkit.grading.extraction import MAX_PREDICTION_CHARS
from toolkit.grading.limits import EXIT_MEMORY, EXIT_TIME, MEMORY_BYTES, bounded, limit_process

CHUNK_PAIRS = 64
MAX_IN_FLIGHT = 4096
"""Pairs that are read ahead of the one whose grade is due."""
NO_GOLD_ANSWER = "no gold answer is known"

_MAX_RESTARTS = 3
_STALL_S = 30.0
"""Wall-clock allowance of a chunk beyond ten times its processor time: against a process that somebody has stopped."""
_LOCK_S = 5.0
"""How long a process waits for the lock of the common pipe, which one that was killed may have taken with it."""
_WARM_UP = ((r"\frac{1}{x-1}", r"(x-1)^{-1}"), ("(1, 2)", r"(2, \frac{1}{2})"), ("x=2", r"2\sqrt{1}"))

Pair = tuple[str | None, Sequence[str]]
"""A prediction and its gold answers."""
_Sent = tuple[str, list[str]]


@dataclass(slots=True)
class _Chunk:
    """Pairs on their way to a process; grades that were known at once stand among them in their places."""

    slots: list[Grade | _Sent]
    pool: ProcessPool | None = None
    future: Future[list[bool]] | None = None

    @property
    def pairs(self) -> list[_Sent]:
        return [slot for slot in self.slots if not isinstance(slot, Grade)]


class MathPool:
    """Grades mathematical answers in `workers` processes (default: one a core) that start with the first pair.

    `timeout_s` is the processor time that one pair may take, in seconds.

    Raises:
        InputError: `workers` is below 1, or `timeout_s` is not positive.
    """

    def __init__(self, workers: int | None = None, timeout_s: float = 5.0) -> None:
        if workers is not None and workers < 1:
            raise InputError(f"expected at least one grading process, got workers={workers}")
        if timeout_s <= 0:
            raise InputError(f"expected a positive time for a pair, got timeout_s={timeout_s}")
        self.workers = workers or _cores()
        self.timeout_s = timeout_s
        self._pool: ProcessPool | None = None
        self._restarts = 0
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all processes at once, also those that are grading."""
        self._is_closed = True
        self._stop()

    def grade(self, pairs: Iterable[Pair | Grade]) -> Iterator[Grade]:
        """One grade for each pair, in order; a `Grade` among the pairs comes out in its place.

        Reads ahead, but never more than `MAX_IN_FLIGHT` pairs. A pair without gold answer is undecided.

        Raises:
            RunError: the processes do not start, or the pool is closed.
        """
        slots = map(_slot, pairs)
        # Nothing is cancelled when a consumer leaves: pebble would kill a process for each task in its pipe.
        chunks: deque[_Chunk] = deque()
        while taken := list(islice(slots, CHUNK_PAIRS)):
            chunks.append(self._submit(_Chunk(taken)))
            while chunks and (_is_done(chunks[0]) or len(chunks) * CHUNK_PAIRS >= MAX_IN_FLIGHT):
                yield from self._settle(chunks.popleft())
        while chunks:
            yield from self._settle(chunks.popleft())

    def _settle(self, chunk: _Chunk) -> Iterator[Grade]:
        """The grades of a chunk; waits for them."""
        verdicts = iter(self._verdicts(chunk))
        for slot in chunk.slots:
            if isinstance(slot, Grade):
                yield slot
                continue
            verdict = next(verdicts)
            em, f1 = text_metrics(*slot)
            yield Grade(None, em, f1, verdict) if isinstance(verdict, str) else Grade(verdict, em, f1)

    def _verdicts(self, chunk: _Chunk) -> list[bool | str]:
        """Whether each pair of a chunk is equivalent, or why that is not known."""
        pairs = chunk.pairs
        while chunk.future is not None:
            error = self._error(chunk)
            if error is None:
                self._restarts = 0
                return list(chunk.future.result())
            if _is_fault_of_the_pool(error):
                self._submit(chunk)
            elif len(pairs) == 1:
                return [self._reason(error)]
            else:
                alone = [self._submit(_Chunk([pair])) for pair in pairs]
                return [verdict for single in alone for verdict in self._verdicts(single)]
        return []

    def _error(self, chunk: _Chunk) -> BaseException | None:
        """How a scheduled chunk failed; waits for its end. None: it did not fail."""
        assert chunk.future is not None
        assert chunk.pool is not None
        last_resort = time.monotonic() + 2 * self._patience_s(CHUNK_PAIRS)
        while True:
            try:
                return chunk.future.exception(timeout=1.0)
            except TimeoutError:
                # pebble leaves tasks that it had not sent yet, or lost with a process, without an end
                if not chunk.pool.active or time.monotonic() > last_resort:
                    return BrokenProcessPool()

    def _reason(self, error: BaseException) -> str:
        match error:
            case ProcessExpired(exitcode=code) if code == EXIT_TIME:
                return f"took longer than {self.timeout_s:g} s of processor time"
            case ProcessExpired(exitcode=code) if code == EXIT_MEMORY:
                return f"needed more than {MEMORY_BYTES >> 20} MiB of memory"
            case ProcessExpired(exitcode=code):
                return f"the grading process died (exit status {code})"
            case TimeoutError():
                return f"the grading process gave no answer within {self._patience_s(1):g} s"
        return f"the grading process failed: {type(error).__name__}: {error}"

    def _patience_s(self, pairs: int) -> float:
        return _STALL_S + 10 * self.timeout_s * pairs

    def _submit(self, chunk: _Chunk) -> _Chunk:
        """Send the pairs of a chunk, if any, to the processes; replaces these if they are broken."""
        pairs = chunk.pairs
        while pairs:
            if self._is_closed:
                raise RunError("the grading pool is closed; open a new one")
            if self._pool is not None and (self._pool is chunk.pool or not self._pool.active):
                self._restart()
            if self._pool is None:
                context = multiprocessing.get_context("spawn")
                self._pool = ProcessPool(max_workers=self.workers, initializer=_prepare, context=context)
            chunk.pool = self._pool
            sent = [(prediction[-MAX_PREDICTION_CHARS:], answers) for prediction, answers in pairs]
            patience_s = self._patience_s(len(pairs))
            try:
                chunk.future = self._pool.schedule(_equivalent, args=(sent, self.timeout_s), timeout=patience_s)
            except RuntimeError:  # it broke since the check
                continue
            break
        return chunk

    def _restart(self) -> None:
        self._restarts += 1
        if self._restarts > _MAX_RESTARTS:
            raise RunError(
                f"the grading processes died {self._restarts} times in a row without grading anything; their error "
                "output says why (a script that grades needs `if __name__ == '__main__':`)"
            )
        self._stop()

    def _stop(self) -> None:
        if self._pool is not None:
            pool, self._pool = self._pool, None
            stop: Callable[[], None] = pool.stop  # pebble has no type for it
            stop()
            pool.join()


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _slot(pair: Pair | Grade) -> _Sent | Grade:
    """The pair as it is sent, or its grade where that takes no process."""
    if isinstance(pair, Grade):
        return pair
    prediction, answers = pair
    known = known_answers(answers)
    if not known:
        return Grade(None, 0.0, 0.0, NO_GOLD_ANSWER)
    if prediction is None or not prediction.strip():
        return Grade(False, 0.0, 0.0)
    return prediction, known


def _is_fault_of_the_pool(error: BaseException) -> bool:
    """Whether a chunk failed without its doing; pebble's processes exit with small numbers when their pipe fails."""
    if isinstance(error, ProcessExpired):
        return bool(0 < error.exitcode != EXIT_MEMORY)
    return isinstance(error, BrokenProcessPool)


def _is_done(chunk: _Chunk) -> bool:
    return chunk.future is None or chunk.future.done()


def _prepare() -> None:
    """Load sympy in a new process and take its slow first steps before the first pair is timed."""
    from toolkit.grading.equivalence import equivalent

    for prediction, answer in _WARM_UP:
        equivalent(prediction, [answer])
    limit_process()
    CONSTS.channel_lock_timeout = _LOCK_S


def _equivalent(pairs: list[_Sent], timeout_s: float) -> list[bool]:
    """Whether each prediction equals one of its gold answers; runs in a grading process."""
    from toolkit.grading.equivalence import equivalent

    verdicts = []
    for prediction, answers in pairs:
        with bounded(timeout_s):
            verdicts.append(equivalent(prediction, answers))
    return verdicts
