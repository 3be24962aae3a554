"""What blocks a publication: secrets, personal data, a part without a licence.

Invariant: the gate looks at the files that go out, not at what they were made from, and
whatever it finds is named with its place; a secret is never shown whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from pipelines.publish.detectors import Found, find
from pipelines.publish.facts import Facts
from pipelines.publish.tables import read_batches, table_path
from pipelines.publish.texts import text_columns, texts
from schemas import TABLES
from toolkit.cli.output import progress
from toolkit.errors import InputError

OWN = "*"
"""In licences: the publisher's own part, that is trajectories generated or edited here."""
OWN_PART = "own trajectories"
"""The same among the parts of the facts."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A secret or personal data at one place."""

    kind: str
    table: str
    row: str
    """Id of the trajectory or, in tables without one, the value of the key."""
    step: int | None
    column: str
    """Column, with a place inside it where it holds JSON or a list."""
    start: int
    end: int
    masked: str

    def as_json(self) -> dict[str, object]:
        """For `--json`."""
        return asdict(self)


def scan_tables(directory: Path) -> list[tuple[Finding, Found]]:
    """Every finding in the tables of a publication."""
    findings: list[tuple[Finding, Found]] = []
    total = sum(pq.read_metadata(table_path(directory, name)).num_rows for name in TABLES)
    done = 0
    with progress("look for secrets", total) as advance:
        for name in TABLES:
            for batch in read_batches(directory, name):
                findings += _scan(name, batch.to_pylist())
                done += batch.num_rows
                advance(done)
    return findings


def _scan(table: str, rows: Sequence[dict[str, Any]]) -> Iterator[tuple[Finding, Found]]:
    key = TABLES[table].key
    for column in text_columns(table):
        previous: Any = None
        for row in rows:
            value = row[column.name]
            # Decisions and runs repeat themselves.
            if value == previous:
                continue
            places = [(place, found) for place, text in texts(column, value) for found in find(text)]
            # Only what is clean: every place of a secret is named.
            previous = None if places else value
            for place, found in places:
                step = row.get("step_index")
                name = str(row.get("trajectory_id") or row[key[0]])
                finding = Finding(
                    found.kind, table, name, step, column.name + place, found.start, found.end, found.masked
                )
                yield finding, found


def scan_text(name: str, text: str) -> list[Finding]:
    """Findings in a text that belongs to no table."""
    return [Finding(f.kind, name, "", None, "", f.start, f.end, f.masked) for f in find(text)]


def refuse_findings(findings: Sequence[Finding]) -> None:
    """Raise if there are any.

    Raises:
        InputError: what was found, counted by kind.
    """
    if findings:
        counts = Counter(finding.kind for finding in findings)
        found = ", ".join(f"{number:,} × {kind}" for kind, number in counts.most_common())
        raise InputError(
            f"nothing was published: {found}. --redact replaces them, `toolkit filter` can drop the trajectories"
        )


def parse_licenses(given: Sequence[str]) -> dict[str, str]:
    """`DATASET=SPDX` or `SPDX` (the publisher's own part) as a dictionary.

    Raises:
        InputError: not an SPDX expression, or a dataset twice.
    """
    licenses: dict[str, str] = {}
    for text in given:
        dataset, equals, name = text.rpartition("=")
        dataset = dataset if equals else OWN
        if dataset in licenses:
            raise InputError(f"--license names {dataset} twice")
        licenses[dataset] = spdx(name, f"--license {text}")
    return licenses


def spdx(name: str, place: str) -> str:
    """The canonical spelling of an SPDX expression.

    Raises:
        InputError: it is none.
    """
    try:
        return str(canonicalize_license_expression(name))
    except InvalidLicenseExpression as error:
        raise InputError(
            f"{place}: {name!r} is no SPDX licence expression such as CC-BY-4.0, Apache-2.0 or LicenseRef-own"
        ) from error


def licensed_parts(facts: Facts, given: dict[str, str]) -> list[Facts]:
    """The parts of a publication, each with the licence that is recorded or given for it (or None)."""
    parts = []
    for part in facts["parts"]:
        name = part["license"] or given.get(OWN if part["part"] == OWN_PART else part["dataset"])
        parts.append({**part, "license": spdx(name, f"licence of {part['dataset']}") if name else None})
    return parts


def refuse_unlicensed(facts: Facts, given: dict[str, str]) -> None:
    """See that every part has a licence and every licence given a part.

    Raises:
        InputError: one has none; the message names all of them and the options that are missing.
    """
    parts = licensed_parts(facts, given)
    missing = [part for part in parts if part["license"] is None]
    if missing:
        named = "; ".join(f"{part['part']} of {part['dataset']}" for part in missing)
        options = dict.fromkeys(
            "--license SPDX" if part["part"] == OWN_PART else f"--license {part['dataset']}=SPDX" for part in missing
        )
        raise InputError(f"nothing was published: no licence is known for {named}. Name it: {' '.join(options)}")
    datasets = {part["dataset"] for part in parts}
    if unknown := given.keys() - datasets - {OWN}:
        raise InputError(
            f"--license {min(unknown)}=…: the selection has no such dataset; there are {', '.join(sorted(datasets))}"
        )
    for part in parts:
        asked = given.get(part["dataset"])
        if asked not in (None, part["license"]) and part["part"] != OWN_PART:
            raise InputError(
                f"--license {part['dataset']}={asked} contradicts the lake: it says {part['license']} for the"
                f" {part['part']}"
            )
