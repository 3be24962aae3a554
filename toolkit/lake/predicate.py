"""SQL predicates of recipes: checked before anything runs, and taken apart for explanations.

A predicate is one boolean expression over the columns of one view. DuckDB's own parser
says what it consists of, so that a decision can name the part that failed and the values
it saw. Not covered: running it (`pipelines.rules`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import duckdb

from toolkit.errors import QueryError

_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")


@dataclass(frozen=True, slots=True)
class Predicate:
    """A checked predicate over `view`."""

    text: str
    view: str
    conjuncts: tuple[str, ...]
    """The parts joined by AND at the top, as SQL; one part if there is no AND."""
    columns: tuple[str, ...]
    """Columns of the view that the predicate mentions."""


def parse_predicate(connection: duckdb.DuckDBPyConnection, text: str, view: str) -> Predicate:
    """Check `text` against the columns of `view`.

    Raises:
        QueryError: not one expression, an unknown column, or not boolean; the message quotes it.
    """
    query = f"SELECT * FROM {view} WHERE (\n{text}\n)"
    try:
        tree = json.loads(connection.execute("SELECT json_serialize_sql(?)", [query]).fetchall()[0][0])
        if tree["error"]:
            raise QueryError(f"the predicate {text!r} does not parse: {tree['error_message']}")
        node = _single_where(tree, text, view)
        kind = str(connection.sql(f"SELECT (\n{text}\n) FROM {view} LIMIT 0").types[0])
        known = connection.sql(f"SELECT * FROM {view} LIMIT 0").columns
        parts = [_to_sql(connection, tree, part) for part in _conjuncts(node)]
    except duckdb.Error as error:
        raise QueryError(f"the predicate {text!r} does not fit the view {view}: {error}") from error
    if kind != "BOOLEAN":
        raise QueryError(f"the predicate {text!r} gives {kind}, expected BOOLEAN")
    mentioned = set(_column_names(node))
    columns = tuple(column for column in known if column in mentioned)
    return Predicate(text, view, tuple(parts), columns)


def _single_where(tree: dict[str, object], text: str, view: str) -> object:
    """The WHERE clause, if the query is still the one that was built around the predicate."""
    statements = tree["statements"]
    assert isinstance(statements, list)
    node = statements[0]["node"]
    plain = (
        len(statements) == 1
        and node["type"] == "SELECT_NODE"
        and not node["modifiers"]
        and not node["group_expressions"]
        and node["from_table"].get("table_name") == view
    )
    if not plain:
        raise QueryError(f"the predicate {text!r} must be one expression")
    return node["where_clause"]


def _conjuncts(node: object) -> list[object]:
    if isinstance(node, dict) and node.get("type") == "CONJUNCTION_AND":
        return [part for child in node["children"] for part in _conjuncts(child)]
    return [node]


def _to_sql(connection: duckdb.DuckDBPyConnection, tree: dict[str, object], part: object) -> str:
    alone = json.loads(json.dumps(tree))
    alone["statements"][0]["node"]["where_clause"] = part
    sql = str(connection.execute("SELECT json_deserialize_sql(?::JSON)", [json.dumps(alone)]).fetchall()[0][0])
    text = sql.split(" WHERE ", 1)[1]
    return text[1:-1] if _is_wrapped(text) else text


def _is_wrapped(text: str) -> bool:
    """Whether the first parenthesis closes at the very end; parentheses inside quotes do not count."""
    bare = _QUOTED.sub(lambda quoted: "_" * len(quoted[0]), text)
    depth = 0
    for index, character in enumerate(bare):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            return bare.startswith("(") and index == len(bare) - 1
    return False


def _column_names(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("class") == "COLUMN_REF":
            yield node["column_names"][-1]
        for value in node.values():
            yield from _column_names(value)
    elif isinstance(node, list):
        for value in node:
            yield from _column_names(value)
