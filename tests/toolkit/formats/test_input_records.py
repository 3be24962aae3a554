"""`iter_records`: every record with its place, every bad one reported, no input that crashes."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.errors import InputError
from toolkit.formats.json_values import MAX_DEPTH
from toolkit.formats.records import Record, iter_records

BOM = b"\xef\xbb\xbf"


def read(folder: Path, name: str, content: bytes, **options: int) -> list[Record]:
    path = folder / name
    path.write_bytes(content)
    return list(iter_records(path, **options))


def values(records: list[Record]) -> list[object]:
    return [record.value if record.error is None else record.error.reason for record in records]


@pytest.mark.parametrize(
    ("name", "content", "unit", "positions"),
    [
        ("a.jsonl", b'{"a": 1}\n{"a": 2}\n', "line", [1, 2]),
        ("a.jsonl", b'\n{"a": 1}\r\n  \n{"a": 2}', "line", [2, 4]),
        ("a.jsonl", BOM + b'{"a": 1}\n{"a": 2}\n', "line", [1, 2]),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}\n{"a": 2}\n', mtime=0), "line", [1, 2]),
        ("no-name", gzip.compress(b'{"a": 1}\n{"a": 2}\n', mtime=0), "line", [1, 2]),
        ("lines.json", b'{"a": 1}\n{"a": 2}\n', "line", [1, 2]),
        ("a.json", b'[{"a": 1}, {"a": 2}]', "record", [1, 2]),
        ("a.json", BOM + b'\n [\n{"a": 1},\n{"a": 2}\n]\n', "record", [1, 2]),
        ("a.json.gz", gzip.compress(b'[{"a": 1}, {"a": 2}]', mtime=0), "record", [1, 2]),
    ],
)
def test_json_lines_and_arrays_are_told_apart_by_content(
    tmp_path: Path, name: str, content: bytes, unit: str, positions: list[int]
) -> None:
    records = read(tmp_path, name, content)
    assert values(records) == [{"a": 1}, {"a": 2}]
    assert [record.position for record in records] == positions
    assert {record.unit for record in records} == {unit}


@pytest.mark.parametrize("indent", [0, 2])
def test_one_object_over_several_lines_is_one_record(tmp_path: Path, indent: int) -> None:
    value = {"steps": [{"a": 1}, {"a": 2}]}
    records = read(tmp_path, "a.json", json.dumps(value, indent=indent).encode())
    assert [(record.position, record.unit, record.value) for record in records] == [(1, "record", value)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "expected JSON, column 2: unexpected end of data, near '{'"),
        (b'{"b": nul}', "expected JSON, column 7"),
        (b"{'b': 1}", "expected JSON, column 2"),
        (b'{"b": NaN}', "column 7: NaN is not JSON"),
        (b'{"b": -Infinity}', "-Infinity is not JSON"),
        (b'{"b": 1e999}', "number is infinity"),
        (b'{"b": "caf\xe9"}', "expected UTF-8, column 11 holds the byte 0xe9"),
        (b'{"b": "\\ud800"}', "column 8: no low surrogate"),
        (b"[1, 2]", "expected a JSON object, came a list of 2"),
        (b"null", "expected a JSON object, came null"),
        (b'"x"', 'expected a JSON object, came the string "x"'),
        (b"3.5", "expected a JSON object, came the number 3.5"),
        (b'{"b": ' + b"[" * 200 + b"]" * 200 + b"}", f"nested at most {MAX_DEPTH} deep, came 201"),
        (b"[" * 100_000, "column 1026: depth limit exceeded"),
        (b'{"b": ' + b"1" * 4301 + b"}", "number is infinity"),
    ],
)
@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_a_bad_line_is_reported_with_its_place_and_the_rest_is_read(
    tmp_path: Path, name: str, line: bytes, reason: str
) -> None:
    records = read(tmp_path, name, b'{"a": 1}\n' + line + b'\n{"a": 3}\n')
    assert [record.position for record in records] == [1, 2, 3]
    assert (records[0].value, records[2].value) == ({"a": 1}, {"a": 3})
    assert records[1].value is None
    assert records[1].error is not None
    assert reason in str(records[1].error)
    assert f"line 2 of {tmp_path / name}: " in str(records[1].error)


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a"])
@pytest.mark.parametrize("bad", [b'{"a": 1', b"{", b'{"a": 1}}', b"garbage", b'{"a": NaN}'])
def test_a_malformed_first_line_does_not_hide_the_others(tmp_path: Path, name: str, bad: bytes) -> None:
    records = read(tmp_path, name, bad + b"\n" + bad + b'\n{"a": 3}\n')
    assert [record.position for record in records] == [1, 2, 3]
    assert [record.error is None for record in records] == [False, False, True]
    assert records[2].value == {"a": 3}


def test_two_malformed_lines_of_any_name_do_not_hide_a_third(tmp_path: Path) -> None:
    records = read(tmp_path, "a.json", b'{"a": 1\ngarbage\n{"a": 3}\n')
    assert [record.error is None for record in records] == [False, False, True]


def test_a_jsonl_name_settles_that_a_line_is_a_record(tmp_path: Path) -> None:
    records = read(tmp_path, "a.jsonl", b'[{"a": 1}]\n{"a": 2}\n')
    assert values(records) == ["expected a JSON object, came a list of 1", {"a": 2}]


def test_a_broken_array_is_one_error_with_line_and_column(tmp_path: Path) -> None:
    (record,) = read(tmp_path, "a.json", b'\n[{"a": 1},\n {"a": nul}]')
    assert record.error is not None
    assert "expected JSON, line 3, column 8" in str(record.error)


def test_elements_of_an_array_that_are_no_objects_are_errors(tmp_path: Path) -> None:
    records = read(tmp_path, "a.json", b'[{"a": 1}, 5, {"a": 2}]')
    assert values(records) == [{"a": 1}, "expected a JSON object, came the number 5", {"a": 2}]


def test_a_line_over_the_limit_is_skipped_without_being_kept(tmp_path: Path) -> None:
    content = b'{"a": 1}\n{"a": "' + b"x" * 5000 + b'"}\n{"a": 3}\n'
    records = read(tmp_path, "a.jsonl", content, max_line_bytes=100)
    assert values(records) == [{"a": 1}, "expected a line of at most 100 bytes, this one is longer", {"a": 3}]
    assert records[-1].end_byte == len(content)


def test_integers_of_any_length_stay_exact(tmp_path: Path) -> None:
    number = 123456789012345678901234567890
    (record,) = read(tmp_path, "a.jsonl", b'{"a": %d, "b": 0.5}\n' % number)
    assert record.value == {"a": number, "b": 0.5}


def test_end_byte_counts_up_to_the_size_of_the_file(tmp_path: Path) -> None:
    lines = [b'{"a": %d}\n' % number for number in range(3)]
    records = read(tmp_path, "a.jsonl", b"".join(lines))
    assert [record.end_byte for record in records] == [9, 18, 27]
    zipped = gzip.compress(b"".join(lines))
    assert read(tmp_path, "a.jsonl.gz", zipped)[-1].end_byte == len(zipped)


def test_a_cut_off_gzip_stream_is_an_error_after_the_readable_lines(tmp_path: Path) -> None:
    lines = b"".join(b'{"a": "%d"}\n' % (number * 7919) for number in range(20_000))
    records = read(tmp_path, "a.jsonl.gz", gzip.compress(lines, mtime=0)[:-1000])
    assert [record.error is None for record in records] == [True] * (len(records) - 1) + [False]
    assert "expected a whole gzip stream" in str(records[-1].error)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no record"),
        (b" \n\n", "holds no record"),
        (b"[]", "holds no record"),
        ("{}".encode("utf-16"), "UTF-16"),
    ],
)
def test_a_file_without_any_record_is_refused_with_its_path(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, "a.json", content)
    assert str(tmp_path / "a.json") in str(caught.value)


def test_a_missing_file_and_a_directory_are_refused_with_their_path(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file") as missing:
        list(iter_records(tmp_path / "missing.jsonl"))
    with pytest.raises(InputError, match="this is a directory") as directory:
        list(iter_records(tmp_path))
    assert str(tmp_path / "missing.jsonl") in str(missing.value)
    assert str(tmp_path) in str(directory.value)


def test_parquet_rows_are_records(tmp_path: Path) -> None:
    rows = [
        {
            "id": "a",
            "messages": [{"role": "user", "content": "q"}],
            "score": 0.5,
            "when": datetime(2025, 1, 2, tzinfo=UTC),
        },
        {"id": "b", "messages": [{"role": "user", "content": None}], "score": None, "when": None},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows")
    records = list(iter_records(tmp_path / "rows"))
    assert [(record.position, record.unit) for record in records] == [(1, "record"), (2, "record")]
    assert records[0].value == {**rows[0], "when": "2025-01-02T00:00:00+00:00"}
    assert records[1].value == rows[1]
    size = (tmp_path / "rows").stat().st_size
    assert [record.end_byte for record in records] == [size // 2, size]


def test_parquet_values_beyond_json_are_written_as_text_or_reported(tmp_path: Path) -> None:
    pq.write_table(pa.table({"price": [Decimal("1.50"), None], "image": [None, b"\x89PNG"]}), tmp_path / "a.parquet")
    first, second = iter_records(tmp_path / "a.parquet")
    assert first.value == {"price": "1.50", "image": None}
    assert second.error is not None
    assert "record 2 of" in str(second.error)
    assert "expected values that JSON can express" in str(second.error)


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="damaged Parquet file"):
        read(tmp_path, "a.parquet", b"PAR1 and nothing else PAR1")


BYTES = st.one_of(
    st.binary(max_size=200),
    st.lists(st.sampled_from([b"{", b"}", b"[", b"]", b'"a"', b":", b",", b"\n", b" ", b"1", BOM, b"\xff"])).map(
        b"".join
    ),
    st.binary(max_size=50).map(lambda data: b"PAR1" + data),
    st.binary(max_size=50).map(lambda data: b"\x1f\x8b" + data),
)


@settings(max_examples=300, deadline=None)
@given(content=BYTES, name=st.sampled_from(["a.jsonl", "a.json", "a.parquet", "a.jsonl.gz"]))
def test_no_bytes_crash_the_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str) -> None:
    try:
        records = read(tmp_path_factory.getbasetemp(), name, content)
    except InputError:
        return  # the file as a whole: empty, UTF-16, damaged Parquet
    assert all((record.value is None) != (record.error is None) for record in records)
    positions = [record.position for record in records]
    assert positions == sorted(set(positions))
