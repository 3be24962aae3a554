"""The records of an input file, one after another, each with its place.

JSONL, a JSON array, a single JSON object (each also gzipped) and Parquet are told apart
by content; a name that ends in `.jsonl` or `.ndjson` settles it. A record that cannot be
read is yielded with its error and reading goes on; only a file that cannot be read at
all raises. Memory is bounded by the longest line for JSONL and by a row group for
Parquet; a JSON array or object is read whole.
Not covered: what a record means (`detect` and the formats).
"""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, cast

from toolkit.errors import InputError, RecordError
from toolkit.formats.json_values import decode, describe

MAX_LINE_BYTES = 256 * 2**20
"""A longer line is an error of that record: most likely the file has no line ends."""

_BOM = b"\xef\xbb\xbf"
_JSONL = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
_EXPECTED = "JSON lines, a JSON array of objects, a JSON object, or Parquet"

Unit = Literal["line", "record"]


def file_name(path: Path) -> str:
    """The name of a file as text that can be stored: what is not UTF-8 in it is replaced."""
    return os.fsencode(path.name).decode(errors="replace")


def dataset_name(path: Path) -> str:
    """What a file's records are called if nobody says: its name up to the first full stop, or `.hid.jsonl` as it is."""
    name = file_name(path)
    return name.split(".")[0] or name


@dataclass(frozen=True, slots=True)
class Record:
    """One record, or the error in its place."""

    position: int
    """From 1: the line of a JSONL file (blank lines count), else the number of the record."""
    unit: Unit
    """What `position` counts."""
    value: dict[str, object] | None
    """The record. None: it could not be read, see `error`."""
    error: RecordError | None
    """Why it could not be read, with its place. None: it could."""
    end_byte: int
    """Bytes of the file consumed so far, for a progress bar; of compressed files an estimate."""


def iter_records(path: Path, *, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[Record]:
    """Yield the records of `path` in their order; the file is opened when the first is asked for.

    Raises:
        InputError: the file is missing, unreadable, a directory, without any record, or in UTF-16.
    """
    empty = True
    try:
        with path.open("rb") as file:
            for record in _records(path, file, max_line_bytes):
                empty = False
                yield record
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise InputError(f"{path}: expected a file, this is a directory; name a file inside it") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    if empty:
        raise InputError(f"{path}: holds no record; expected {_EXPECTED}")


def _records(path: Path, file: io.BufferedReader, max_line_bytes: int) -> Iterator[Record]:
    head = file.peek(4)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path}: expected UTF-8, the file begins like UTF-16; convert it with iconv")
    if head.startswith(b"PAR1"):
        # pyarrow takes 100 ms to import: only files that need it pay.
        from toolkit.formats.parquet_rows import iter_rows

        for row in iter_rows(file):
            yield _record(path, row.number, "record", row.value, row.fault, row.end_byte)
        return
    source = _Source(file, max_line_bytes)
    if path.name.lower().endswith(_JSONL):
        yield from _lines(path, source)
    else:
        yield from _lines_or_document(path, source)


def _lines_or_document(path: Path, source: _Source) -> Iterator[Record]:
    """Decide by the first lines; a malformed first line of a JSONL file must not hide the others."""
    first = source.text_line()
    if first is None:
        return
    start = first.data.lstrip()[:1]
    if start == b"[":
        yield from _document(path, b"\n" * (first.number - 1) + first.data + source.rest(), source.end_byte)
        return
    second = None
    if start == b"{" and not _is_json(first.data):
        second = source.text_line()
        if second is None or not second.data.startswith(b"{"):
            # An object spread over lines, or garbage: only the whole can tell.
            text = b"\n" * (first.number - 1) + first.data + (second.data if second else b"") + source.rest()
            if _is_json(text) or b"\n{" not in text:
                yield from _document(path, text, source.end_byte)
                return
            first, second, source = None, None, _Source(io.BytesIO(text), source.max_line_bytes)
    yield from _lines(path, source, *(line for line in (first, second) if line))


def _document(path: Path, text: bytes, end_byte: int) -> Iterator[Record]:
    try:
        value = decode(text)
    except RecordError as error:
        yield _record(path, 1, "record", None, error.reason, end_byte)
        return
    for number, item in enumerate(value if isinstance(value, list) else [value], start=1):
        yield _record(path, number, "record", item, None, end_byte)


def _lines(path: Path, source: _Source, *ahead: _Line) -> Iterator[Record]:
    """Records of a JSONL file; `ahead` are the lines already taken from `source`."""
    pending = list(ahead)
    while (line := pending.pop(0) if pending else source.text_line()) is not None:
        value, fault = None, line.fault
        if fault is None:
            try:
                value = decode(line.data.rstrip())
            except RecordError as error:
                fault = error.reason
        yield _record(path, line.number, "line", value, fault, line.end_byte)


def _record(path: Path, position: int, unit: Unit, value: object, fault: str | None, end_byte: int) -> Record:
    if fault is None and not isinstance(value, dict):
        fault = f"expected a JSON object, came {describe(value)}"
    if fault is not None:
        return Record(position, unit, None, RecordError(fault, path=path, position=position, unit=unit), end_byte)
    return Record(position, unit, cast(dict[str, object], value), None, end_byte)


def _is_json(text: bytes) -> bool:
    try:
        decode(text)
    except RecordError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    data: bytes
    fault: str | None
    end_byte: int


class _Source:
    """A file, gzipped or not, line by line with a limit, without its byte order mark."""

    def __init__(self, file: IO[bytes] | io.BufferedReader, max_line_bytes: int) -> None:
        self.max_line_bytes = max_line_bytes
        self._file = file
        self._zipped = isinstance(file, io.BufferedReader) and file.peek(2).startswith(b"\x1f\x8b")
        self._stream = cast(IO[bytes], gzip.GzipFile(fileobj=file)) if self._zipped else file
        self._number = 0
        self._consumed = 0
        self._inside_line = False

    @property
    def end_byte(self) -> int:
        return self._file.tell() if self._zipped else self._consumed

    def text_line(self) -> _Line | None:
        """The next line that is not blank, or None at the end."""
        while (line := self._line()) is not None:
            if line.fault is not None or line.data.strip():
                return line
        return None

    def rest(self) -> bytes:
        """Everything not yet read."""
        try:
            data = self._stream.read()
        except (EOFError, zlib.error, gzip.BadGzipFile):
            return b""  # what came before does not parse then, and is reported as such
        self._consumed += len(data)
        return data

    def _line(self) -> _Line | None:
        try:
            while self._inside_line:
                self._read(1 << 20)
            data = self._read(self.max_line_bytes + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            self._stream = io.BytesIO()
            self._inside_line = False
            return _Line(self._number + 1, b"", f"expected a whole gzip stream: {error}", self.end_byte)
        if not data:
            return None
        self._number += 1
        if self._number == 1:
            data = data.removeprefix(_BOM)
        fault = None
        if len(data) > self.max_line_bytes:
            fault = f"expected a line of at most {self.max_line_bytes:,} bytes, this one is longer"
        return _Line(self._number, data, fault, self.end_byte)

    def _read(self, limit: int) -> bytes:
        data = self._stream.readline(limit)
        self._consumed += len(data)
        self._inside_line = bool(data) and not data.endswith(b"\n")
        return data
