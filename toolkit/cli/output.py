"""What commands print: tables for people, one JSON document for machines, progress on standard error.

Results go to standard output, everything else to standard error, so that output can be piped.
All text from trajectories passes `plain`, so that it cannot move the cursor or change colours.
"""

from __future__ import annotations

import math
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Protocol

import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

LINES_EVERY_S = 5.0
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

BAR_COLUMNS = 75
"""Columns that a progress bar takes beside its label and message, at most."""
PIPED_WIDTH = 140
"""Columns where output goes to a file or a pipe, which have no width of their own."""
_NARROW = 9
"""Characters that a column of a table needs at least, to be read."""


class PipedConsole(Console):
    """Rich's own ends the process with 1 when the reader of its output (head, less) has seen enough."""

    def on_broken_pipe(self) -> None:
        """Leave it to `toolkit.cli.main`, which ends the command with 0."""
        try:
            super().on_broken_pipe()  # so that what is still to be printed goes nowhere
        except SystemExit:
            raise BrokenPipeError from None


console = PipedConsole(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
errors = PipedConsole(stderr=True, highlight=False, soft_wrap=True)


def clean(text: str) -> str:
    """`text` without control characters, so that it cannot move the cursor; newline and tab stay."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def plain(text: str) -> str:
    """`clean` text with rich markup escaped."""
    return escape(clean(text))


def note(message: str) -> None:
    """One line for the person who runs the command."""
    errors.print(plain(message))


def print_json(value: object) -> None:
    """One JSON document on standard output."""
    text = orjson.dumps(_finite(value), default=_to_json, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS)
    sys.stdout.write(text.decode() + "\n")


def _in_words(column: str) -> str:
    return column.replace("_", " ")


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str | None = None,
    names: Callable[[str], str] = _in_words,
) -> None:
    """A table on standard output; numbers are right-aligned, `names` makes headings of columns."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=SIMPLE_HEAD)
    rows = [list(row) for row in rows]
    for index, column in enumerate(columns):
        numbers = all(isinstance(row[index], int | float | Decimal | None) for row in rows)
        table.add_column(plain(names(column)), justify="right" if numbers and rows else "left", overflow="fold")
    for row in rows:
        table.add_row(*(plain(_cell(value)) for value in row))
    console.print(table)


def print_relation(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table whose columns keep the names that SQL knows; too many columns for the width are listed row by row."""
    if len(columns) * _NARROW <= console.width or not rows:
        print_table(columns, rows, names=str)
        return
    for number, row in enumerate(rows, start=1):
        fields = Table.grid(padding=(0, 2))
        fields.add_column(style="bold", no_wrap=True)
        fields.add_column(overflow="fold")
        for column, value in zip(columns, row, strict=True):
            fields.add_row(plain(column), plain(_cell(value)))
        console.print(Rule(f"row {number}", align="left"), fields)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    value = _number(value) if isinstance(value, Decimal) else value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)


def _number(value: Decimal) -> int | float:
    """DuckDB sums integers as decimals without a fraction."""
    return int(value) if value == value.to_integral_value() else float(value)


def _to_json(value: object) -> object:
    return str(value)


def _finite(value: object) -> object:
    """`value` with what JSON cannot hold as a number turned into null or text."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, Decimal):
        return _finite(_number(value))
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return value


class Advance(Protocol):
    """Reports progress."""

    def __call__(self, done: float, message: str = "") -> None:
        """Say that `done` of the total is done by now, and optionally what is going on."""


@contextmanager
def progress(label: str, total: float | None, *, unit: str = "rows") -> Iterator[Advance]:
    """A progress bar on a terminal, a plain line every few seconds elsewhere, both on standard error."""
    if errors.is_terminal:
        with _bar() as bar:
            task = bar.add_task(label, total=total, message="")

            def advance(done: float, message: str = "") -> None:
                # A longer message would squeeze the numbers beside it.
                room = max(0, errors.width - len(label) - BAR_COLUMNS)
                bar.update(task, completed=done, message=plain(message[:room]))

            yield advance
        return
    started = last = time.monotonic()

    def advance_line(done: float, message: str = "") -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= LINES_EVERY_S:
            last = now
            note(_line(label, done, total, unit, now - started, message))

    yield advance_line


class _RateColumn(ProgressColumn):
    """Finished units a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f}/s" if task.speed else "")


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        _RateColumn(),
        TextColumn("{task.fields[message]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
    )


def _line(label: str, done: float, total: float | None, unit: str, elapsed_s: float, message: str) -> str:
    rate = done / elapsed_s if elapsed_s else 0.0
    text = f"{label}: {done:,.0f}"
    if total:
        left_s = (total - done) / rate if rate else 0.0
        text += f" of {total:,.0f} {unit} ({done / total:.0%}), {rate:,.0f}/s, {left_s:,.0f} s left"
    else:
        text += f" {unit}, {rate:,.0f}/s"
    return f"{text}, {message}" if message else text
