"""`toolkit query`: one SELECT over the tables and views of a lake."""

from __future__ import annotations

from typing import Annotated

import duckdb
from cyclopts import Parameter

from toolkit.cli.options import DEFAULT_LAKE, AsJson, At, LakePath
from toolkit.cli.output import note, print_json, print_table
from toolkit.errors import QueryError
from toolkit.lake.lake import open_lake


def query_command(
    sql: str,
    /,
    *,
    lake: LakePath = DEFAULT_LAKE,
    at: At = None,
    rows: Annotated[int, Parameter(help="Rows to print as a table; --json prints all.")] = 50,
    json: AsJson = False,
) -> None:
    """Run one SELECT over the tables of a lake.

    Tables: docs/data-dictionary.md, and the view trajectories_scored (trajectories with question,
    answers, correct, em, f1, reward), evaluations, evaluated (their rollouts), and contamination (what
    `decontaminate` found). raw.TABLE shows superseded rows too.

    Args:
        sql: The SELECT statement.
        lake: Directory of the lake.
        at: Read the lake as it was after this commit.
        rows: Rows to print as a table.
        json: Print a JSON array of row objects.
    """
    relation = open_lake(lake).sql(sql, at=at)
    try:
        found = (relation if json else relation.limit(rows + 1)).to_arrow_table().to_pylist()
    except duckdb.Error as error:
        raise QueryError(str(error)) from error
    if json:
        print_json(found)
        return
    print_table(relation.columns, [list(row.values()) for row in found[:rows]])
    if len(found) > rows:
        note(f"only the first {rows} rows are shown; --rows or --json show more")
