"""SQL of strangers: exactly one SELECT statement, on a connection that sees only the lake.

Two locks, because each alone has a hole: the connection allows no file but the snapshot's
own (`Snapshot.connect`), and the statement must be a SELECT by DuckDB's own parser, so
that nothing can be written onto those files.
"""

from __future__ import annotations

import duckdb

from toolkit.errors import QueryError


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
        return connection.sql(query)
    except duckdb.Error as error:
        raise QueryError(str(error)) from error
