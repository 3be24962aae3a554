"""Arrays of different lengths in a temporary file, read back by number: shingle sets that need not fit in memory."""

from __future__ import annotations

import tempfile
from typing import Self

import numpy as np

from toolkit.errors import RunError
from toolkit.similarity.shingles import Hashes


class Spilled:
    """Sets are put in under a number each and read back when all are in; the file is gone with the block."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="toolkit-shingles-")
        self._places: dict[int, tuple[int, int]] = {}
        self._values: Hashes | None = None
        self._written = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._values = None
        self._file.close()

    def put(self, number: int, values: Hashes) -> None:
        """Store one array.

        Raises:
            RunError: the temporary directory is full or not writable.
        """
        try:
            self._file.write(values.tobytes())
        except OSError as error:
            place = tempfile.gettempdir()
            raise RunError(f"cannot keep shingles in {place}: {error.strerror}; set TMPDIR to a larger disk") from error
        self._places[number] = self._written, len(values)
        self._written += len(values)

    def __getitem__(self, number: int) -> Hashes:
        start, length = self._places[number]
        if length == 0:
            return np.zeros(0, dtype=np.uint64)
        if self._values is None:
            self._file.flush()
            self._values = np.memmap(self._file, dtype=np.uint64, mode="r")
        return self._values[start : start + length]
