"""Which foreign format a file is in, and a check of every record against it.

Invariant: a format is never guessed. Each of the first records votes for the format with
the strongest claim on it, and the most votes win; a tie is an error. A record of another
format in the middle of the file is an error of that record, not a misreading.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import InputError, RecordError
from toolkit.formats.openai_chat import OpenAIChat
from toolkit.formats.parsed import ParsedTrajectory, TrajectoryFormat, claims
from toolkit.formats.react_text import ReactText
from toolkit.formats.records import Record
from toolkit.formats.smolagents import Smolagents

FORMATS: dict[str, TrajectoryFormat] = {known.name: known for known in (ReactText(), OpenAIChat(), Smolagents())}
"""Every format that can be read, by the name that `--format` takes."""

SAMPLE = 20
"""Readable records that detection looks at."""

SURE = 50
"""A claim from here on is one that a format makes on its own marks; below, it only could be."""


@dataclass(frozen=True, slots=True)
class Detection:
    """The format of a file, and why."""

    format: TrajectoryFormat
    because: str
    """The finding and how many of the records looked at show it."""
    others: tuple[str, ...]
    """Formats that other records of the sample are in, most votes first; those will not be read."""


def format_named(name: str) -> TrajectoryFormat:
    """The format called `name`.

    Raises:
        InputError: there is none; the message lists the known ones.
    """
    if name not in FORMATS:
        raise InputError(f'there is no format "{name}"; known are {", ".join(FORMATS)}')
    return FORMATS[name]


def detect(records: Iterable[Record], *, path: Path | None = None, sample: int = SAMPLE) -> Detection:
    """Find the format of the first `sample` readable records; `path` is for messages only.

    Raises:
        InputError: no record is readable, none is of a known format, or two formats tie.
    """
    where = f"{path}: " if path else ""
    votes: Counter[str] = Counter()
    reasons: dict[str, str] = {}
    seen = 0
    unread = ""
    for record in records:
        if record.value is None:
            unread = unread or _why_not(record)
            continue
        seen += 1
        found = claims(list(FORMATS.values()), record.value)
        for known, claim in found:
            if claim.strength == found[0][1].strength:
                votes[known.name] += 1
                reasons.setdefault(known.name, claim.because)
        if seen == sample:
            break
    choose = f"say which it is with --format, one of {', '.join(FORMATS)}"
    if not seen:
        raise InputError(f"{where}no record could be read{unread}")
    if not votes:
        raise InputError(f"{where}no known format fits the first {seen} records; {choose}")
    (best, most), *others = votes.most_common()
    if others and others[0][1] == most:
        tied = "; ".join(f"{name} ({reasons[name]})" for name, count in votes.items() if count == most)
        raise InputError(f"{where}several formats fit {most} of the first {seen} records each: {tied}; {choose}")
    because = f"{reasons[best]} ({most} of the first {seen} records)"
    return Detection(FORMATS[best], because, tuple(name for name, _ in others))


def _why_not(record: Record) -> str:
    """Place and reason of a record that could not be read, behind a message."""
    return f"; {record.unit} {record.position}: {record.error.reason}" if record.error else ""


def parse_checked(chosen: TrajectoryFormat, record: dict[str, object], *, insist: bool = False) -> ParsedTrajectory:
    """Parse `record` as `chosen`; with `insist` (a person named the format) whatever it looks like.

    A weak claim of another format does not count against a claim of `chosen`: a rollout that
    went badly shows fewer marks of its format.

    Raises:
        RecordError: another format has a stronger claim, or the record does not parse.
    """
    found = [] if insist else claims(list(FORMATS.values()), record)
    own = next((claim.strength for known, claim in found if known.name == chosen.name), 0)
    if found and found[0][1].strength > own and (own == 0 or found[0][1].strength >= SURE):
        known, claim = found[0]
        raise RecordError(f"looks like {known.name} ({claim.because}), the file is read as {chosen.name}")
    return chosen.parse(record)
