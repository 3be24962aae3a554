"""What two selections of a lake decide differently, and what that does to what is kept.

Invariants: all counting is SQL over the decisions, out of core; a trajectory has at most one change. A reason is the
rule itself, not its number: a rule put in front of another does not change why rows drop. Not covered: evidence, which
may differ under the same rule; statistics are of trajectories as the lake knows them now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb
import orjson
import pyarrow as pa

from schemas import Selection
from toolkit.lake.counts import Rows, rows
from toolkit.lake.literal import literal
from toolkit.lake.selections import WEIGHTS_TEXT

KINDS = ("in", "out", "reason_changed", "weights_changed", "only_left", "only_right")
"""Newly kept; no longer kept; dropped by another rule; kept with other step weights; decided on by one side alone."""
SIDES = ("left", "right")
SHARES = ("dataset", "kind", "role", "source", "teacher")
"""Columns whose make-up is compared."""

_MEASURES = {
    "trajectories": "count(*) {kept}",
    "tasks": "count(DISTINCT task_id) {kept}",
    "correct, share of graded": "avg(CAST(correct AS INTEGER)) {kept}",
    "pass rate, mean": "avg(pass_rate) {kept}",
    "steps, mean": "avg(n_steps) {kept}",
    "steps, median": "median(n_steps) {kept}",
    "tool calls, mean": "avg(n_tool_calls) {kept}",
    "tokens written, mean": "avg(completion_tokens) {kept}",
    "parse errors, mean": "avg(parse_errors) {kept}",
    "execution errors, mean": "avg(execution_errors) {kept}",
    "masked steps": "coalesce(sum(masked_{side}) {kept}, 0)::BIGINT",
}


@dataclass(frozen=True)
class Changes:
    """The comparison, as temporary tables of `connection`."""

    connection: duckdb.DuckDBPyConnection

    def moves(self) -> Rows:
        """What became of how many: kind, both fates, trajectories."""
        # The weights of steps are told by trajectory alone: there are too many combinations.
        fates = ", ".join(f"split_part({side}_fate, ',', 1) AS \"{side}\"" for side in SIDES)
        return rows(
            self.connection,
            f"""SELECT * FROM (SELECT kind, {fates}, count(*) AS trajectories FROM changes GROUP BY ALL)
                ORDER BY list_position({list(KINDS)}, kind), trajectories DESC, 2, 3""",
        )

    def changed(self, limit: int | None = None) -> Rows:
        """Trajectories that changed, with both fates, in the order of kinds and ids."""
        cut = "" if limit is None else f"LIMIT {limit}"
        return rows(
            self.connection,
            f"""SELECT kind, trajectory_id, left_fate AS "left", right_fate AS "right" FROM changes
                ORDER BY list_position({list(KINDS)}, kind), trajectory_id {cut}""",
        )

    def statistics(self) -> Rows:
        """Figures of what each side keeps: statistic, left, right. Null: nothing to count."""
        wanted = [
            f"{text.format(kept=f'FILTER (kept_{side})', side=side)} AS m{number}_{side}"
            for number, text in enumerate(_MEASURES.values())
            for side in SIDES
        ]
        [found] = rows(
            self.connection, f"SELECT {', '.join(wanted)} FROM trajectories_scored JOIN fates USING (trajectory_id)"
        )
        measured: Rows = [
            {"statistic": name, **{side: found[f"m{number}_{side}"] for side in SIDES}}
            for number, name in enumerate(_MEASURES)
        ]
        return measured + [row for column in SHARES for row in self._shares(column)]

    def _shares(self, column: str) -> Rows:
        """The share of each value of `column`; nothing where there is only one."""
        parts = ", ".join(f"count(*) FILTER (kept_{side}) AS {side}_rows" for side in SIDES)
        shares = ", ".join(f"{side}_rows / nullif(sum({side}_rows) OVER (), 0) AS {side}" for side in SIDES)
        found = rows(
            self.connection,
            f"""SELECT '{column} ' || coalesce(value, 'not known') || ', share' AS statistic, {shares}
                FROM (SELECT {column} AS value, {parts} FROM trajectories_scored JOIN fates USING (trajectory_id)
                      GROUP BY 1) WHERE left_rows + right_rows > 0 ORDER BY value NULLS LAST""",
        )
        return found if len(found) > 1 else []


def compare(connection: duckdb.DuckDBPyConnection, left: Selection, right: Selection) -> Changes:
    """Compare two selections whose decisions `connection` can see, in whatever version."""
    for side, selection in zip(SIDES, (left, right), strict=True):
        connection.register(f"{side}_rules", _rules(selection))
    connection.execute(f"CREATE OR REPLACE TEMP TABLE fates AS {_fates(left.selection_id, right.selection_id)}")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE changes AS {_CHANGES}")
    for side in SIDES:
        connection.unregister(f"{side}_rules")
    return Changes(connection)


def _rules(selection: Selection) -> pa.Table:
    """(rule, reason): the rule's label, and what it says, whatever its number."""
    steps: list[dict[str, Any]] = orjson.loads(selection.recipe)["steps"]
    labels = [f"{number}: {next(iter(step))}" for number, step in enumerate(steps, start=1)]
    return pa.table({"rule": pa.array(labels, pa.string()), "reason": [orjson.dumps(step).decode() for step in steps]})


def _fates(left_id: str, right_id: str) -> str:
    """One row a trajectory that either side decides on."""
    # From `raw`: a selection that was made again under its name is superseded, not gone.
    of_side = "\n".join(
        f"""{"FULL JOIN" if side == "right" else ""} (
            SELECT trajectory_id, any_value(kept) AS kept_{side}, any_value(rule) AS rule_{side},
                   any_value(coalesce(reason, rule)) AS reason_{side}
            FROM raw.decisions LEFT JOIN {side}_rules USING (rule) WHERE selection_id = {literal(selection_id)}
            GROUP BY 1
        ) {side}_side {"USING (trajectory_id)" if side == "right" else ""}"""
        for side, selection_id in zip(SIDES, (left_id, right_id), strict=True)
    )
    of_weights = "\n".join(
        f"""LEFT JOIN (
            SELECT trajectory_id, {WEIGHTS_TEXT} AS weights_{side},
                   count(*) FILTER (weight = 0) AS masked_{side}
            FROM (SELECT DISTINCT trajectory_id, step_index, weight FROM raw.step_weights
                  WHERE selection_id = {literal(selection_id)}) GROUP BY 1
        ) {side}_weights USING (trajectory_id)"""
        for side, selection_id in zip(SIDES, (left_id, right_id), strict=True)
    )
    return f"SELECT * FROM {of_side} {of_weights}"


def _fate(side: str) -> str:
    return f"""
        CASE WHEN kept_{side} IS NULL THEN 'not decided on'
             WHEN NOT kept_{side} THEN 'dropped by ' || rule_{side}
             WHEN kind = 'weights_changed' THEN 'kept, weights ' || coalesce(weights_{side}, 'all 1')
             ELSE 'kept' END AS {side}_fate"""


_CHANGES = f"""
SELECT kind, trajectory_id, {_fate("left")}, {_fate("right")} FROM (
    SELECT *, CASE WHEN kept_left IS NULL THEN 'only_right'
                   WHEN kept_right IS NULL THEN 'only_left'
                   WHEN kept_left <> kept_right THEN CASE WHEN kept_right THEN 'in' ELSE 'out' END
                   WHEN NOT kept_left AND reason_left <> reason_right THEN 'reason_changed'
                   WHEN kept_left AND weights_left IS DISTINCT FROM weights_right THEN 'weights_changed' END AS kind
    FROM fates
) WHERE kind IS NOT NULL
"""
