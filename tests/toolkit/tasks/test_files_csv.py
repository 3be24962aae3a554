"""Questions from CSV and TSV files."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.errors import InputError, RecordError
from toolkit.tasks.files import load_tasks


def write(folder: Path, text: str, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def test_cells_may_hold_commas_quotes_and_line_ends(tmp_path: Path) -> None:
    path = write(tmp_path, 'question,answer\n"Which, of\n""A"" and B?",A\n')
    (task,) = load_tasks(path)
    assert (task.question, task.answers) == ('Which, of\n"A" and B?', ["A"])


def test_an_empty_cell_is_no_value(tmp_path: Path) -> None:
    path = write(tmp_path, "id,question,answer,domain,topic\n,q,3.5,,\n\n,r,a,other,rivers\n")
    first, second = load_tasks(path)
    assert (first.source_id, first.domain, first.metadata) == (None, "math", None)
    assert (second.domain, second.metadata) == ("other", '{"topic":"rivers"}')


def test_a_cell_may_hold_several_answers_as_a_json_list(tmp_path: Path) -> None:
    (task,) = load_tasks(write(tmp_path, 'question\tanswers\nq\t["a", "b"]\n', "t.TSV"))
    assert task.answers == ["a", "b"]


def test_a_row_is_named_by_its_first_line(tmp_path: Path) -> None:
    path = write(tmp_path, 'question,answer\n"two\nlines",a\nq,a,b\n"three\n\nlines",\n')
    with pytest.raises(InputError) as caught:
        load_tasks(path)
    lines = str(caught.value).split("\n")[1:]
    assert (
        lines[0] == "  line 4: expected 2 cells as in the header, came 3; put a cell that holds a separator in quotes"
    )
    assert lines[1].startswith('  line 5: "answer" is missing')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a header with the column question and a comma between columns, came ''"),
        ("question;answer\nq;a\n", "a comma between columns, came 'question;answer'"),
        ("question,answer,answer\nq,a,b\n", "names the column 'answer' twice"),
        ('question,answer\n"q,a\n', "expected CSV, near line 2"),
        ("question,answer\n", "holds no question"),
    ],
)
def test_a_file_that_is_not_such_a_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_tasks(write(tmp_path, text))


def test_other_encodings_and_missing_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("question,answer\nq,é\n".encode("latin-1"))
    with pytest.raises(InputError, match="expected UTF-8, came the byte 0xe9"):
        load_tasks(tmp_path / "t.csv")
    with pytest.raises(InputError, match="cannot be read: No such file"):
        load_tasks(tmp_path / "missing.csv")


def test_a_single_problem_is_a_record_error_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"^line 3 of .*t\.csv: "):
        load_tasks(write(tmp_path, "question,answer\nq,a\nr,\n"))
