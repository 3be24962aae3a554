"""The data dictionary as Markdown, made from the row models.

`python -m schemas.dictionary > docs/data-dictionary.md` renews it; a test keeps it true.
"""

from __future__ import annotations

import ast
import inspect
import sys
from itertools import pairwise
from typing import Literal, get_args, get_origin

import pyarrow as pa
from pydantic.fields import FieldInfo

from schemas.arrow import arrow_schema
from schemas.row import JsonText, Row
from schemas.tables import FORMAT_VERSION, TABLES, Table

_HEADER = f"""# Data dictionary

Made from the models in `schemas/` by `python -m schemas.dictionary`; do not edit. Format version {FORMAT_VERSION}.

A lake is a directory of Parquet files with these tables. In DuckDB and Polars every table shows its *current* rows:
of rows with the same key, the newest one; of the tables that follow `trajectories`, the rows of its newest attempt;
of those that follow `selections`, the rows of the newest selection of a name. `raw.<table>` shows every row written.
"""


def meanings(model: type[Row]) -> dict[str, str]:
    """The docstrings of the fields of `model`, by name; those without one are left out.

    Read from the source here, because pydantic's own way of keeping them would do so at every import.
    """
    (body,) = ast.parse(inspect.getsource(model)).body
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for field, text in pairwise(body.body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            if isinstance(text.value, ast.Constant) and isinstance(text.value.value, str):
                found[field.target.id] = inspect.cleandoc(text.value.value)
    return found


def _summary(docstring: str | None) -> str:
    return " ".join((docstring or "").split())


def _words(annotation: object) -> tuple[str, ...]:
    """The allowed words of a `Literal`, also inside Optional and Annotated."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return next((found for part in get_args(annotation) if (found := _words(part))), ())


def _type_name(arrow: pa.Field, info: FieldInfo) -> str:
    if any(isinstance(mark, JsonText) for mark in info.metadata) or "JsonText" in repr(info.annotation):
        return "JSON text"
    words = _words(info.annotation)
    return "one of " + ", ".join(f"`{word}`" for word in words) if words else str(arrow.type).replace("element: ", "")


def _section(table: Table) -> str:
    schema = arrow_schema(table.name)
    lines = [f"## {table.name}", "", f"One row: {_summary(table.model.__doc__)}", ""]
    lines.append(f"Key: {', '.join(f'`{column}`' for column in table.key)}." + _current(table))
    lines += ["", "| column | type | meaning |", "|---|---|---|"]
    texts = meanings(table.model)
    for name, info in table.model.model_fields.items():
        meaning = _summary(texts.get(name)).replace("|", "\\|")
        lines.append(f"| `{name}` | {_type_name(schema.field(name), info)} | {meaning} |")
    return "\n".join(lines)


def _current(table: Table) -> str:
    newest = f" Newest by {', '.join(f'`{column}`' for column in table.newest_by)}." if table.newest_by else ""
    return newest + (f" Follows `{table.follows}`." if table.follows else "")


def data_dictionary() -> str:
    """The whole document."""
    return "\n".join([_HEADER, *(_section(table) + "\n" for table in TABLES.values())])


if __name__ == "__main__":
    sys.stdout.write(data_dictionary())
