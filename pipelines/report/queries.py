"""What the page of a report counts, all of it by SQL over one snapshot.

Invariant: the numbers cover every trajectory in question, also those that are not embedded for browsing.
The table `report_rows`, in memory beside the views, says which trajectories those are and what became of each.
"""

from __future__ import annotations

from typing import Any

import duckdb
import orjson

from pipelines.recipe import Dedup, DedupOptions
from pipelines.rule_queries import FIRST, dedup_query
from schemas import Selection
from toolkit.lake.counts import Rows, by_dataset, by_rule, rows

BINS = 14
"""Bars of a histogram, at most; the last one takes what lies above the 99th percentile."""
QUESTION_CHARS, ANSWER_CHARS = 240, 120
"""What the list of trajectories shows; cards hold the whole."""

IN_REPORT = "SEMI JOIN report_rows USING (trajectory_id)"
KEPT = "SEMI JOIN (SELECT trajectory_id FROM report_rows WHERE kept) USING (trajectory_id)"
EMBEDDED = "SELECT trajectory_id FROM report_rows WHERE embedded"

_VERDICTS = """count(*) FILTER (correct) AS correct, count(*) FILTER (NOT correct) AS wrong,
       count(*) FILTER (correct IS NULL) AS undecided"""

_RANGE = """
SELECT coalesce(quantile_disc({column}, 0.99), 0)::BIGINT AS usual, coalesce(max({column}), 0)::BIGINT AS most
FROM trajectories {chosen}
"""

_HISTOGRAM = """
SELECT (least({column} // {width}, {last}) * {width})::BIGINT AS least, {verdicts}
FROM trajectories_scored {chosen} WHERE {column} IS NOT NULL GROUP BY 1 ORDER BY 1
"""

_ERRORS = """
SELECT error_kind AS name, count(*) AS steps, count(DISTINCT trajectory_id) AS trajectories
FROM steps {chosen} GROUP BY 1 ORDER BY steps DESC, name
"""

_TOOLS = """
SELECT name, count(*) AS calls, count(*) FILTER (error IS NOT NULL) AS failed,
       count(DISTINCT trajectory_id) AS trajectories
FROM tool_calls {chosen} GROUP BY 1 ORDER BY calls DESC, name
"""

_SOURCES = """
SELECT t.source, coalesce(r.source, m.name) AS origin, t.dialect, r.license, count(*) AS trajectories, {verdicts}
FROM trajectories_scored t {chosen} LEFT JOIN runs r USING (run_id) LEFT JOIN models m ON m.model_id = t.model_id
GROUP BY ALL ORDER BY trajectories DESC, 1, 2, 3, 4
"""

_STOPS = """
SELECT stop_reason AS name, count(*) AS trajectories, {verdicts}
FROM trajectories_scored {chosen} GROUP BY 1 ORDER BY trajectories DESC, name
"""

_DIFFICULTY = """
SELECT kind, CASE rate WHEN 0 THEN 0 WHEN 1 THEN 5 ELSE 1 + floor(4 * rate)::INTEGER END AS bin,
       count(*) AS tasks, sum(samples)::BIGINT AS samples
FROM (SELECT kind, task_id, avg(correct::INTEGER) AS rate, count(*) AS samples
      FROM trajectories_scored {chosen} WHERE correct IS NOT NULL GROUP BY ALL)
GROUP BY ALL ORDER BY ALL
"""

_SINCE = """
SELECT count(*) FILTER (d.trajectory_id IS NULL) AS n_later, count(*) FILTER (d.attempt <> t.attempt) AS n_retried
FROM trajectories t LEFT JOIN (SELECT * FROM decisions WHERE selection_id = '{selection_id}') d USING (trajectory_id)
"""

_MASKED = "SELECT rule, count(*) AS steps FROM step_weights WHERE selection_id = '{selection_id}' GROUP BY 1"

_INDEX = f"""
SELECT trajectory_id AS id, row_number() OVER (ORDER BY {FIRST}) AS place, dataset, kind, role, correct,
       n_steps AS steps, completion_tokens AS tokens, stop_reason, errors, kept, rule, nearest_kept_id AS instead,
       left(question, {QUESTION_CHARS}) AS question, left(final_answer, {ANSWER_CHARS}) AS answer
FROM trajectories_scored JOIN report_rows USING (trajectory_id)
LEFT JOIN (SELECT trajectory_id, string_agg(DISTINCT error_kind, ' ' ORDER BY error_kind) AS errors
           FROM steps WHERE error_kind <> 'none' GROUP BY 1) USING (trajectory_id)
WHERE embedded ORDER BY trajectory_id
"""


def prepare(connection: duckdb.DuckDBPyConnection, selection: Selection | None, embed: int) -> None:
    """Create `report_rows`: the trajectories in question, their fate, and whether the page holds them whole.

    At most `embed` are drawn by the hash of their id, and with each the one that stayed in its place.
    """
    fates = _repeated(connection) if selection is None else _decided(selection.selection_id)
    connection.execute(f"CREATE TABLE report_fates AS {fates}")
    connection.execute(f"""
        CREATE TABLE report_drawn AS
        SELECT trajectory_id, nearest_kept_id FROM report_fates ORDER BY md5(trajectory_id) LIMIT {embed}""")
    connection.execute("""
        CREATE TABLE report_rows AS
        SELECT *, trajectory_id IN (SELECT trajectory_id FROM report_drawn UNION ALL
                                    SELECT nearest_kept_id FROM report_drawn WHERE nearest_kept_id IS NOT NULL)
                  AS embedded
        FROM report_fates""")


def _decided(selection_id: str) -> str:
    return f"""
        SELECT trajectory_id, kept, rule, evidence, nearest_kept_id FROM decisions SEMI JOIN trajectories
        USING (trajectory_id) WHERE selection_id = '{selection_id}'"""


def _repeated(connection: duckdb.DuckDBPyConnection) -> str:
    """All trajectories of the lake; nothing is decided, but repeated ones name the first of their kind."""
    connection.execute("CREATE TABLE alive AS SELECT trajectory_id FROM trajectories")
    same = dedup_query(Dedup(dedup=DedupOptions(by="trajectory")))
    alike = dedup_query(Dedup(dedup=DedupOptions(by="actions")))
    return f"""
        SELECT trajectory_id, NULL::BOOLEAN AS kept,
               CASE WHEN s.trajectory_id IS NOT NULL THEN 'says the same'
                    WHEN a.trajectory_id IS NOT NULL THEN 'does the same' END AS rule,
               coalesce(s.evidence, a.evidence) AS evidence,
               coalesce(s.nearest_kept_id, a.nearest_kept_id) AS nearest_kept_id
        FROM trajectories LEFT JOIN ({same}) s USING (trajectory_id) LEFT JOIN ({alike}) a USING (trajectory_id)"""


def funnel(connection: duckdb.DuckDBPyConnection, selection: Selection) -> Rows:
    """Each rule of the recipe in order: what it saw, dropped and left, and the steps that it masked."""
    dropped = {row["rule"]: row for row in by_rule(connection, selection.selection_id)}
    masked = {
        row["rule"]: row["steps"] for row in rows(connection, _MASKED.format(selection_id=selection.selection_id))
    }
    before, found = selection.n_input, []
    for position, step in enumerate(orjson.loads(selection.recipe)["steps"], start=1):
        name = next(iter(step))
        label = f"{position}: {name}"
        out = dropped[label]["trajectories"] if label in dropped else 0
        found.append(
            {
                "rule": label,
                "text": _said(step[name]),
                "before": before,
                "dropped": out,
                "left": before - out,
                "in_favour_of": dropped[label]["in_favour_of"] if label in dropped else 0,
                "masked_steps": masked.get(label, 0),
            }
        )
        before -= out
    return found


def since(connection: duckdb.DuckDBPyConnection, selection: Selection) -> dict[str, int]:
    """How many trajectories came after the selection, and how many it decided on in an earlier attempt."""
    found: dict[str, int] = rows(connection, _SINCE.format(selection_id=selection.selection_id))[0]
    return found


def _said(options: object) -> str:
    return options if isinstance(options, str) else orjson.dumps(options).decode()


def distributions(connection: duckdb.DuckDBPyConnection, chosen: str) -> dict[str, Any]:
    """Everything that is shown as bars, over the trajectories that the join `chosen` leaves."""
    fill = {"chosen": chosen, "verdicts": _VERDICTS}
    return {
        "datasets": by_dataset(connection, chosen),
        "steps": histogram(connection, "n_steps", chosen),
        "tokens": histogram(connection, "completion_tokens", chosen),
        "errors": rows(connection, _ERRORS.format(**fill)),
        "tools": rows(connection, _TOOLS.format(**fill)),
        "sources": rows(connection, _SOURCES.format(**fill)),
        "stops": rows(connection, _STOPS.format(**fill)),
        "difficulty": rows(connection, _DIFFICULTY.format(**fill)),
    }


def histogram(connection: duckdb.DuckDBPyConnection, column: str, chosen: str) -> dict[str, Any]:
    """Trajectories by `column`, a whole number, in bins of one width; a bin without rows is left out."""
    span = rows(connection, _RANGE.format(column=column, chosen=chosen))[0]
    width = nice_width(span["usual"])
    last = span["usual"] // width
    query = _HISTOGRAM.format(column=column, width=width, last=last, chosen=chosen, verdicts=_VERDICTS)
    return {"width": width, "most": span["most"], "bins": rows(connection, query)}


def nice_width(usual: int) -> int:
    """The least of 1, 2, 5, 10, 20, … with which 0 to `usual` take at most `BINS` bins."""
    width = 1
    while usual // width >= BINS:
        width = width * 5 // 2 if str(width)[0] == "2" else width * 2
    return width


def index_columns(connection: duckdb.DuckDBPyConnection) -> dict[str, list[Any]]:
    """What the list of trajectories shows and filters by, a list a column, in order of id."""
    columns: dict[str, list[Any]] = connection.sql(_INDEX).to_arrow_table().to_pydict()
    return columns
