"""Whatever happened to a file, it is named; nothing is silently skipped, read or deleted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from lake_rows import rollout, score

from toolkit.errors import InputError, LakeDamagedError, LakeFormatError
from toolkit.lake.check import Finding, check
from toolkit.lake.compaction import compact
from toolkit.lake.lake import Lake, open_lake
from toolkit.lake.vacuum import vacuum


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = open_lake(tmp_path / "lake", create=True)
    for name in ("a", "b"):
        with lake.write("rollout") as batch:
            batch.add(rollout(name))
    return lake


def a_file(lake: Lake) -> Path:
    return lake.snapshot().files("steps")[0]


def found(lake: Lake) -> list[tuple[str, Path]]:
    return [(finding.severity, finding.path) for finding in check(lake)]


def cut(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-7])


def empty(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("harm", "words"), [(cut, "is torn"), (empty, "is torn"), (Path.unlink, "is missing; commit 2 needs it")]
)
def test_a_torn_or_missing_file_is_named_before_anything_is_read(
    lake: Lake, harm: Callable[[Path], None], words: str
) -> None:
    path = a_file(lake)
    harm(path)
    for read in (lambda: lake.sql("SELECT 1"), lambda: lake.scan("trajectories"), lambda: compact(lake)):
        with pytest.raises(LakeDamagedError) as caught:
            read()
        assert str(path) in str(caught.value)
        assert words in str(caught.value)
    assert found(lake) == [("damage", path)]


def test_content_edited_without_changing_its_size_is_found_by_check(lake: Lake) -> None:
    path = a_file(lake)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    [finding] = check(lake)
    assert finding == Finding("damage", path, "was changed after it was committed: its SHA-256 differs")


def test_a_missing_segment_is_named(lake: Lake) -> None:
    segment = a_file(lake).parent
    shutil.rmtree(segment)
    with pytest.raises(LakeDamagedError, match=f"{segment}.* is missing"):
        lake.sql("SELECT 1")
    assert {severity for severity, path in found(lake) if path.parent == segment} == {"damage"}


def test_foreign_files_are_reported_and_survive_everything(lake: Lake) -> None:
    strangers = [
        lake.path / "notes.txt",
        lake.layout.commits / "notes.txt",
        lake.layout.segments / "notes.txt",
        a_file(lake).parent / "notes.txt",
        a_file(lake).parent / "extra.parquet",
    ]
    for path in strangers:
        path.write_text("mine")
    assert lake.sql("SELECT count(*) FROM trajectories").fetchall() == [(2,)]
    assert sorted(found(lake)) == sorted(("foreign", path) for path in strangers)
    compact(lake)
    vacuum(lake, older_than_s=0, history=True)
    assert all(path.read_text() == "mine" for path in strangers)


def test_a_stranger_in_an_abandoned_segment_survives_vacuum(lake: Lake) -> None:
    abandoned = lake.layout.segment("20200101T000000000000-0123456789ab")
    abandoned.mkdir()
    (abandoned / "steps.parquet").write_bytes(b"half")
    (abandoned / "notes.txt").write_text("mine")
    assert found(lake) == [("leftover", abandoned)]
    vacuum(lake, older_than_s=0)
    assert [path.name for path in abandoned.iterdir()] == ["notes.txt"]


def test_a_torn_old_commit_is_found_although_newer_ones_hide_it(lake: Lake) -> None:
    for index in range(70):
        with lake.write("score") as batch:
            batch.add([score(index, True)])
    lake.layout.commit(1).write_bytes(b"{")
    assert open_lake(lake.path).snapshot().number == 72
    assert found(lake) == [("damage", lake.layout.commit(1))]
    with pytest.raises(LakeDamagedError, match=r"00000001\.json"):
        lake.snapshot(5)


def test_a_torn_newest_commit_and_a_gap_are_findings_not_crashes(lake: Lake) -> None:
    whole = lake.layout.commit(2).read_bytes()
    lake.layout.commit(2).write_bytes(whole[:100])
    assert found(open_lake(lake.path)) == [("damage", lake.layout.commit(2))]
    lake.layout.commit(2).write_bytes(whole)
    lake.layout.commit(1).unlink()
    [finding] = check(open_lake(lake.path))
    assert (finding.severity, "00000001.json is missing" in finding.message) == ("damage", True)


def test_a_file_that_only_the_past_needs_is_missed_when_it_is_gone(lake: Lake) -> None:
    path = a_file(lake)
    compact(lake)
    path.unlink()
    assert lake.sql("SELECT count(*) FROM steps").fetchall() == [(4,)]
    assert found(lake) == [("damage", path)]
    with pytest.raises(LakeDamagedError, match=f"{path} is missing; commit 2 needs it"):
        lake.sql("SELECT 1", at=2)


@pytest.mark.parametrize("content", [b"", b"{", b'{"format": 1}', b'{"format": "new", "id": "x"}', b"\xff\xfe"])
def test_a_torn_lake_json_is_named(lake: Lake, content: bytes) -> None:
    lake.layout.identity.write_bytes(content)
    with pytest.raises(LakeDamagedError, match=r"lake\.json is torn or foreign"):
        open_lake(lake.path)


def test_a_lake_without_lake_json_is_called_damaged_and_never_made_anew(lake: Lake) -> None:
    lake.layout.identity.unlink()
    for create in (False, True):
        with pytest.raises(LakeDamagedError, match=r"lake\.json is missing, but .*commits holds commits"):
            open_lake(lake.path, create=create)
    assert not lake.layout.identity.exists()


def test_a_newer_format_says_which_and_what_to_do(lake: Lake) -> None:
    text = lake.layout.identity.read_text().replace('"format": 1', '"format": 7')
    lake.layout.identity.write_text(text)
    with pytest.raises(
        LakeFormatError, match=r"lake\.json says format 7; this toolkit reads format 1: install a newer"
    ):
        open_lake(lake.path)


@pytest.mark.parametrize("create", [False, True])
def test_a_directory_of_other_things_is_no_lake_and_stays_as_it_is(tmp_path: Path, create: bool) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="is not a lake: it holds files, but no lake.json"):
        open_lake(tmp_path, create=create)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(InputError, match="is not a lake: it is a file"):
        open_lake(tmp_path / "thesis.tex", create=create)


def test_a_missing_lake_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no lake at .*; `toolkit import FILE --lake"):
        open_lake(tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("name", ["segments", "commits"])
def test_a_lost_directory_is_a_finding_and_vacuum_removes_nothing(lake: Lake, name: str) -> None:
    shutil.rmtree(lake.path / name)
    rest = sorted(lake.path.rglob("*"))
    assert found(lake) == [("damage", lake.path / name)]
    with pytest.raises(LakeDamagedError, match=f"{lake.path / name} is no directory any more"):
        vacuum(lake, older_than_s=0, history=True)
    assert sorted(lake.path.rglob("*")) == rest
