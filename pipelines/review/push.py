"""Push: a sample of trajectories becomes tasks of a project.

The road of the data: sample → those without a task → card and prediction, checked → batches of tasks. Nothing is kept
here about what was sent: the tasks on the server name the rows that they show, and whoever pushes again reads them
first. So a server that dies between or within batches costs no task and doubles none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from pipelines.review.cards import Key, card, key_of
from pipelines.review.predictions import MODEL_VERSION, check, predict
from pipelines.review.sampling import SampleOptions, draw
from pipelines.review.server import Project, ReviewServer
from schemas import Score
from schemas.arrow import rows_from_arrow
from toolkit.cli.output import progress
from toolkit.errors import InputError, RunError
from toolkit.lake.lake import Lake
from toolkit.lake.literal import literal
from toolkit.lake.records import read_records

BATCH_TASKS = 100
"""Tasks of one request: about half a second of the server's time."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push came to."""

    project: Project | None
    """None: a dry run, and there is no project yet."""
    chosen: int
    """Trajectories in the sample."""
    present: int
    """Those of them that had a task already."""
    added: int
    """Tasks added; in a dry run those that would be."""
    predicted: int
    """Added tasks in which graders filled something in."""


def push(
    lake: Lake,
    server: ReviewServer,
    title: str,
    options: SampleOptions,
    *,
    blind: bool = False,
    dry_run: bool = False,
    batch_tasks: int = BATCH_TASKS,
) -> Pushed:
    """Add what is missing of the sample to the project `title`, which is made if there is none.

    With `blind`, nothing is filled in from graders. One request sends `batch_tasks` tasks.

    Raises:
        InputError: the project is somebody else's, an option will not do, or no trajectory fits.
        RunError: the server failed; the same call goes on from there.
    """
    snapshot, lake_id = lake.snapshot(), lake.identity.id
    connection = snapshot.connect()
    try:
        chosen = draw(snapshot, connection, options)
        if not chosen:
            raise InputError(f"no trajectory fits: {_described(options)}")
        project = server.find(title, lake_id)
        present = _present(server, project, lake_id)
        missing = [key for key in chosen if key not in present]
        if project is None and not dry_run:
            project = server.create(title, lake_id)
        predicted = 0
        with progress("push", len(missing), unit="trajectories") as advance:
            for start in range(0, len(missing), batch_tasks):
                tasks = _tasks(connection, missing[start : start + batch_tasks], lake_id, blind=blind)
                predicted += sum("predictions" in task for task in tasks)
                if project is not None and not dry_run:
                    _add(server, project, tasks, sent=start, total=len(missing))
                advance(start + len(tasks))
    finally:
        connection.close()
    return Pushed(project, len(chosen), len(chosen) - len(missing), len(missing), predicted)


def _described(options: SampleOptions) -> str:
    among = f"the selection {options.selection}" if options.selection else "the lake"
    where = f", where {options.where}" if options.where else ""
    kinds = f" of {', '.join(options.error_kinds)}" if options.error_kinds else ""
    what = {"random": "", "disagreement": ", with scorers that disagree", "errors": f", with errors{kinds}"}
    return f"{among}{where}{what[options.by]} holds none"


def _present(server: ReviewServer, project: Project | None, lake_id: str) -> set[Key]:
    tasks = server.tasks(project) if project is not None else []
    return {key for task in tasks if (key := key_of(task.get("data"), lake_id)) is not None}


def _add(server: ReviewServer, project: Project, tasks: Sequence[dict[str, Any]], *, sent: int, total: int) -> None:
    try:
        server.add(project, tasks)
    except (RunError, InputError) as error:
        said = f"{error}\n{sent:,} of {total:,} tasks were sent; the same command sends the others"
        raise type(error)(said) from error


def _tasks(
    connection: duckdb.DuckDBPyConnection, keys: Sequence[Key], lake_id: str, *, blind: bool
) -> list[dict[str, Any]]:
    """Tasks of these trajectories, in their order, with checked predictions."""
    ids = ", ".join(literal(trajectory_id) for trajectory_id, _ in keys)
    graded = _graded(connection, ids)
    scores: defaultdict[str, list[Score]] = defaultdict(list)
    for score in rows_from_arrow(
        Score, connection.sql(f"SELECT * FROM scores WHERE trajectory_id IN ({ids})").to_arrow_table()
    ):
        scores[score.trajectory_id].append(score)
    tasks = {}
    for record in read_records(connection, f"SELECT unnest([{ids}]) AS trajectory_id"):
        trajectory_id = record.trajectory.trajectory_id
        correct, scorer = graded[trajectory_id]
        said = None if blind or correct is None else f"{'right' if correct else 'wrong'} by {scorer}"
        task: dict[str, Any] = {"data": card(record, lake_id, said)}
        result = [] if blind else predict(record.steps, scores[trajectory_id], correct)
        check(result, len(record.steps))
        if result:
            task["predictions"] = [{"model_version": MODEL_VERSION, "result": result}]
        tasks[trajectory_id] = task
    return [tasks[trajectory_id] for trajectory_id, _ in keys]


def _graded(connection: duckdb.DuckDBPyConnection, ids: str) -> dict[str, tuple[bool | None, str]]:
    """`correct` and who says so, by trajectory."""
    query = f"""
        SELECT trajectory_id, correct, coalesce(answer_scorer, 'reward@source')
        FROM trajectories_scored WHERE trajectory_id IN ({ids})"""
    return {row[0]: (row[1], row[2]) for row in connection.execute(query).fetchall()}
