"""Which trajectories people look at: at random, where scorers disagree, or by the errors in them.

Invariant: equal seeds give equal orders, and a larger `n` keeps what a smaller one chose, so that pushing again with
more adds to what is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import duckdb

from pipelines.review.cards import Key
from schemas import ErrorKind
from toolkit.errors import InputError
from toolkit.lake.literal import literal
from toolkit.lake.predicate import evaluating, parse_predicate
from toolkit.lake.selections import find_selection
from toolkit.lake.snapshot import Snapshot

SampleBy = Literal["random", "disagreement", "errors"]


@dataclass(frozen=True, slots=True)
class SampleOptions:
    """Which trajectories, and how many."""

    selection: str | None = None
    """Only what this selection keeps. None: the whole lake."""
    where: str | None = None
    """Only what a predicate over `trajectories_scored` is true for. None: all."""
    by: SampleBy = "random"
    """`random`; `disagreement`: scorers of the whole or of a step say different things, the most divided first;
    `errors`: in turn from each kind of error, by the first error of a trajectory."""
    error_kinds: tuple[ErrorKind, ...] = ()
    """With `errors`: only these kinds. Empty: all."""
    n: int | None = None
    """At most so many. None: all that fit."""
    seed: int = 0


_DISAGREEMENT = """
    SELECT trajectory_id, max(divided) AS divided FROM (
        SELECT trajectory_id, least(count(*) FILTER (passed), count(*) FILTER (NOT passed)) / count(*) AS divided
        FROM scores WHERE passed IS NOT NULL GROUP BY trajectory_id, step_index)
    GROUP BY trajectory_id HAVING max(divided) > 0"""
"""Share of the scorers that are in the minority, where it is largest."""


def draw(snapshot: Snapshot, connection: duckdb.DuckDBPyConnection, options: SampleOptions) -> list[Key]:
    """The chosen trajectories, in the order of choice.

    Raises:
        InputError: no such selection, or an option that does not go with the others.
        QueryError: the predicate does not fit, or does not run.
    """
    if options.error_kinds and options.by != "errors":
        raise InputError("--error-kind goes with --sample errors")
    if options.n is not None and options.n < 1:
        raise InputError(f"--n must be at least 1, got {options.n}")
    order, table = _order(options)
    parts = ["true"]
    if options.selection is not None:
        chosen = find_selection(snapshot, options.selection)
        kept = f"SELECT trajectory_id FROM decisions WHERE kept AND selection_id = {literal(chosen.selection_id)}"
        parts.append(f"t.trajectory_id IN ({kept})")
    if options.where is not None:
        predicate = parse_predicate(connection, options.where, "trajectories_scored")
        # In a query of its own, where its columns cannot be taken for those of a joined table.
        fitting = f"SELECT trajectory_id FROM trajectories_scored WHERE (\n{predicate.text}\n)"
        parts.append(f"t.trajectory_id IN ({fitting})")
    drawn = f"md5('{options.seed}:' || t.trajectory_id)"
    with evaluating(options.where):
        rows = connection.execute(f"""
            SELECT t.trajectory_id, t.attempt FROM trajectories t {table}
            WHERE {" AND ".join(parts)} ORDER BY {order.format(drawn=drawn)}
            {"" if options.n is None else f"LIMIT {options.n}"}""").fetchall()
    return [(str(trajectory_id), int(attempt)) for trajectory_id, attempt in rows]


def _order(options: SampleOptions) -> tuple[str, str]:
    """ORDER BY, and what is joined to the trajectories."""
    if options.by == "disagreement":
        return "divided DESC, {drawn}, t.trajectory_id", f"JOIN ({_DISAGREEMENT}) USING (trajectory_id)"
    if options.by == "errors":
        kinds = ", ".join(map(literal, options.error_kinds))
        among = f"error_kind IN ({kinds})" if kinds else "error_kind <> 'none'"
        first = f"""
            SELECT trajectory_id, arg_min(error_kind, step_index) AS first_error FROM steps WHERE {among} GROUP BY 1"""
        # The n-th of each kind before the (n+1)-th of any.
        place = "row_number() OVER (PARTITION BY first_error ORDER BY {drawn}, t.trajectory_id)"
        return f"{place}, first_error", f"JOIN ({first}) USING (trajectory_id)"
    return "{drawn}, t.trajectory_id", ""
