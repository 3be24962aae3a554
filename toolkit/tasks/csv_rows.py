"""The rows of a CSV or TSV file with a header line, as records of text.

Invariants: a cell that is empty does not occur in its record; a row is placed by its first line, also
when its cells hold line ends. A row of the wrong length is that row's error; a quote that is never
closed, which would swallow the rest, is the file's.
Not covered: other separators than comma and tab, files without a header.
Source: RFC 4180.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from toolkit.errors import InputError, RecordError

SEPARATORS = {".csv": ",", ".tsv": "\t"}
"""By the end of the file's name."""


def iter_csv(path: Path) -> Iterator[tuple[int, dict[str, object] | RecordError]]:
    """Yield each row's line (from 1, the header's) with its cells by column, or with what is wrong with it.

    Raises:
        InputError: the file cannot be read, has no usable header, or ends inside a quote.
    """
    separator = SEPARATORS[path.suffix.lower()]
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, delimiter=separator, strict=True)
            header = _header(path, next(rows, []), separator)
            line = rows.line_num + 1
            for cells in rows:
                if cells:
                    yield line, _record(header, cells)
                line = rows.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}: expected CSV, near line {rows.line_num}: {error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected UTF-8, came the byte 0x{error.object[error.start]:02x}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _header(path: Path, cells: list[str], separator: str) -> list[str]:
    header = [name.strip() for name in cells]
    repeated = {name for name in header if header.count(name) > 1}
    if repeated:
        raise InputError(f"{path}: the header names the column {sorted(repeated)[0]!r} twice")
    if "question" not in header:
        mark = "a comma" if separator == "," else "a tab"
        raise InputError(
            f"{path}: expected a header with the column question and {mark} between columns, came {', '.join(header)!r}"
        )
    return header


def _record(header: list[str], cells: list[str]) -> dict[str, object] | RecordError:
    if len(cells) != len(header):
        return RecordError(
            f"expected {len(header)} cells as in the header, came {len(cells)}; "
            "put a cell that holds a separator in quotes"
        )
    return {name: cell for name, cell in zip(header, cells, strict=True) if cell.strip()}
