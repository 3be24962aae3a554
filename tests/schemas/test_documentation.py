"""Every column says what it means, and what null means where it may be null."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from schemas import TABLES
from schemas.arrow import arrow_schema
from schemas.dictionary import data_dictionary, meanings

DICTIONARY = Path(__file__).parents[2] / "docs" / "data-dictionary.md"
FIELDS = [pytest.param(name, field, id=f"{name}.{field}") for name, table in TABLES.items() for field in table.columns]


@pytest.mark.parametrize(("table", "field"), FIELDS)
def test_a_field_is_documented_and_says_what_null_means_only_where_null_may_be(table: str, field: str) -> None:
    text = meanings(TABLES[table].model).get(field, "")
    assert len(text) > 5, f"{table}.{field} has no docstring"
    assert text.rstrip().endswith("."), f"the docstring of {table}.{field} is no sentence: {text!r}"
    nullable = arrow_schema(table).field(field).nullable
    assert ("Null: " in text) == nullable, f"{table}.{field}: nullable is {nullable}, text {text!r}"


@pytest.mark.parametrize("table", TABLES)
def test_a_table_says_what_one_row_is(table: str) -> None:
    assert (TABLES[table].model.__doc__ or "").strip()


def test_the_data_dictionary_in_docs_is_that_of_the_models() -> None:
    renew = "run `python -m schemas.dictionary > docs/data-dictionary.md`"
    assert DICTIONARY.read_text(encoding="utf-8") == data_dictionary(), renew


def test_keys_and_versions_are_columns() -> None:
    for table in TABLES.values():
        assert {*table.key, *table.newest_by} <= set(table.columns)
        assert table.follows is None or table.follows in TABLES


def test_schemas_imports_nothing_but_the_standard_library_pydantic_and_pyarrow() -> None:
    """Whatever pydantic and pyarrow themselves pull in may come, too; nothing else may."""
    report = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    everything = "import schemas, schemas.arrow, schemas.dictionary, schemas.identity, schemas.rollups, pyarrow.parquet"
    with_schemas = _modules(f"{everything}; {report}")
    a_model = "import pydantic, pyarrow.parquet; pydantic.create_model('M', x=(int, pydantic.Field(ge=0)))(x=1)"
    without = _modules(f"{a_model}; import datetime, zoneinfo, sysconfig; {report}")
    assert with_schemas - without - set(sys.stdlib_module_names) == {"schemas"}


def _modules(code: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())
