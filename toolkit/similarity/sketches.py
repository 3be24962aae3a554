"""Sketches of texts, and their shingles, made in batches on all cores.

A sketch is rensa's MinHash of the shingles of a text: how many of its values two texts share estimates their Jaccard.
Invariant: a sketch depends on the text and the scheme alone, not on batches, processes or machines; whoever stores
one stores `scheme` beside it, and compares only sketches of equal schemes.
Processes are spawned, never forked, and only where there are more texts than `INLINE_TEXTS`: a program that sketches
more needs the usual `if __name__ == "__main__":`.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from importlib.metadata import version
from itertools import chain, islice
from typing import Self, TypeVar

import numpy as np
import rensa
from numpy.typing import NDArray

from toolkit.errors import InputError, RunError
from toolkit.similarity import shingles as words
from toolkit.similarity.programs import VERSION as PROGRAMS_VERSION
from toolkit.similarity.programs import program_shape

SHINGLE_WORDS = 3
"""Measured on the 5,914 different questions of the paper's files, pairs at a Jaccard of 0.8 or more: by single words
210, of which 65 have another answer; by 2 words 49 and 18; by 3 words 27 and 8; by 4 words 4 and 3; by 5 words 1, 1."""
PERMUTATIONS = 128
SEED = 1
INLINE_TEXTS = 2_000
"""Up to here, starting processes costs more than they save."""
BATCH_TEXTS = 512

Sketches = NDArray[np.uint32]
"""One row of `PERMUTATIONS` values a text."""
Flags = NDArray[np.bool_]
Parts = Sequence[str]
"""The texts or actions that one sketch is of, in order."""
_Out = TypeVar("_Out")


def scheme(*, programs: bool) -> str:
    """Library, versions and parameters of the sketches made here, of `programs` or of plain texts."""
    made = f"rensa={version('rensa')} rminhash={rensa.RMinHash.ALGORITHM_VERSION} permutations={PERMUTATIONS}"
    return f"{made} seed={SEED} shingle={SHINGLE_WORDS} {words.VERSION}" + (f" {PROGRAMS_VERSION}" if programs else "")


class Workshop:
    """Makes sketches and shingle sets; `workers` processes (default: one a core) start with the first large batch.

    Raises:
        InputError: `workers` is below 1.
    """

    def __init__(self, *, programs: bool, workers: int | None = None) -> None:
        if workers is not None and workers < 1:
            raise InputError(f"expected at least one process, got workers={workers}")
        self.programs = programs
        self.scheme = scheme(programs=programs)
        self._workers = workers or len(os.sched_getaffinity(0))
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def sketches(self, texts: Iterable[Parts]) -> Iterator[tuple[Sketches, Flags]]:
        """The sketches of the texts, batch by batch in their order, and which texts have any shingle at all."""
        return self._batches(partial(_sketches, programs=self.programs), texts)

    def shingle_sets(self, texts: Iterable[Parts]) -> Iterator[words.Hashes]:
        """The shingle set of each text, in order."""
        return chain.from_iterable(self._batches(partial(_sets, programs=self.programs), texts))

    def _batches(self, make: Callable[[list[Parts]], _Out], texts: Iterable[Parts]) -> Iterator[_Out]:
        source = iter(texts)
        first = list(islice(source, INLINE_TEXTS + 1))
        if self._workers == 1 or (len(first) <= INLINE_TEXTS and self._pool is None):
            source = chain(first, source)
            while batch := list(islice(source, BATCH_TEXTS)):
                yield make(batch)
            return
        yield from self._in_processes(make, chain(first, source))

    def _in_processes(self, make: Callable[[list[Parts]], _Out], source: Iterator[Parts]) -> Iterator[_Out]:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self._workers, mp_context=multiprocessing.get_context("spawn"))
        waiting: deque[Future[_Out]] = deque()
        try:
            while batch := list(islice(source, BATCH_TEXTS)):
                waiting.append(self._pool.submit(make, batch))
                if len(waiting) > 2 * self._workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            hint = "" if hasattr(sys.modules["__main__"], "__file__") else "; it needs a program that lies in a file"
            raise RunError(f"a process that sketches texts has died{hint}") from error


def _texts(batch: list[Parts], programs: bool) -> list[str]:
    return [program_shape(parts) if programs else "\n".join(parts) for parts in batch]


def _sketches(batch: list[Parts], *, programs: bool) -> tuple[Sketches, Flags]:
    hashes, offsets = words.shingles(_texts(batch, programs), SHINGLE_WORDS)
    matrix = rensa.RMinHash.digest_matrix_from_flat_token_hashes(
        hashes, offsets.astype(np.uint64), num_perm=PERMUTATIONS, seed=SEED
    )
    return np.array(matrix.to_rows(), dtype=np.uint32).reshape(len(batch), PERMUTATIONS), np.diff(offsets) > 0


def _sets(batch: list[Parts], *, programs: bool) -> list[words.Hashes]:
    return words.shingle_sets(_texts(batch, programs), SHINGLE_WORDS)
