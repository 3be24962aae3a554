"""The vectors of a build in progress: one file of rows that only grows.

Invariant: after kill -9 at any point the whole rows in the file are those that were
appended, in their order; a torn row at the end is cut off by the next append. So the
number of rows says how far a build has come. Not covered: two writers (see `build`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from toolkit.errors import RunError

if TYPE_CHECKING:
    from toolkit.retrieval.embedder import Vectors


class VectorFile:
    """Rows of float32 in the machine's byte order; `dimensions` numbers each."""

    def __init__(self, path: Path, dimensions: int) -> None:
        self.path = path
        self._dimensions = dimensions
        self._row_bytes = 4 * dimensions

    def __len__(self) -> int:
        """Whole rows in the file; 0 if there is none."""
        try:
            return self.path.stat().st_size // self._row_bytes
        except FileNotFoundError:
            return 0

    def append(self, rows: Vectors) -> None:
        """Add rows; they are on disk when this returns.

        Raises:
            RunError: the rows have another length than the file's.
        """
        if rows.ndim != 2 or rows.shape[1] != self._dimensions:
            raise RunError(f"expected vectors of {self._dimensions} numbers, the embedder gave {rows.shape}")
        end = len(self) * self._row_bytes
        with self.path.open("ab") as file:
            file.truncate(end)
            file.write(np.ascontiguousarray(rows, np.float32).tobytes())
            file.flush()
            os.fsync(file.fileno())

    def read(self, start: int, stop: int) -> Vectors:
        """Rows `start` up to, not including, `stop`.

        Raises:
            RunError: a row is not a unit vector, as after a power cut on some file systems.
        """
        with self.path.open("rb") as file:
            file.seek(start * self._row_bytes)
            data = file.read((stop - start) * self._row_bytes)
        rows = np.frombuffer(data, np.float32).reshape(-1, self._dimensions)
        if not np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-3):
            raise RunError(f"{self.path} is damaged; remove it and run `toolkit index` again")
        return rows
