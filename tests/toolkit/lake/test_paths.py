"""A lake works wherever it lies: characters that mean something to SQL, globs or partition schemes do not."""

from __future__ import annotations

from pathlib import Path

import pytest
from lake_rows import rollout

from schemas.arrow import arrow_schema
from toolkit.errors import InputError
from toolkit.lake.compaction import compact
from toolkit.lake.lake import open_lake


@pytest.mark.parametrize(
    "name", ["run=3", "a]b", "it's", 'say "x"', "ü 日本 🙂", "{x}", "100%41", "back\\slash", "--a;b"]
)
def test_a_lake_is_read_in_a_directory_of_any_name(tmp_path: Path, name: str) -> None:
    lake = open_lake(tmp_path / name / "lake", create=True)
    for part in ("x", "y"):
        with lake.write("rollouts") as batch:
            batch.add(rollout(part))
            batch.add(rollout(f"{part} again"))
    connection = lake.snapshot().connect()
    assert connection.sql("SELECT * FROM steps").columns == arrow_schema("steps").names
    assert connection.sql("SELECT count(*) FROM steps").fetchall() == [(8,)]
    assert lake.scan("steps").collect().shape == (8, len(arrow_schema("steps")))
    assert compact(lake).segments_after == 1


@pytest.mark.parametrize("name", ["a[1]", "a*b", "q?x"])
def test_a_path_that_duckdb_would_take_for_a_pattern_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="in a path as a pattern"):
        open_lake(tmp_path / name / "lake", create=True)
    assert list(tmp_path.iterdir()) == []


def test_a_lake_that_was_moved_or_copied_is_the_same_lake(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "old", create=True)
    with lake.write("rollout") as batch:
        batch.add(rollout("a"))
    (tmp_path / "old").rename(tmp_path / "new")
    moved = open_lake(tmp_path / "new")
    assert moved.identity == lake.identity
    assert moved.sql("SELECT count(*) FROM steps").fetchall() == [(2,)]


def test_a_relative_path_keeps_its_meaning_when_the_directory_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lake = open_lake("lake", create=True)
    with lake.write("rollout") as batch:
        batch.add(rollout("a"))
    monkeypatch.chdir("/")
    assert lake.sql("SELECT count(*) FROM steps").fetchall() == [(2,)]
