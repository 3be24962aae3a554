"""`toolkit query`: one SELECT over the tables and views of a lake."""

from __future__ import annotations

from typing import Annotated, Any

import duckdb
from cyclopts import Parameter

from toolkit.cli.option_checks import check_counts
from toolkit.cli.options import DEFAULT_LAKE, AsJson, At, LakePath
from toolkit.cli.output import note, print_json, print_relation
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
    `decontaminate` found). raw.TABLE shows superseded rows too. Of columns with one name, a, the later are called
    a_1, a_2, and so on.

    Args:
        sql: The SELECT statement.
        lake: Directory of the lake.
        at: Read the lake as it was after this commit.
        rows: Rows to print as a table.
        json: Print a JSON array of row objects.
    """
    check_counts(rows=rows)
    relation = open_lake(lake).sql(sql, at=at)
    # As DuckDB itself calls them where a query stands in another's FROM.
    columns = relation.project("*").columns
    found = _rows(relation if json else relation.limit(rows + 1), columns)
    if json:
        print_json(found)
        return
    print_relation(columns, [list(row.values()) for row in found[:rows]])
    if len(found) > rows:
        note(f"only the first {rows} rows are shown; --rows or --json show more")


def _rows(relation: duckdb.DuckDBPyRelation, columns: list[str]) -> list[dict[str, Any]]:
    """The rows of `relation` as objects, whose keys are `columns`."""
    try:
        found: list[dict[str, Any]] = relation.to_arrow_table().rename_columns(columns).to_pylist()
    except duckdb.Error as error:
        raise QueryError(str(error)) from error
    except (OverflowError, ValueError) as error:
        raise QueryError(
            f"a value cannot be shown: {error}; dates go up to the year 9999, cast others with ::VARCHAR"
        ) from error
    return found
