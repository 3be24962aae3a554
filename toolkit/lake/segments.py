"""Writing one segment: sorted Parquet files of every table of a batch, synced to disk.

Invariant: a segment is invisible until a commit names it, and never changes afterwards.
While it is being written, its directory holds a locked `.writing` file, which tells
`vacuum` that its writer lives.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas import Table
from schemas.arrow import arrow_schema
from toolkit.errors import LakeError
from toolkit.lake.commits import Segment, SegmentTable
from toolkit.lake.layout import Layout, sync_directory, sync_file

WRITING = ".writing"
STARTING_S = 10.0
ROW_GROUP_ROWS = 50_000


def sort_rows(table: Table, data: pa.Table) -> pa.Table:
    """`data` sorted by the table's key and, within equal keys, oldest first; nulls first."""
    keys = [(column, "ascending", "at_start") for column in (*table.key, *table.newest_by)]
    return data.take(pc.sort_indices(data, sort_keys=keys))


class SegmentWriter:
    """One segment on its way to disk; `close` it, then commit what it returns."""

    def __init__(self, layout: Layout) -> None:
        # Names sort by age: of rows that state one fact differently, the one in the last file counts.
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        self.segment_id = f"{stamp}-{secrets.token_hex(6)}"
        self._directory = layout.segment(self.segment_id)
        self._files: dict[str, _TableFile] = {}
        with _explained(self._directory):
            self._directory.mkdir()
            try:
                self._lock = _lock(self._directory / WRITING)
            except OSError:
                shutil.rmtree(self._directory, ignore_errors=True)
                raise

    def write(self, table: Table, data: pa.Table, *, attached: bool) -> None:
        """Add rows of `table`; calls for one table must come in the order of its key.

        `attached` says that every row has the row that it follows in this segment.

        Raises:
            LakeError: the disk is full or not writable, or a required value is null.
        """
        if data.num_rows == 0:
            return
        with _explained(self._directory):
            if table.name not in self._files:
                self._files[table.name] = _TableFile(table, self._directory / f"{table.name}.parquet")
            self._files[table.name].write(data, attached=attached)

    def close(self) -> Segment:
        """Sync every file and describe the segment; empty if nothing was written."""
        with _explained(self._directory):
            segment = {name: file.close() for name, file in self._files.items()}
            sync_directory(self._directory)
            sync_directory(self._directory.parent)
        return segment

    def release(self) -> None:
        """Say that the writer is done, after the commit; an empty segment is removed."""
        (self._directory / WRITING).unlink(missing_ok=True)
        self._lock.close()
        if not self._files:
            self._directory.rmdir()

    def abandon(self) -> None:
        """Remove what was written; only for a segment that no commit names."""
        for file in self._files.values():
            file.abandon()
        self._lock.close()
        shutil.rmtree(self._directory, ignore_errors=True)


class _TableFile:
    """One open Parquet file and what its commit entry will say."""

    def __init__(self, table: Table, path: Path) -> None:
        self._table, self._path = table, path
        self._schema = arrow_schema(table.name)
        # Statistics of free text would put whole completions into the footer.
        scalars = [field.name for field in self._schema if not pa.types.is_string(field.type)]
        self._writer = pq.ParquetWriter(
            path, self._schema, compression="zstd", write_statistics=[*scalars, *_string_keys(table)]
        )
        self._rows = 0
        self._unique = True
        self._attached = True
        self._first: str | None = None
        self._last = ""
        self._previous_key: tuple[object, ...] | None = None

    def write(self, data: pa.Table, *, attached: bool) -> None:
        data = data.cast(self._schema) if data.schema != self._schema else data
        for field in self._schema:
            if not field.nullable and data.column(field.name).null_count:
                raise LakeError(f"{self._table.name}.{field.name} must not be null")
        keys = data.select(list(self._table.key))
        distinct = keys.group_by(list(self._table.key)).aggregate([]).num_rows == data.num_rows
        first, last = _row(keys, 0), _row(keys, data.num_rows - 1)
        self._unique = self._unique and distinct and first != self._previous_key
        self._attached = self._attached and attached
        self._first = str(first[0]) if self._first is None else self._first
        self._last, self._previous_key = str(last[0]), last
        self._rows += data.num_rows
        self._writer.write_table(data, row_group_size=ROW_GROUP_ROWS)

    def close(self) -> SegmentTable:
        self._writer.close()
        # Never written again: whoever tries should be told by the operating system, too.
        self._path.chmod(0o444)
        sync_file(self._path)
        with self._path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return SegmentTable(
            rows=self._rows,
            size_bytes=self._path.stat().st_size,
            sha256=digest,
            first=self._first or "",
            last=self._last,
            unique=self._unique,
            attached=self._attached,
        )

    def abandon(self) -> None:
        # The file is deleted next: whatever closing still fails to write does not matter.
        try:
            self._writer.close()
        except OSError:
            return


def _string_keys(table: Table) -> list[str]:
    return [column for column in table.key if pa.types.is_string(arrow_schema(table.name).field(column).type)]


def _row(keys: pa.Table, index: int) -> tuple[object, ...]:
    return tuple(keys.slice(index, 1).to_pylist()[0].values())


def _lock(path: Path) -> BinaryIO:
    file = path.open("wb")
    # No one but us waits here; `is_being_written` may hold the lock for an instant. Without
    # locks in the file system, vacuum goes by age alone.
    with suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX)
    return file


def is_being_written(directory: Path) -> bool:
    """Whether a living writer holds the segment in `directory`, or may be about to."""
    try:
        with (directory / WRITING).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    try:
        # Between making the directory and locking it, a writer shows by nothing but its youth.
        young = time.time() - directory.stat().st_mtime < STARTING_S
        return young and not any(directory.glob("*.parquet"))
    except OSError:
        return False


class _explained:
    """Translates the operating system's refusal to write into a LakeError."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise LakeError(
                f"cannot write {self._directory}: {reason}; nothing of it was committed, the lake is as before"
            ) from error
