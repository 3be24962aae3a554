"""Everything that a card says, counted in the files that are published.

Invariant: a function of the Parquet files alone. It runs twice, when the card is written and
again over the files as they go out, and both must agree.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import orjson

from pipelines.publish.configurations import CONFIGURATIONS, data_files
from pipelines.publish.tables import connect_tables
from schemas import TABLES
from toolkit.errors import InputError
from toolkit.lake.contamination_view import CONTAMINATION
from toolkit.lake.literal import literal

Facts = dict[str, Any]

_TOTALS = """
SELECT count(*) AS trajectories, count(DISTINCT task_id) AS questions, sum(n_steps)::BIGINT AS steps,
       sum(n_tool_calls)::BIGINT AS tool_calls, sum(prompt_tokens)::BIGINT AS prompt_tokens,
       sum(completion_tokens)::BIGINT AS completion_tokens,
       count(*) FILTER (completion_tokens IS NULL) AS without_tokens,
       count(*) FILTER (correct) AS correct, count(*) FILTER (NOT correct) AS wrong,
       count(*) FILTER (correct IS NULL) AS undecided,
       count(*) FILTER (first_thought IS NOT NULL) AS with_first_thought,
       count(*) FILTER (kind = 'agent') AS agents, min(n_steps) AS least_steps, max(n_steps) AS most_steps,
       quantile_disc(n_steps, 0.5) AS median_steps, quantile_disc(completion_tokens, 0.5) AS median_tokens
FROM default_rows
"""
_LISTS = {
    "datasets": """
        SELECT dataset, domain, count(*) AS trajectories, count(DISTINCT task_id) AS questions,
               count(*) FILTER (correct) AS correct, count(*) FILTER (NOT correct) AS wrong,
               count(*) FILTER (correct IS NULL) AS undecided, sum(n_steps)::BIGINT AS steps
        FROM default_rows GROUP BY ALL ORDER BY ALL""",
    "models": """
        SELECT coalesce(model, 'not stated') AS model, role, kind, dialect, count(*) AS trajectories,
               sum(n_steps)::BIGINT AS steps FROM default_rows GROUP BY ALL ORDER BY ALL""",
    "origins": "SELECT source, count(*) AS trajectories FROM default_rows GROUP BY ALL ORDER BY ALL",
    "stop_reasons": "SELECT stop_reason, count(*) AS trajectories FROM default_rows GROUP BY ALL ORDER BY 2 DESC, 1",
    "step_counts": "SELECT n_steps, count(*) AS trajectories FROM default_rows GROUP BY ALL ORDER BY 1",
    "token_counts": """
        SELECT power(2, floor(log2(greatest(completion_tokens, 1))))::BIGINT AS at_least, count(*) AS trajectories
        FROM default_rows WHERE completion_tokens IS NOT NULL GROUP BY ALL ORDER BY 1""",
    "errors": "SELECT error_kind, count(*) AS steps FROM steps_rows GROUP BY ALL ORDER BY 2 DESC, 1",
    "weights": "SELECT weight, count(*) AS steps FROM steps_rows GROUP BY ALL ORDER BY 1",
    "tools": """
        SELECT name AS tool, count(*) AS calls, count(*) FILTER (error IS NOT NULL) AS failed
        FROM tool_calls GROUP BY ALL ORDER BY 2 DESC, 1""",
    "funnel": """
        SELECT rule, count(*) AS dropped FROM decisions WHERE NOT kept
        GROUP BY rule ORDER BY try_cast(split_part(rule, ':', 1) AS INTEGER), rule""",
    "contamination": f"""
        SELECT benchmark, kind, match, fate, count(DISTINCT benchmark_id) AS questions,
               count(DISTINCT trajectory_id) AS trajectories, count(DISTINCT trajectory_id) FILTER (kept) AS kept
        FROM ({CONTAMINATION}) GROUP BY ALL ORDER BY ALL""",
    "scorers": """
        SELECT scorer, count(*) AS scores, count(*) FILTER (passed) AS passed,
               count(*) FILTER (NOT passed) AS failed FROM scores GROUP BY ALL ORDER BY ALL""",
    "reviews": """
        SELECT if(step_index IS NULL, 'trajectory', 'step') AS about, coalesce(verdict, 'none') AS verdict,
               count(*) AS reviews, count(DISTINCT reviewer) AS reviewers, count(DISTINCT trajectory_id) AS trajectories
        FROM reviews GROUP BY ALL ORDER BY ALL""",
    "prompts": """
        SELECT prompt_hash, count(*) AS trajectories, any_value(text) AS text
        FROM trajectories JOIN prompts ON prompt_hash = system_prompt_hash GROUP BY 1 ORDER BY 2 DESC, 1""",
    "parts": """
        SELECT dataset, 'questions' AS part, NULL AS origin, license, count(*) AS rows
        FROM tasks GROUP BY ALL
        UNION ALL
        SELECT t.dataset, CASE WHEN t.source = 'imported' THEN 'imported trajectories' ELSE 'own trajectories' END,
               CASE WHEN t.source = 'imported' THEN r.source END,
               CASE WHEN t.source = 'imported' THEN r.license END, count(*)
        FROM trajectories t LEFT JOIN runs r USING (run_id) GROUP BY ALL ORDER BY ALL""",
}
_TABLE_ROWS = " UNION ALL ".join(f"SELECT '{name}' AS name, count(*) AS rows FROM {name}" for name in TABLES)


def count_facts(directory: Path) -> Facts:
    """The facts of the publication in `directory`.

    Raises:
        InputError: a file is missing or cannot be read, or the configurations do not hold the same trajectories.
    """
    try:
        connection = connect_tables(directory)
    except duckdb.Error as error:
        raise InputError(f"the files in {directory} are no publication: {error}") from error
    try:
        _create_views(connection, directory)
        facts: Facts = _one(connection, _TOTALS)
        facts["splits"] = _splits(connection)
        facts |= {name: _rows(connection, query) for name, query in _LISTS.items()}
        facts["tables"] = _rows(connection, _TABLE_ROWS)
        facts["selection"] = _selection(connection)
    except duckdb.Error as error:
        raise InputError(f"the files in {directory} are no publication: {error}") from error
    finally:
        connection.close()
    return facts


def _create_views(connection: duckdb.DuckDBPyConnection, directory: Path) -> None:
    for configuration in CONFIGURATIONS:
        files = [(split, path) for found, split, path in data_files(directory) if found == configuration]
        if not files:
            raise InputError(f"{directory} has no files of the configuration {configuration!r}")
        parts = " UNION ALL ".join(
            f"SELECT {literal(split)} AS split_name, *"
            f" FROM read_parquet({literal(str(path))}, hive_partitioning = false)"
            for split, path in files
        )
        connection.execute(f"CREATE VIEW {configuration}_rows AS {parts}")


def _splits(connection: duckdb.DuckDBPyConnection) -> list[Facts]:
    counted = " UNION ALL ".join(
        f"SELECT split_name AS split, '{name}' AS configuration, count(*) AS rows FROM {name}_rows GROUP BY 1"
        for name in CONFIGURATIONS
    )
    found: dict[str, Facts] = {}
    for row in _rows(connection, f"{counted} ORDER BY 1, 2"):
        found.setdefault(row["split"], {"split": row["split"]})[row["configuration"]] = row["rows"]
    return list(found.values())


def _selection(connection: duckdb.DuckDBPyConnection) -> Facts:
    rows = _rows(
        connection,
        "SELECT name, selection_id, content_hash, input_commit, n_input, n_kept, recipe FROM selections",
    )
    if len(rows) != 1:
        raise InputError(f"expected one selection in the published tables, got {len(rows)}")
    return {**rows[0], "recipe": orjson.loads(rows[0]["recipe"])}


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> Facts:
    return _rows(connection, query)[0]


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[Facts]:
    rows: list[Facts] = connection.sql(query).to_arrow_table().to_pylist()
    return rows


def first_difference(stated: object, counted: object, place: str = "") -> str | None:
    """Where two facts first differ, as a sentence; None if they are equal."""
    if isinstance(stated, dict) and isinstance(counted, dict):
        for name in sorted(stated.keys() | counted.keys()):
            if found := first_difference(stated.get(name), counted.get(name), f"{place}.{name}".lstrip(".")):
                return found
        return None
    if isinstance(stated, list) and isinstance(counted, list) and len(stated) == len(counted):
        pairs = enumerate(zip(stated, counted, strict=True))
        return next((found for at, pair in pairs if (found := first_difference(*pair, f"{place}[{at}]"))), None)
    return None if stated == counted else f"{place} is stated as {stated!r:.80}, the files say {counted!r:.80}"
