"""What `load_dataset` reads: `default` (one row a trajectory, steps inside), `steps`, `messages`.

Invariant: all three hold the same trajectories in the same splits and the same order, read
from the published tables and nothing else. A split is the task's own, or `train`; a validation
split takes whole questions from `train`, so that no question is on both sides.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from schemas import Selection, Task
from schemas.arrow import arrow_schema
from toolkit.cli.output import progress
from toolkit.errors import InputError
from toolkit.formats.shapes import SHAPES, has_tools
from toolkit.hub.manifest import Validation
from toolkit.lake.lake import Lake
from toolkit.lake.records import TrajectoryRecord
from toolkit.lake.selections import read_selected

DATA = "data"
CONFIGURATIONS = ("default", "steps", "messages")
SHARD_TRAJECTORIES = 20_000
BATCH_ROWS = 1_000

_VERDICT = [("correct", pa.bool_()), ("f1", pa.float64()), ("reward", pa.float64())]
_OF_TRAJECTORY = [("dataset", pa.string()), ("kind", pa.string()), ("role", pa.string()), ("correct", pa.bool_())]
_STEP_NAMES = [name for name in arrow_schema("steps").names if name != "attempt"]


def split_of(task: Task | None, validation: Validation | None) -> str:
    """Name of the split that a question belongs to."""
    name = re.sub(r"\W+", "_", (task.split if task else None) or "train")
    if name == "train" and task is not None and validation is not None:
        drawn = hashlib.sha256(f"{validation.seed}:{task.task_id}".encode()).digest()
        if int.from_bytes(drawn[:8]) < validation.share * 2**64:
            return "validation"
    return name


def schemas_of(tools: bool) -> dict[str, pa.Schema]:
    """Arrow schema of each configuration; `tools` says whether messages need columns for tool calls."""
    nested = SHAPES["nested"].schema(tools)
    for field in [("domain", pa.string()), ("model", pa.string()), *_VERDICT]:
        nested = nested.append(pa.field(*field))
    steps = pa.schema([arrow_schema("steps").field(name) for name in _STEP_NAMES])
    for field in [("weight", pa.float64()), *_OF_TRAJECTORY]:
        steps = steps.append(pa.field(*field))
    return {"default": nested, "steps": steps, "messages": SHAPES["trl"].schema(tools)}


def write_configurations(
    lake: Lake, selection: Selection, validation: Validation | None, directory: Path
) -> dict[str, pa.Schema]:
    """Write the Parquet files below `directory`; the schema of each configuration.

    Raises:
        InputError: a validation split was asked for and no question of `train` is left for one side.
    """
    snapshot = lake.snapshot()
    connection = snapshot.connect()
    try:
        schemas = schemas_of(has_tools(connection, selection.selection_id))
        sizes = _split_sizes(connection, validation)
        verdicts, models = (
            _verdicts(connection),
            dict(connection.execute("SELECT model_id, name FROM models").fetchall()),
        )
        shards = _Shards(directory / DATA, schemas, sizes)
        records = read_selected(connection, selection)
        with progress("publish", selection.n_kept, unit="trajectories") as advance:
            for done, (record, weights) in enumerate(records, start=1):
                verdict = verdicts.get(record.trajectory.trajectory_id, (None, None, None))
                rows = _rows(record, weights, verdict, models)
                shards.add(split_of(record.task, validation), rows)
                advance(done)
        shards.close()
    finally:
        connection.close()
    return schemas


def _split_sizes(connection: duckdb.DuckDBPyConnection, validation: Validation | None) -> Counter[str]:
    sizes: Counter[str] = Counter()
    counted = connection.sql(
        "SELECT k.*, n FROM tasks k JOIN (SELECT task_id, count(*) AS n FROM trajectories GROUP BY 1) USING (task_id)"
    )
    for values in counted.to_arrow_table().to_pylist():
        number = values.pop("n")
        sizes[split_of(Task.model_construct(**values), validation)] += number
    orphans = connection.execute("SELECT count(*) FROM trajectories ANTI JOIN tasks USING (task_id)").fetchall()[0][0]
    if orphans:
        sizes["train"] += orphans
    if validation is not None and not (sizes["train"] and sizes["validation"]):
        raise InputError(
            f"--validation {validation.share:g} leaves {sizes['train']} trajectories to train and"
            f" {sizes['validation']} to validate on; take another share or seed"
        )
    return sizes


def _verdicts(connection: duckdb.DuckDBPyConnection) -> dict[str, tuple[Any, ...]]:
    rows = connection.execute("SELECT trajectory_id, correct, f1, reward FROM trajectories_scored").fetchall()
    return {key: tuple(verdict) for key, *verdict in rows}


def _rows(
    record: TrajectoryRecord, weights: dict[int, float], verdict: tuple[Any, ...], models: dict[str, str]
) -> dict[str, list[dict[str, object]]]:
    """Rows of one trajectory in each configuration."""
    trajectory = record.trajectory
    correct, f1, reward = verdict
    nested = SHAPES["nested"].row(record, weights)
    nested |= {
        "domain": record.task.domain if record.task else None,
        "model": models.get(trajectory.model_id or ""),
        "correct": correct,
        "f1": f1,
        "reward": reward,
    }
    shared = {"dataset": trajectory.dataset, "kind": trajectory.kind, "role": trajectory.role, "correct": correct}
    steps = [
        {**step.model_dump(include=set(_STEP_NAMES)), "weight": weights.get(step.step_index, 1.0), **shared}
        for step in record.steps
    ]
    return {"default": [nested], "steps": steps, "messages": [SHAPES["trl"].row(record, weights)]}


class _Shards:
    """Open files of every configuration and split, a new one every `SHARD_TRAJECTORIES`."""

    def __init__(self, directory: Path, schemas: dict[str, pa.Schema], sizes: Counter[str]) -> None:
        self._directory, self._schemas, self._sizes = directory, schemas, sizes
        self._written: Counter[str] = Counter()
        self._pending: dict[tuple[str, str], list[dict[str, object]]] = {}
        self._writers: dict[tuple[str, str], pq.ParquetWriter] = {}

    def add(self, split: str, rows: dict[str, list[dict[str, object]]]) -> None:
        """Add one trajectory to `split`."""
        if self._written[split] and self._written[split] % SHARD_TRAJECTORIES == 0:
            self._end(split)
        self._written[split] += 1
        for configuration, added in rows.items():
            pending = self._pending.setdefault((configuration, split), [])
            pending.extend(added)
            if len(pending) >= BATCH_ROWS:
                self._flush(configuration, split)

    def close(self) -> None:
        """Write what is pending and close all files."""
        for split in self._written:
            self._end(split)

    def _end(self, split: str) -> None:
        for configuration in self._schemas:
            self._flush(configuration, split)
            self._writers.pop((configuration, split)).close()

    def _flush(self, configuration: str, split: str) -> None:
        rows = self._pending.pop((configuration, split), [])
        schema = self._schemas[configuration]
        if (configuration, split) not in self._writers:
            path = self._path(configuration, split)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writers[configuration, split] = pq.ParquetWriter(path, schema, compression="zstd")
        self._writers[configuration, split].write_table(pa.Table.from_pylist(rows, schema=schema))

    def _path(self, configuration: str, split: str) -> Path:
        number = (self._written[split] - 1) // SHARD_TRAJECTORIES
        total = -(-self._sizes[split] // SHARD_TRAJECTORIES)
        return self._directory / configuration / f"{split}-{number:05d}-of-{total:05d}.parquet"


def data_files(directory: Path) -> Iterator[tuple[str, str, Path]]:
    """Configuration, split and path of every file of data below `directory`, in order."""
    for configuration in CONFIGURATIONS:
        for path in sorted((directory / DATA / configuration).glob("*.parquet")):
            yield configuration, path.name.rsplit("-", 3)[0], path
