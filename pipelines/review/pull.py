"""Pull: annotations become rows of `reviews`, and edited actions become trajectories.

The road of the data: export → rows (`annotations`) → those that the lake does not hold in the same words, and those
it holds that nobody says any more → edits, run in the sandbox → one commit with the run that made it.
Invariant: pulling again without a change on the server writes nothing; a word that changed is one new row under the
same key, and a word that was taken back is a row without a verdict. Tasks that are gone take nothing back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import duckdb

from pipelines.parts import SandboxChoice, build_sandbox
from pipelines.review.annotations import Read, read_tasks
from pipelines.review.edited import Edit, Rebuilt, check_edit, lacked, rebuild
from pipelines.review.server import ReviewServer
from schemas import Review
from schemas.arrow import rows_from_arrow
from toolkit.cli.output import progress
from toolkit.contracts import Limits, Tool
from toolkit.errors import RecordError
from toolkit.lake.lake import Lake
from toolkit.lake.literal import literal
from toolkit.lake.records import TrajectoryRecord, read_records
from toolkit.lake.runs import finished, start_run
from toolkit.replay.recorded_tools import RecordedTools
from toolkit.sandbox import DEFAULT_MODULES

_MOMENT = timedelta(microseconds=1)
_CONTENT = ("verdict", "rating", "comment", "edited_code")

ReviewKey = tuple[str, int, int | None, str]
"""trajectory_id, attempt, step_index, reviewer: the key within one project."""


@dataclass(slots=True)
class Pulled:
    """What a pull came to."""

    read: Read
    new: int = 0
    changed: int = 0
    withdrawn: int = 0
    """Rows whose word was taken back."""
    outdated: int = 0
    """Annotated tasks whose trajectory is not current any more: it was tried again, or is gone."""
    edits: int = 0
    """Edited actions that lead to a trajectory, or would in a dry run."""
    edited: list[Rebuilt] = field(default_factory=list)
    """What they led to; empty in a dry run."""
    faults: list[str] = field(default_factory=list)
    """What could not be read or run."""
    commit: int | None = None
    """None: nothing was new, or it was a dry run."""


async def pull(
    lake: Lake,
    server: ReviewServer,
    title: str,
    tools: Mapping[str, Tool],
    *,
    modules: Collection[str] = (),
    sandbox: SandboxChoice = "best",
    dry_run: bool = False,
) -> Pulled:
    """Write what the annotations of the project `title` say that the lake does not hold.

    `tools` are what edited actions may call beside recorded results, `modules` what they may import beside the usual.

    Raises:
        InputError: there is no such project, or it is another lake's.
        RunError: the server or the sandbox failed; nothing was written.
    """
    project = server.need(title, lake.identity.id)
    read = read_tasks(server.tasks(project), server.people(), lake_id=lake.identity.id, project=title)
    return await take_in(lake, read, title, tools, source=server.url, modules=modules, sandbox=sandbox, dry_run=dry_run)


async def take_in(
    lake: Lake,
    read: Read,
    title: str,
    tools: Mapping[str, Tool],
    *,
    source: str,
    modules: Collection[str] = (),
    sandbox: SandboxChoice = "best",
    dry_run: bool = False,
) -> Pulled:
    """Write what `read` says about the project `title` that the lake does not hold; `source` is where it was read.

    Raises:
        RunError: the sandbox failed; nothing was written.
    """
    snapshot = lake.snapshot()
    connection = snapshot.connect()
    try:
        pulled = Pulled(read, faults=list(read.faults))
        current = set(connection.execute("SELECT trajectory_id, attempt FROM trajectories").fetchall())
        pulled.outdated = len(read.annotated.keys() - current)
        held = {_key(row): row for row in _held(connection, title)}
        said = {_key(row): row for row in read.reviews if (row.trajectory_id, row.attempt) in current}
        rows = _changes(pulled, held, said)
        wanted = _edits(connection, {**held, **{_key(row): row for row in rows}}.values(), tools)
        edits = _runnable(connection, wanted, pulled.faults)
        pulled.edits = len(edits)
        imported = sorted(set(modules) - DEFAULT_MODULES)
        run = start_run(
            "review",
            identity={"review": title, "lake": lake.identity.id, **({"modules": imported} if imported else {})},
            settings={"project": title, "server": source, "tools": sorted(tools)},
            input_commit=snapshot.number,
        )
        if edits and not dry_run:
            pulled.edited = await _rebuild(edits, tools, modules, sandbox, run.run_id)
    finally:
        connection.close()
    if (rows or pulled.edited) and not dry_run:
        with lake.write(f"review {title}") as batch:
            batch.add([*rows, finished(run)])
            for each in pulled.edited:
                batch.add(each.rows())
        pulled.commit = batch.commit
    return pulled


def _key(row: Review) -> ReviewKey:
    return row.trajectory_id, row.attempt, row.step_index, row.reviewer


def _held(connection: duckdb.DuckDBPyConnection, project: str) -> Iterable[Review]:
    relation = connection.sql(f"SELECT * FROM reviews WHERE project = {literal(project)}")
    return rows_from_arrow(Review, relation.to_arrow_table())


def _changes(pulled: Pulled, held: Mapping[ReviewKey, Review], said: Mapping[ReviewKey, Review]) -> list[Review]:
    """Rows to write, counted: new words, changed ones, and words that were taken back."""
    rows = []
    for key, row in said.items():
        old = held.get(key)
        if old is None:
            pulled.new += 1
            rows.append(row)
        elif _words(old) != _words(row):
            pulled.changed += 1
            # The server's clock may have been set back; the newest row counts, whatever it says.
            rows.append(row.model_copy(update={"reviewed_at": max(row.reviewed_at, old.reviewed_at + _MOMENT)}))
    for key, old in held.items():
        shown = (old.trajectory_id, old.attempt)
        # Words that cannot be read now are not taken back, nor are those whose task is gone.
        unknown = shown not in pulled.read.keys or (shown, old.reviewer) in pulled.read.unread
        if key in said or unknown or not any(_words(old)):
            continue
        pulled.withdrawn += 1
        rows.append(old.model_copy(update={**dict.fromkeys(_CONTENT), "reviewed_at": old.reviewed_at + _MOMENT}))
    return rows


def _words(row: Review) -> tuple[object, ...]:
    # A rating of 0 is a word, too.
    return tuple(None if (value := getattr(row, name)) is None else (value,) for name in _CONTENT)


def _edits(
    connection: duckdb.DuckDBPyConnection, reviews: Iterable[Review], tools: Mapping[str, Tool]
) -> list[tuple[Edit, int]]:
    """Edits that led to no trajectory yet, each with the attempt that it would be.

    Also those whose trajectory called one of `tools` when it was not here.
    """
    codes: dict[tuple[str, int, str, str], dict[int, str]] = {}
    for row in reviews:
        if row.edited_code is not None and row.step_index is not None:
            who = (row.trajectory_id, row.attempt, row.reviewer, row.project)
            codes.setdefault(who, {})[row.step_index] = row.edited_code
    wanted = {edit.trajectory_id: edit for who, code in sorted(codes.items()) for edit in [Edit(*who, code)]}
    there = {
        record.trajectory.trajectory_id: record
        for record in read_records(connection, "SELECT trajectory_id FROM trajectories WHERE source = 'edited'")
    }
    found = []
    for trajectory_id, edit in wanted.items():
        old = there.get(trajectory_id)
        if old is None:
            found.append((edit, 0))
        elif lacked(old.steps[edit.first :], tools.values()):
            found.append((edit, old.trajectory.attempt + 1))
    return found


def _runnable(
    connection: duckdb.DuckDBPyConnection, edits: Iterable[tuple[Edit, int]], faults: list[str]
) -> list[tuple[TrajectoryRecord, Edit, int]]:
    """The edits that can be run, each with what it edits and its attempt; of the others, `faults` says why not."""
    found = []
    for edit, attempt in edits:
        [record] = read_records(connection, f"SELECT {literal(edit.parent_id)} AS trajectory_id")
        try:
            check_edit(record, edit)
        except RecordError as error:
            faults.append(str(error))
        else:
            found.append((record, edit, attempt))
    return found


async def _rebuild(
    edits: list[tuple[TrajectoryRecord, Edit, int]],
    tools: Mapping[str, Tool],
    modules: Collection[str],
    choice: SandboxChoice,
    run_id: str,
) -> list[Rebuilt]:
    recorded = RecordedTools((record for record, _, _ in edits), tools)
    rebuilt = []
    async with build_sandbox(recorded.tools, choice, Limits(), modules=modules) as sandbox:
        with progress("edited", len(edits), unit="trajectories") as advance:
            for done, (record, edit, attempt) in enumerate(edits, start=1):
                rebuilt.append(await rebuild(record, edit, sandbox, recorded, run_id=run_id, attempt=attempt))
                advance(done)
    return rebuilt
