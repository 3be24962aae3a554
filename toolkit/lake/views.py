"""Which rows are current, said once for DuckDB and once for Polars, and the joined views.

`raw.<table>` holds every row ever written, `<table>` the current ones: of rows with the
same key the newest, and of tables that follow another only rows of what is current there.
Rows of equal key and version say the same; should they differ, as when two processes import
one file at once, the one written last counts, everywhere and always.
Where it is proven that all rows are current (`proofs`: always so in a compacted lake without
retries) the view is the bare table scan, which is what makes it fast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from schemas import TABLES, Table
from schemas.tables import LINKS
from toolkit.lake.contamination_view import CONTAMINATION
from toolkit.lake.difficulty import with_difficulty
from toolkit.lake.evaluations import EVALUATED, EVALUATIONS
from toolkit.lake.judge_views import steps_judged, trajectories_judged
from toolkit.lake.literal import literal
from toolkit.lake.proofs import Proven
from toolkit.lake.signal_views import BY_TRAJECTORY, STEPS_WITH_SIGNALS, TRAJECTORY_COLUMNS

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

_DUCKDB_TYPES = {
    "string": "VARCHAR",
    "bool": "BOOLEAN",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "uint64": "UBIGINT",
    "double": "DOUBLE",
    "timestamp[us, tz=UTC]": "TIMESTAMP WITH TIME ZONE",
}
"""By the name of the Arrow type."""

SCORED = """
SELECT trajectory_id,
       arg_max_null(passed, scored_at) FILTER (of_answer) AS answer_passed,
       arg_max_null(value, scored_at) FILTER (of_answer) AS answer_value,
       arg_max_null(scorer, scored_at) FILTER (of_answer) AS answer_scorer,
       arg_max_null(passed, scored_at) FILTER (of_reward) AS reward_passed,
       arg_max_null(value, scored_at) FILTER (of_reward) AS reward
FROM (SELECT *, starts_with(scorer, 'fact@') OR starts_with(scorer, 'math@') AS of_answer,
             starts_with(scorer, 'reward@') AS of_reward
      FROM scores WHERE step_index IS NULL)
GROUP BY trajectory_id
"""
"""What graders and the environment say of every trajectory, the newest word of each; one row a trajectory."""

GRADED = f"""
SELECT t.task_id, t.kind, t.role, coalesce(s.answer_passed, s.reward_passed) AS correct
FROM trajectories t LEFT JOIN ({SCORED}) s USING (trajectory_id)
"""
"""The verdict of every trajectory, and no more: `trajectories_scored` joins a dozen things besides."""

TRAJECTORIES_SCORED = f"""
SELECT t.*, k.question, k.answers, k.split, k.domain,
       coalesce(s.answer_passed, s.reward_passed) AS correct,
       CASE WHEN starts_with(s.answer_scorer, 'fact@') THEN CAST(s.answer_passed AS INTEGER) END AS em,
       CASE WHEN starts_with(s.answer_scorer, 'fact@') THEN s.answer_value END AS f1,
       s.reward, s.answer_scorer, {", ".join(TRAJECTORY_COLUMNS)}
FROM trajectories t
LEFT JOIN (
    SELECT task_id, first(question) AS question, first(answers) AS answers, first(split) AS split,
           first(domain) AS domain
    FROM tasks GROUP BY task_id
) k USING (task_id)
LEFT JOIN ({SCORED}) s USING (trajectory_id)
LEFT JOIN ({BY_TRAJECTORY}) p USING (trajectory_id)
"""
"""Trajectories with their question and verdict: `correct` is the newest word of an answer scorer, or, for
tasks without gold answer, the environment's own reward; null where neither decided. The last columns are those of
process signals (`signal_views`). All joins are with one row a key by GROUP BY, so that no row is doubled."""

VERDICTS = """
SELECT trajectory_id, step_index,
       count(*) FILTER (verdict IN ('accepted', 'correct')) AS pro,
       count(*) FILTER (verdict IN ('rejected', 'wrong')) AS contra,
       count(*) FILTER (verdict = 'unsure') AS unsure,
       CASE WHEN pro > contra THEN if(step_index IS NULL, 'accepted', 'correct')
            WHEN contra > pro THEN if(step_index IS NULL, 'rejected', 'wrong') ELSE 'unsure' END AS review_verdict
FROM reviews WHERE verdict IS NOT NULL GROUP BY trajectory_id, step_index
"""
"""What people say, over all projects: the majority of those who are sure, and `unsure` where there is none."""

STEPS_SCORED = f"""
SELECT s.*, v.review_verdict FROM ({STEPS_WITH_SIGNALS}) s
LEFT JOIN (
    SELECT trajectory_id, step_index, first(review_verdict) AS review_verdict FROM verdicts
    WHERE step_index IS NOT NULL GROUP BY ALL
) v USING (trajectory_id, step_index)
"""
"""Steps with what process signals say of them (`signal_views`) and people's verdict; null where nobody gave one."""


def create_views(
    connection: duckdb.DuckDBPyConnection, files: Mapping[str, Sequence[Path]], proven: Proven | None
) -> None:
    """Create `raw.<table>` over the given Parquet files and, with `proven` (of all tables), the other views."""
    connection.execute("CREATE SCHEMA raw")
    for name in files:
        connection.execute(f"CREATE VIEW raw.{name} AS SELECT * FROM {scan_sql(TABLES[name], files[name])}")
    if proven is None:
        return
    for name in dict.fromkeys((*LINKS, *TABLES)):
        current = current_sql(TABLES[name], files[name], proven)
        connection.execute(f"CREATE VIEW {name} AS {current}")
    scored = with_difficulty(trajectories_judged(TRAJECTORIES_SCORED), GRADED)
    connection.execute(f"CREATE VIEW trajectories_scored AS {scored}")
    connection.execute(f"CREATE VIEW evaluations AS {EVALUATIONS}")
    connection.execute(f"CREATE VIEW evaluated AS {EVALUATED}")
    connection.execute(f"CREATE VIEW contamination AS {CONTAMINATION}")
    connection.execute(f"CREATE VIEW verdicts AS {VERDICTS}")
    connection.execute(f"CREATE VIEW steps_scored AS {steps_judged(STEPS_SCORED)}")


def current_sql(table: Table, files: Sequence[Path], proven: Proven) -> str:
    """SELECT of the current rows of `table`."""
    sql = f"SELECT * FROM {scan_sql(table, files)}"
    if table.follows and not proven.follows_freely(table):
        sql += f" SEMI JOIN {table.follows} USING ({', '.join(LINKS[table.follows])})"
    return sql if table.name in proven.unique else f"{sql} {one_of_each(table.key, table.newest_by)}"


def one_of_each(columns: Sequence[str], newest_by: Sequence[str] = ()) -> str:
    """QUALIFY: of rows with equal `columns` the newest, and of equally new ones the one written last.

    Fits a query whose FROM begins with `scan_sql` of a table with files.
    """
    newest = "".join(f"{column} DESC NULLS LAST, " for column in newest_by)
    order = f"{newest}filename DESC, file_row_number DESC"
    return f"QUALIFY row_number() OVER (PARTITION BY {', '.join(columns)} ORDER BY {order}) = 1"


def current_rows(frames: Mapping[str, pl.LazyFrame], name: str, proven: Proven) -> pl.LazyFrame:
    """The same for Polars: the current rows of `name` among the raw `frames` by table, oldest file first."""
    table, frame = TABLES[name], frames[name]
    if name not in proven.unique:
        if table.newest_by:
            frame = frame.sort(table.newest_by, nulls_last=False, maintain_order=True)
        frame = frame.unique(subset=list(table.key), keep="last", maintain_order=True)
    if table.follows and not proven.follows_freely(table):
        # Last, because a join gives up the order that says what was written last.
        columns = list(LINKS[table.follows])
        current = current_rows(frames, table.follows, proven).select(columns)
        frame = frame.join(current, on=columns, how="semi")
    return frame


def scan_sql(table: Table, files: Sequence[Path]) -> str:
    """What stands in FROM for every row ever written to `table`."""
    if files:
        names = ", ".join(literal(str(path)) for path in files)
        # Without the option, a lake below a directory `run=3` would have a column `run`.
        return f"read_parquet([{names}], hive_partitioning = false)"
    # Only for a table without rows: Arrow is slow to load.
    from schemas.arrow import arrow_schema

    columns = ", ".join(
        f"CAST(NULL AS {_duckdb_type(field.type)}) AS {field.name}" for field in arrow_schema(table.name)
    )
    return f"(SELECT {columns} WHERE false)"


def _duckdb_type(arrow_type: pa.DataType) -> str:
    item = getattr(arrow_type, "value_type", None)
    if item is not None:
        return f"{_duckdb_type(item)}[]"
    return _DUCKDB_TYPES[str(arrow_type)]
