"""`toolkit review push`, `pull` and `status`: what they take and what they print."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from pipelines.parts import SandboxChoice, build_tools
from pipelines.review.agreement import Alpha, GraderAgreement, grader_agreement, people_agreement
from pipelines.review.pull import Pulled, pull
from pipelines.review.push import push
from pipelines.review.sampling import SampleBy, SampleOptions
from pipelines.review.server import connect
from pipelines.review.status import status
from pipelines.rollout_flags import Modules
from pipelines.search_index import open_index
from schemas import ErrorKind
from toolkit.cli.options import DEFAULT_LAKE, AsJson, DryRun, LakePath
from toolkit.cli.output import note, print_json, print_table
from toolkit.lake.lake import Lake, open_lake

Title = Annotated[str, Parameter(name="--project", help="Title of the project in Label Studio.")]
SHOWN_FAULTS = 10

review_app = App(name="review", help="Let people review trajectories in Label Studio: push, pull, status.")


@review_app.command(name="push")
def push_command(
    *,
    project: Title,
    lake: LakePath = DEFAULT_LAKE,
    selection: Annotated[str | None, Parameter(help="Only what this selection keeps; default: the whole lake.")] = None,
    n: Annotated[int | None, Parameter(help="At most so many trajectories; default: all that fit.")] = None,
    sample: Annotated[SampleBy, Parameter(help="How they are chosen.")] = "random",
    error_kind: Annotated[
        tuple[ErrorKind, ...], Parameter(negative="", help="With --sample errors: only this kind; may be repeated.")
    ] = (),
    where: Annotated[str | None, Parameter(help="SQL predicate over trajectories_scored.")] = None,
    seed: Annotated[int, Parameter(help="Another seed chooses others.")] = 0,
    blind: Annotated[bool, Parameter(negative="", help="Fill in nothing from graders.")] = False,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> None:
    """Make a Label Studio project of a sample of trajectories, or add what is missing to it.

    The server is named by LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY (a personal access token or a legacy token).
    `--sample disagreement` takes trajectories on which scorers disagree, the most divided first; `--sample errors`
    takes in turn from each kind of error.

    Args:
        project: Title of the project; made if there is none.
        lake: Directory of the lake.
        selection: Only what this selection keeps; default: the whole lake.
        n: At most so many trajectories; default: all that fit. More, pushed later, adds to these.
        sample: random, disagreement or errors.
        error_kind: With --sample errors: only this kind; may be repeated.
        where: Only what this SQL predicate over trajectories_scored is true for.
        seed: Another seed chooses others.
        blind: Fill in nothing from graders, so that they cannot sway people.
        dry_run: Say what would be sent, and send nothing.
        json: Print one JSON document.
    """
    options = SampleOptions(selection, where, sample, error_kind, n, seed)
    opened = open_lake(lake)
    with connect() as server:
        pushed = push(opened, server, project, options, blind=blind, dry_run=dry_run)
    url = f"{server.url}/projects/{pushed.project.id}/" if pushed.project else None
    counts = {"chosen": pushed.chosen, "present": pushed.present, "added": pushed.added, "predicted": pushed.predicted}
    if json:
        print_json({"project": project, "url": url, "dry_run": dry_run, **counts})
        return
    columns = ["project", "chosen", "there already", "would be added" if dry_run else "added", "with predictions"]
    print_table(columns, [[project, *counts.values()]])
    note(f"the page: {url}" if url else f"there is no project {project!r} yet")
    note("nothing was sent" if dry_run else f"next: toolkit review status --project '{project}' --lake {lake}")


@review_app.command(name="pull")
def pull_command(
    *,
    project: Title,
    lake: LakePath = DEFAULT_LAKE,
    index: Annotated[Path | None, Parameter(help="Index for web_search of edited actions.")] = None,
    n_passages: Annotated[int, Parameter(help="Passages that web_search shows.")] = 3,
    tools: Annotated[
        tuple[Path, ...], Parameter(negative="", help="Python file with tools for edited actions; may be repeated.")
    ] = (),
    modules: Modules = (),
    sandbox: Annotated[SandboxChoice, Parameter(help="unsafe: accept a sandbox below level 2.")] = "best",
    dry_run: DryRun = False,
    json: AsJson = False,
) -> int:
    """Read what people said into the lake, run the actions that they edited, and measure agreement.

    Pulling again adds only what is new. An edited action becomes a trajectory of its own: the actions behind it are run
    again in the sandbox. Calls of tools get their recorded results; those that were never made before need the tool.

    Args:
        project: Title of the project in Label Studio.
        lake: Directory of the lake.
        index: Index for web_search of edited actions, as for generate.
        n_passages: Passages that web_search shows.
        tools: Python file with tools that edited actions may call; may be repeated.
        modules: Packages that edited actions may import besides the usual; may be repeated.
        sandbox: best or unsafe.
        dry_run: Say what is new, and write and run nothing.
        json: Print one JSON document.
    """
    opened = open_lake(lake)
    live = build_tools(tools, open_index("", index), n_passages)
    with connect() as server:
        pulled = asyncio.run(pull(opened, server, project, live, modules=modules, sandbox=sandbox, dry_run=dry_run))
    connection = opened.snapshot().connect()
    people, graders = people_agreement(connection, project), grader_agreement(connection, project)
    connection.close()
    if json:
        print_json({"dry_run": dry_run, **_pulled_json(pulled, project, people, graders)})
    else:
        _print_pulled(pulled, people, graders, opened, dry_run=dry_run)
    for fault in pulled.faults[:SHOWN_FAULTS]:
        note(f"not read: {fault}")
    if len(pulled.faults) > SHOWN_FAULTS:
        note(f"… and {len(pulled.faults) - SHOWN_FAULTS:,} more")
    return 1 if pulled.faults else 0


def _pulled_json(
    pulled: Pulled, project: str, people: list[Alpha], graders: list[GraderAgreement]
) -> dict[str, object]:
    return {
        "project": project,
        "commit": pulled.commit,
        "reviews": {"new": pulled.new, "changed": pulled.changed, "withdrawn": pulled.withdrawn},
        "outdated": pulled.outdated,
        "edits": pulled.edits,
        "edited": [
            {
                "trajectory_id": each.trajectory.trajectory_id,
                "parent_id": each.trajectory.parent_id,
                "parent_step": each.trajectory.parent_step,
                "stop_reason": each.trajectory.stop_reason,
                "final_answer": each.trajectory.final_answer,
                "replay_differs": each.differs,
            }
            for each in pulled.edited
        ],
        "faults": pulled.faults,
        "agreement": [asdict(each) for each in people],
        "graders": [{**asdict(each), "agreement": each.agreement, "kappa": each.kappa} for each in graders],
    }


def _print_pulled(
    pulled: Pulled, people: list[Alpha], graders: list[GraderAgreement], lake: Lake, *, dry_run: bool
) -> None:
    counts = [pulled.new, pulled.changed, pulled.withdrawn, pulled.edits]
    print_table(["new reviews", "changed", "taken back", "edited trajectories"], [counts])
    rows = [[each.of, each.units, each.verdicts, each.alpha] for each in people]
    print_table(["people on", "judged by two or more", "verdicts", "Krippendorff's alpha"], rows)
    if graders:
        columns = ["grader", "on", "judged by both", "both pass", "only grader", "only people", "both fail"]
        print_table(
            [*columns, "agreement", "Cohen's kappa"],
            [[*asdict(each).values(), each.agreement, each.kappa] for each in graders],
        )
    for rebuilt in pulled.edited:
        row = rebuilt.trajectory
        said = f"answer {row.final_answer!r}" if row.final_answer is not None else row.stop_reason
        note(f"edited: {row.parent_id} from step {row.parent_step} → {row.trajectory_id}: {said}")
        if rebuilt.differs:
            note(f"  steps {rebuilt.differs} before the edit, run again, printed something else than was recorded")
    if pulled.outdated:
        note(f"{pulled.outdated:,} annotated trajectories are not current any more: their reviews are left out")
    if dry_run:
        note("nothing was written or run; agreement is that of the words in the lake")
    else:
        note(f"commit {pulled.commit}" if pulled.commit is not None else "nothing was new")
    if pulled.edited:
        note(f"next: toolkit score --lake {lake.path}")


@review_app.command(name="status")
def status_command(*, project: Title, lake: LakePath = DEFAULT_LAKE, json: AsJson = False) -> None:
    """Say how far each annotator is.

    Args:
        project: Title of the project in Label Studio.
        lake: Directory of the lake.
        json: Print one JSON document.
    """
    opened = open_lake(lake)
    with connect() as server:
        found = status(opened, server, project)
    if json:
        print_json({"project": project, **asdict(found)})
        return
    columns = ["annotator", "annotated", "of", "accepted", "rejected", "unsure", "steps judged", "edits"]
    rows = [
        [each.reviewer, each.annotated, found.tasks, each.accepted, each.rejected, each.unsure, each.steps, each.edits]
        for each in found.people
    ]
    print_table(columns, rows, title=project)
    note(f"{found.annotated:,} of {found.tasks:,} are annotated, {found.twice:,} by at least two people")
    for fault in found.faults[:SHOWN_FAULTS]:
        note(f"not read: {fault}")
