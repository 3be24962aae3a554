"""The stored form of every table is pinned: it changes on purpose, with a new format version, or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from schemas import FORMAT_VERSION, TABLES
from schemas.arrow import arrow_schema

GOLDEN = Path(__file__).with_name("golden") / f"format-{FORMAT_VERSION}.json"
ADVICE = (
    f"the stored form of {{table}} is not that of format {FORMAT_VERSION} any more, and lakes of that format exist: "
    "raise FORMAT_VERSION in schemas/tables.py, write a migration, and add the new golden file beside the old one "
    "with `python tests/schemas/test_golden.py`"
)


def stored_form(table: str) -> dict[str, object]:
    """Everything about a table that files and queries rest on."""
    entry = TABLES[table]
    columns = [[field.name, str(field.type), "null" if field.nullable else "not null"] for field in arrow_schema(table)]
    return {"key": entry.key, "newest_by": entry.newest_by, "follows": entry.follows, "columns": columns}


def test_there_is_a_golden_file_for_this_format() -> None:
    assert GOLDEN.exists(), ADVICE.format(table="the tables")


@pytest.mark.parametrize("table", TABLES)
def test_the_stored_form_is_that_of_the_golden_file(table: str) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    found = json.loads(json.dumps(stored_form(table)))
    assert found == golden.get(table), ADVICE.format(table=table)


def test_no_table_of_the_golden_file_is_gone() -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert list(golden) == list(TABLES), ADVICE.format(table="the set of tables")


@pytest.mark.parametrize("table", TABLES)
def test_files_carry_table_and_format_in_their_schema(table: str) -> None:
    metadata = arrow_schema(table).metadata
    assert metadata == {b"toolkit.table": table.encode(), b"toolkit.format": str(FORMAT_VERSION).encode()}


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    forms = {table: stored_form(table) for table in TABLES}
    lines = [f"  {json.dumps(table)}: {json.dumps(form)}" for table, form in forms.items()]
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
