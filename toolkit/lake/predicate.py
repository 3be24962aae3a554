"""SQL predicates of recipes: checked before anything runs, and taken apart for explanations.

A predicate is one boolean expression over the columns of one view. DuckDB's own parser
says what it consists of, so that a decision can name the part that failed and the values
it saw. Not covered: running it (`pipelines.rules`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb

from toolkit.errors import QueryError
from toolkit.lake.query import parse_tree, refuse_side_effects

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
        tree = parse_tree(connection, query)
        refuse_side_effects(tree)
        node = _single_where(tree, view)
        # As WHERE, too: aggregates and windows would bind in the select list alone.
        kind = str(connection.sql(f"SELECT (\n{text}\n) FROM {view} WHERE (\n{text}\n) LIMIT 0").types[0])
        known = connection.sql(f"SELECT * FROM {view} LIMIT 0").columns
        parts = [_to_sql(connection, tree, part) for part in _conjuncts(node)]
        mentioned = set(_column_names(node))
    except duckdb.Error as error:
        raise QueryError(f"the predicate {text!r} does not fit the view {view}: {error}") from error
    except RecursionError as error:
        raise QueryError("the predicate is nested too deeply") from error
    except QueryError as error:
        raise QueryError(f"the predicate {text!r}: {error}") from error
    if kind != "BOOLEAN":
        raise QueryError(f"the predicate {text!r} gives {kind}, expected BOOLEAN")
    columns = tuple(column for column in known if column in mentioned)
    return Predicate(text, view, tuple(parts), columns)


@contextmanager
def evaluating(text: str | None) -> Iterator[None]:
    """A block in which a query with the predicate `text` runs; None: with none.

    What fits the columns may still meet a value that it cannot take, such as a word that is to be a number.

    Raises:
        QueryError: the query failed; the message quotes the predicate.
    """
    try:
        yield
    except duckdb.Error as error:
        if text is None:
            raise
        raise QueryError(f"the predicate {text!r} does not run: {error}") from error


def _single_where(tree: dict[str, Any], view: str) -> object:
    """The WHERE clause, if the query is still the one that was built around the predicate."""
    statements = tree["statements"]
    node = statements[0]["node"]
    plain = (
        len(statements) == 1
        and node["type"] == "SELECT_NODE"
        and not node["modifiers"]
        and not any(node[clause] for clause in ("group_expressions", "having", "qualify", "sample"))
        and node["from_table"].get("table_name") == view
    )
    if not plain:
        raise QueryError("it must be one expression")
    return node["where_clause"]


def _conjuncts(node: object) -> list[object]:
    if isinstance(node, dict) and node.get("type") == "CONJUNCTION_AND":
        return [part for child in node["children"] for part in _conjuncts(child)]
    return [node]


def _to_sql(connection: duckdb.DuckDBPyConnection, tree: dict[str, Any], part: object) -> str:
    [statement] = tree["statements"]
    alone = {**tree, "statements": [{**statement, "node": {**statement["node"], "where_clause": part}}]}
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
