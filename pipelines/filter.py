"""`toolkit filter`: decide on every trajectory of a lake by a recipe, and keep the reasons.

The road of the data: a snapshot → `Funnel` (alive, dropped, masks) → decisions, step
weights and one selections row, committed together.
Invariant: the selection decides on every current trajectory of its input commit, once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import duckdb
import pyarrow as pa
from cyclopts import Parameter

from pipelines.recipe import FilterRecipe, load_recipe, renamed, rule_name
from pipelines.rules import Applied, Funnel
from schemas import TABLES, Selection
from schemas.arrow import arrow_schema, rows_to_arrow
from schemas.identity import canonical_json, derive_id
from toolkit.cli.options import DEFAULT_LAKE, AsJson, At, DryRun, LakePath
from toolkit.cli.output import note, print_json, print_table, progress
from toolkit.errors import LakeError
from toolkit.lake.lake import Lake, commit_segments, open_lake
from toolkit.lake.segments import sort_rows
from toolkit.lake.selections import hash_kept

_EVIDENCE = """
CASE WHEN r.rules IS NULL THEN d.evidence
     ELSE json_merge_patch(coalesce(d.evidence, '{}')::JSON, json_object('reported', r.rules))::VARCHAR END"""
"""What the dropping rule saw, and beside it what other rules only report."""


@dataclass(frozen=True, slots=True)
class Filtered:
    """The outcome of a filter."""

    selection: Selection
    funnel: list[Applied]
    masked_steps: int
    unmasked_none: int
    """Kept trajectories of which every step is masked: nothing of them would be trained on."""
    commit: int | None
    """None: a dry run."""

    def as_json(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "selection": self.selection.name,
            "selection_id": self.selection.selection_id,
            "content_hash": self.selection.content_hash,
            "input_commit": self.selection.input_commit,
            "commit": self.commit,
            "input": self.selection.n_input,
            "kept": self.selection.n_kept,
            "dropped": self.selection.n_input - self.selection.n_kept,
            "masked_steps": self.masked_steps,
            "steps": [
                {"rule": step.label, "before": step.before, "dropped": step.dropped, "masked_steps": step.masked_steps}
                | ({"found": step.found} if step.found else {})
                for step in self.funnel
            ],
        }


def filter_lake(lake: Lake, recipe: FilterRecipe, *, at: int | None = None, dry_run: bool = False) -> Filtered:
    """Run `recipe` over the current trajectories of `lake` and commit the selection.

    Raises:
        QueryError: a predicate or column does not fit; nothing was written.
    """
    snapshot = lake.snapshot(at)
    connection = snapshot.connect()
    try:
        funnel = Funnel(connection, lake, is_dry=dry_run)
        funnel.check(recipe.steps)
        n_input = funnel.count("alive")
        applied: list[Applied] = []
        with progress("filter", len(recipe.steps), unit="rules") as advance:
            for position, rule in enumerate(recipe.steps, start=1):
                advance(position - 1, rule_name(rule))
                applied.append(funnel.apply(position, rule))
        selection = _selection(funnel, recipe, snapshot.number, n_input, _moment(lake, recipe.name))
        commit = None if dry_run else _write(lake, connection, selection)
        masked, silent = _masked(connection)
    except duckdb.Error as error:
        raise LakeError(f"the filter stopped, no selection was written: {error}") from error
    finally:
        connection.close()
    return Filtered(selection, applied, masked, silent, commit)


def _moment(lake: Lake, name: str) -> datetime:
    """Now; but the newest selection of a name counts, and the clock that stamped the last one may have been ahead."""
    connection = lake.snapshot().connect()
    try:
        query = "SELECT epoch_us(created_at) FROM selections WHERE name = ?"
        last = connection.execute(query, [name]).fetchall()
    finally:
        connection.close()
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return max([datetime.now(UTC), *(epoch + timedelta(microseconds=moment + 1) for (moment,) in last)])


def _selection(
    funnel: Funnel, recipe: FilterRecipe, input_commit: int, n_input: int, created_at: datetime
) -> Selection:
    content = hash_kept(funnel.connection, "alive", "masks")
    resolved = recipe.as_json()
    return Selection(
        name=recipe.name,
        selection_id=derive_id("selection", recipe.name, resolved, input_commit, content),
        recipe=canonical_json(resolved),
        input_commit=input_commit,
        n_input=n_input,
        n_kept=funnel.count("alive"),
        content_hash=content,
        created_at=created_at,
    )


def _write(lake: Lake, connection: duckdb.DuckDBPyConnection, selection: Selection) -> int | None:
    named = f"'{selection.name}' AS selection, '{selection.selection_id}' AS selection_id"
    decisions = connection.sql(f"""
        SELECT {named}, t.trajectory_id, t.attempt, d.trajectory_id IS NULL AS kept,
               coalesce(d.rule, 'all rules') AS rule, {_EVIDENCE} AS evidence, d.nearest_kept_id
        FROM trajectories t LEFT JOIN dropped d USING (trajectory_id)
        LEFT JOIN (SELECT trajectory_id, json_group_object(rule, evidence::JSON) AS rules FROM
                   (SELECT * FROM reported ORDER BY ALL) GROUP BY 1) r USING (trajectory_id)
        ORDER BY selection_id, trajectory_id""")
    weights = connection.sql(f"""
        SELECT {named}, trajectory_id, t.attempt, m.step_index, m.weight, m.rule
        FROM masks m JOIN trajectories t USING (trajectory_id) SEMI JOIN alive USING (trajectory_id)
        ORDER BY selection_id, trajectory_id, step_index""")
    table = TABLES["selections"]
    tables = {
        "decisions": _typed("decisions", decisions),
        "step_weights": _typed("step_weights", weights),
        "selections": sort_rows(table, rows_to_arrow(table, [selection])),
    }
    return commit_segments(lake, f"filter {selection.name}", [tables])


def _typed(table: str, relation: duckdb.DuckDBPyRelation) -> pa.Table:
    return relation.to_arrow_table().cast(arrow_schema(table))


def _masked(connection: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    """Masked steps of kept trajectories, and kept trajectories with no other step."""
    row = connection.execute("""
        SELECT coalesce(sum(masked), 0)::BIGINT, count(*) FILTER (masked = n_steps)
        FROM trajectories JOIN (SELECT trajectory_id, count(*) AS masked FROM masks GROUP BY 1) USING (trajectory_id)
        SEMI JOIN alive USING (trajectory_id)""").fetchall()[0]
    return int(row[0]), int(row[1])


def filter_command(
    recipe: Path,
    /,
    *,
    lake: LakePath = DEFAULT_LAKE,
    name: Annotated[str | None, Parameter(help="Name of the selection, instead of the recipe's.")] = None,
    at: At = None,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> None:
    """Decide on every trajectory by a recipe, and keep the reasons.

    Args:
        recipe: YAML file with `name` and `steps`; see recipes/ for examples.
        lake: Directory of the lake.
        name: Name of the selection, instead of the recipe's.
        at: Decide on the lake as it was after this commit.
        dry_run: Print the funnel and write nothing.
        json: Print one JSON document.
    """
    loaded = load_recipe(recipe)
    if name is not None:
        loaded = renamed(loaded, name)
    outcome = filter_lake(open_lake(lake), loaded, at=at, dry_run=dry_run)
    for message in _notes(outcome):
        note(message)
    if json:
        print_json(outcome.as_json())
        return
    print_table(["rule", "in", "dropped", "left", "steps masked"], _funnel_rows(outcome), title=loaded.name)
    for step in outcome.funnel:
        if step.found:
            print_table(list(step.found[0]), [list(row.values()) for row in step.found], title=f"found by {step.label}")
    kept, total = outcome.selection.n_kept, outcome.selection.n_input
    note(
        f"kept {kept:,} + dropped {total - kept:,} = {total:,} trajectories of commit {outcome.selection.input_commit}"
    )
    if not dry_run:
        look, export = f"stats --selection {loaded.name}", f"export --selection {loaded.name} --format trl --out DIR"
        note(f"next: toolkit {export if kept else look} --lake {lake}")


def _funnel_rows(outcome: Filtered) -> Iterator[list[object]]:
    for step in outcome.funnel:
        yield [step.label, step.before, step.dropped, step.before - step.dropped, step.masked_steps]


def _notes(outcome: Filtered) -> Iterator[str]:
    for step in outcome.funnel:
        yield from step.notes
    if outcome.selection.n_input and not outcome.selection.n_kept:
        yield "nothing is left; the funnel shows which rule dropped what"
    if outcome.unmasked_none:
        yield f"{outcome.unmasked_none:,} kept trajectories have every step masked: nothing of them is trained on"
