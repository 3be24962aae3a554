"""`toolkit import`: other people's trajectories into the tables of a lake.

The road of the data: records of a file → a format's parser → rows → one commit for every
few thousand trajectories. Invariant: a record is imported whole or reported with its place
and reason; importing a file again adds nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from pydantic import ValidationError

from schemas import Domain, Model, Prompt, Role, Row, Run, Task, Trajectory
from toolkit.cli.options import DEFAULT_LAKE, AsJson, DryRun, LakePath
from toolkit.cli.output import note, print_json, print_table, progress
from toolkit.errors import RecordError
from toolkit.formats.detect import detect, format_named, parse_checked
from toolkit.formats.parsed import TrajectoryFormat
from toolkit.formats.records import Record, dataset_name, file_name, iter_records
from toolkit.formats.rows import Origin, to_rows
from toolkit.lake.lake import Lake, open_lake
from toolkit.lake.literal import literal
from toolkit.lake.runs import finished, start_run

BATCH_TRAJECTORIES = 5_000
SHOWN_ERRORS = 20
NAMED = "named by --format"
_SHARED: dict[type[Row], str] = {Task: "task_id", Model: "model_id", Prompt: "prompt_hash"}
"""Rows that many records share, and what tells them apart."""


@dataclass(slots=True)
class Imported:
    """What an import did."""

    format: str
    because: str
    """Why this format was taken."""
    trajectories: int = 0
    steps: int = 0
    already_there: int = 0
    errors: list[RecordError] = field(default_factory=list)
    losses: Counter[str] = field(default_factory=Counter)
    """What the format's records hold and our tables cannot, by number of records."""
    commit: int | None = None

    def as_json(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "format": self.format,
            "because": self.because,
            "trajectories": self.trajectories,
            "steps": self.steps,
            "already_there": self.already_there,
            "unreadable": [{"position": error.position, "reason": error.reason} for error in self.errors],
            "losses": dict(self.losses),
            "commit": self.commit,
        }


def choose_format(path: Path, name: str) -> tuple[TrajectoryFormat, str]:
    """The format called `name`, or, for `auto`, the one that the file's first records show; and why.

    Raises:
        InputError: no such format, the records do not tell, or the file cannot be read or holds none.
    """
    if name != "auto":
        named = format_named(name)
        # Looked at only because a file that cannot be read is to be found before a lake is made; a pipe is read once.
        if not path.is_fifo():
            next(iter_records(path))
        return named, NAMED
    found = detect(iter_records(path), path=path)
    return found.format, found.because


def import_file(lake: Lake, path: Path, chosen: TrajectoryFormat, origin: Origin, run: Run, report: Imported) -> None:
    """Import `path` batch by batch, filling `report`."""
    known = _known_ids(lake, origin.dataset)
    by = f"import {file_name(path)}"
    pending: list[Row] = [run]
    held = 0
    with progress(by, path.stat().st_size, unit="bytes") as advance:
        for record in iter_records(path):
            advance(record.end_byte, f"{report.trajectories:,} trajectories")
            rows = _rows(record, path, chosen, origin, report)
            if not rows:
                continue
            trajectory = rows[0]
            assert isinstance(trajectory, Trajectory)
            if trajectory.trajectory_id in known:
                report.already_there += 1
                continue
            known.add(trajectory.trajectory_id)
            report.trajectories += 1
            report.steps += trajectory.n_steps
            pending += rows
            held += 1
            if held == BATCH_TRAJECTORIES:
                report.commit = _commit(lake, by, pending)
                pending, held = [], 0
    if report.trajectories:
        report.commit = _commit(lake, by, [*pending, finished(run)])


def _known_ids(lake: Lake, dataset: str) -> set[str]:
    relation = lake.sql(f"SELECT trajectory_id FROM trajectories WHERE dataset = {literal(dataset)}")
    return {row[0] for row in relation.fetchall()}


def _commit(lake: Lake, by: str, rows: list[Row]) -> int | None:
    with lake.write(by) as batch:
        batch.add(_once(rows))
    return batch.commit


def _once(rows: list[Row]) -> Iterator[Row]:
    """Rows without repetitions of tasks, models and prompts, which many records share."""
    seen: set[tuple[str, object]] = set()
    for row in rows:
        key = _SHARED.get(type(row))
        if key is None:
            yield row
        elif (mark := (key, getattr(row, key))) not in seen:
            seen.add(mark)
            yield row


def _rows(record: Record, path: Path, chosen: TrajectoryFormat, origin: Origin, report: Imported) -> list[Row] | None:
    """Rows of one record; None if it cannot be read, which is then in the report."""
    if record.error is not None or record.value is None:
        error = record.error or RecordError("empty", path=path, position=record.position, unit=record.unit)
        report.errors.append(error)
        return None
    try:
        parsed = parse_checked(chosen, record.value, insist=report.because == NAMED)
        rows = to_rows(parsed, record.position, origin)
    except (RecordError, ValidationError) as error:
        reason = error.reason if isinstance(error, RecordError) else _refusal(error)
        report.errors.append(RecordError(reason, path=path, position=record.position, unit=record.unit))
        return None
    report.losses.update(set(parsed.losses))
    return rows


def _refusal(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}, got {first['input']!r:.200}"


def import_command(
    file: Path,
    /,
    *,
    lake: LakePath = DEFAULT_LAKE,
    format: Annotated[str, Parameter(help="react-text, openai-chat, smolagents, or auto.")] = "auto",
    dataset: Annotated[str | None, Parameter(help="Name of the question set; default: the file's name.")] = None,
    split: Annotated[str | None, Parameter(help="Part of the question set.")] = None,
    domain: Annotated[Domain, Parameter(help="How answers are compared, where the file does not say.")] = "fact",
    role: Annotated[Role, Parameter(help="Who wrote the trajectories.")] = "teacher",
    model: Annotated[str | None, Parameter(help="Name of the model, where the file does not say.")] = None,
    license: Annotated[str | None, Parameter(help="SPDX name of the licence; publishing needs it.")] = None,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> int:
    """Read other people's trajectories into a lake, which is made if there is none.

    Exit code 1 if some records could not be read (the others are imported), 2 if none could.

    Args:
        file: JSONL, a JSON array, or Parquet.
        lake: Directory of the lake.
        format: How the records are written.
        dataset: Name of the question set; default: the file's name.
        split: Part of the question set.
        domain: How answers are compared, where the file does not say.
        role: Who wrote the trajectories.
        model: Name of the model, where the file does not say.
        license: SPDX name of the licence.
        dry_run: Read everything, say what would be imported, write nothing.
        json: Print one JSON document.
    """
    chosen, because = choose_format(file, format)
    note(f"format {chosen.name}: {because}")
    name = dataset or dataset_name(file)
    identity: dict[str, object] = {"dataset": name, "split": split, "format": chosen.name}
    settings: dict[str, object] = {**identity, "domain": domain, "role": role, "model": model}
    report = Imported(chosen.name, because)
    opened = None if dry_run else open_lake(lake, create=True)
    commit = opened.snapshot().number if opened else 0
    run = start_run(
        "import", identity=identity, settings=settings, input_commit=commit, source=file_name(file), license=license
    )
    origin = Origin(run.run_id, name, run.started_at, split, role, domain, license, model)
    if opened is None:
        _read_only(file, chosen, origin, report)
    else:
        import_file(opened, file, chosen, origin, run, report)
    _print(report, name, lake, json, dry_run)
    if report.errors and not report.trajectories and not report.already_there:
        return 2
    return 1 if report.errors else 0


def _read_only(path: Path, chosen: TrajectoryFormat, origin: Origin, report: Imported) -> None:
    for record in iter_records(path):
        if rows := _rows(record, path, chosen, origin, report):
            trajectory = rows[0]
            assert isinstance(trajectory, Trajectory)
            report.trajectories += 1
            report.steps += trajectory.n_steps


def _print(report: Imported, dataset: str, lake: Path, json: bool, dry_run: bool) -> None:
    for error in report.errors[:SHOWN_ERRORS]:
        note(f"not imported: {error}")
    if len(report.errors) > SHOWN_ERRORS:
        note(f"… and {len(report.errors) - SHOWN_ERRORS:,} more; --json lists all")
    for loss, count in report.losses.most_common():
        note(f"not kept by our tables: {loss} (in {count:,} records)")
    if json:
        print_json(report.as_json())
        return
    columns = ["dataset", "would import" if dry_run else "imported", "steps", "already there", "unreadable"]
    print_table(columns, [[dataset, report.trajectories, report.steps, report.already_there, len(report.errors)]])
    if not dry_run:
        note(f"next: toolkit score --lake {lake}")
