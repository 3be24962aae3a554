"""Sketches in the lake: read those that fit, write those that had to be made.

Invariant: a sketch is used only for the attempt, the role and the scheme that it was made of. What is stored is a
cache of what could be made again, so the newest commit is read, whatever moment of the lake is being filtered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas import SignatureRole
from toolkit.lake.lake import Lake
from toolkit.similarity.sketches import PERMUTATIONS, Flags, Sketches

BATCH_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class SketchStore:
    """The sketches of one role and scheme in a lake."""

    lake: Lake
    role: SignatureRole
    scheme: str
    is_dry: bool
    """Write nothing."""

    def read(self) -> Iterator[tuple[list[tuple[str, int]], Sketches, Flags]]:
        """(trajectory_id, attempt) of stored sketches, the sketches, and which of them are of any text at all."""
        connection = self.lake.snapshot().connect(raw=["signatures"])
        try:
            query = "SELECT trajectory_id, attempt, values FROM raw.signatures WHERE role = ? AND scheme = ?"
            for batch in connection.sql(query, params=[self.role, self.scheme]).to_arrow_reader(BATCH_ROWS):
                # Whatever else somebody stored under our scheme is no sketch of ours.
                lengths = pc.list_value_length(batch["values"])
                batch = batch.filter(pc.is_in(lengths, pa.array([0, PERMUTATIONS], lengths.type)))
                present = pc.greater(pc.list_value_length(batch["values"]), 0).to_numpy(zero_copy_only=False)
                sketches = np.zeros((batch.num_rows, PERMUTATIONS), dtype=np.uint32)
                sketches[present] = batch["values"].flatten().to_numpy(zero_copy_only=False).reshape(-1, PERMUTATIONS)
                attempts = batch["attempt"].to_pylist()
                yield list(zip(batch["trajectory_id"].to_pylist(), attempts, strict=True)), sketches, present
        finally:
            connection.close()

    def write(self, keys: Sequence[tuple[str, int]], sketches: Sketches, present: Flags) -> None:
        """Store sketches; a row without any text has an empty one, so that nobody reads its text again."""
        if self.is_dry or not keys:
            return
        ends = np.concatenate(([0], np.cumsum(present * PERMUTATIONS))).astype(np.int32)
        values = pa.ListArray.from_arrays(ends, pa.array(sketches[present].astype(np.uint64).ravel()))
        rows = {
            "trajectory_id": [trajectory_id for trajectory_id, _ in keys],
            "attempt": [attempt for _, attempt in keys],
            "role": [self.role] * len(keys),
            "scheme": [self.scheme] * len(keys),
            "values": values,
        }
        with self.lake.write(f"sketches of {self.role}") as batch:
            batch.add_arrow("signatures", pa.table(rows))
