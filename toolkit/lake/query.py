"""SQL of strangers: exactly one SELECT statement, on a connection that sees only the lake.

Three locks, because each alone has a hole. The connection allows no file but the snapshot's
own (`Snapshot.connect`); that does not stop writing onto one of these. The statement must be
a SELECT by DuckDB's own parser; but `WITH x AS (COPY … TO …) SELECT …` is one. So every node
of the parsed tree must be a query, and every table function one that reads no file and runs
no SQL from a string. Not covered: queries that take long or need much memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import duckdb

from toolkit.errors import QueryError

_QUERY_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
TABLE_FUNCTIONS = frozenset(
    {
        "unnest",
        "range",
        "generate_series",
        "repeat",
        "json_each",
        "json_tree",
        "duckdb_columns",
        "duckdb_functions",
        "duckdb_views",
        "pragma_table_info",
        "icu_calendar_names",
        "pg_timezone_names",
    }
)
"""Functions that may stand in FROM: an allow-list, because new versions of DuckDB bring new ones."""


def select(connection: duckdb.DuckDBPyConnection, query: str) -> duckdb.DuckDBPyRelation:
    """The relation of one SELECT statement.

    Raises:
        QueryError: several statements, none, another kind of statement, or SQL that does not bind.
    """
    try:
        statements = connection.extract_statements(query)
    except duckdb.Error as error:
        raise QueryError(f"the SQL does not parse: {error}") from error
    kinds = [statement.type.name for statement in statements]
    if kinds != ["SELECT"]:
        raise QueryError(f"expected one SELECT statement, got {', '.join(kinds) or 'none'}")
    try:
        refuse_side_effects(parse_tree(connection, query))
        return connection.sql(query)
    except duckdb.Error as error:
        raise QueryError(str(error)) from error


def parse_tree(connection: duckdb.DuckDBPyConnection, query: str) -> dict[str, Any]:
    """DuckDB's parse of the SELECT statements in `query`.

    Raises:
        QueryError: `query` holds something else, or does not parse.
    """
    text = connection.execute("SELECT json_serialize_sql(?)", [query]).fetchall()[0][0]
    try:
        tree = json.loads(text)
    except RecursionError as error:
        raise QueryError("the SQL is nested too deeply") from error
    if tree["error"]:
        raise QueryError(f"the SQL does not parse: {tree['error_message']}")
    assert isinstance(tree, dict)
    return tree


def refuse_side_effects(tree: object) -> None:
    """See that a parsed query only reads tables.

    Raises:
        QueryError: it writes somewhere inside, or uses a table function that is not in `TABLE_FUNCTIONS`.
    """
    for node in _objects(tree):
        kind = node.get("type")
        if isinstance(kind, str) and kind.endswith("_NODE") and kind not in _QUERY_NODES:
            word = kind.removesuffix("_NODE").removesuffix("_QUERY")
            raise QueryError(f"a query may only read, but this one holds {word}")
        if kind == "TABLE_FUNCTION":
            call = node["function"]
            name = str(call.get("function_name")).lower() if isinstance(call, dict) else "an unknown function"
            if name not in TABLE_FUNCTIONS:
                raise QueryError(f"{name}(…) may not stand in FROM: a query reads the tables and views of the lake")


def _objects(tree: object) -> Iterator[dict[str, object]]:
    """Every JSON object of `tree`, without recursion: the depth is the stranger's choice."""
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            yield node
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)
