"""Passages out of files of every form, and the places of those that cannot be read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.contracts import Passage
from toolkit.errors import RecordError
from toolkit.formats.records import iter_records
from toolkit.retrieval.passages import read_passages

TOWNS = {"Orla": ["Orla is a town.", " It lies on the Ven."], "Mira": ["Mira is a lake."]}
PASSAGES = [Passage("Orla", "Orla is a town. It lies on the Ven."), Passage("Mira", "Mira is a lake.")]
TEXTS = [{"title": passage.title, "text": passage.text} for passage in PASSAGES]


def lines(records: list[dict[str, object]]) -> str:
    return "\n".join(json.dumps(record) for record in records)


FORMS: dict[str, tuple[str, str]] = {
    "JSON lines": ("towns.jsonl", lines([dict(town) for town in TEXTS])),
    "a JSON array": ("towns.json", json.dumps(TEXTS, indent=2)),
    "titles to sentences on one line": ("towns.json", json.dumps(TOWNS)),
    "titles to sentences over many lines": ("towns.json", json.dumps(TOWNS, indent=4)),
    "sentences of each": ("towns.jsonl", lines([{"title": title, "text": text} for title, text in TOWNS.items()])),
    "wiki-18": (
        "towns.jsonl",
        lines([{"id": str(n), "contents": f'"{p.title}"\n{p.text}'} for n, p in enumerate(PASSAGES)]),
    ),
    "questions with paragraphs": (
        "questions.jsonl",
        lines(
            [
                {"question": "?", "paragraphs": [{"idx": 0, "title": p.title, "paragraph_text": p.text}]}
                for p in PASSAGES
            ]
        ),
    ),
}


def read(path: Path) -> list[Passage | RecordError]:
    return list(read_passages(iter_records(path), path.name))


Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(text: str, name: str = "towns.jsonl") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write_file


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
def test_every_form_gives_the_same_passages(tmp_path: Path, form: str, zipped: bool) -> None:
    name, text = FORMS[form]
    path = tmp_path / (f"{name}.gz" if zipped else name)
    path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    assert read(path) == PASSAGES


def test_parquet_gives_the_same_passages(tmp_path: Path) -> None:
    path = tmp_path / "towns.parquet"
    pq.write_table(pa.Table.from_pylist(TEXTS), path)
    assert read(path) == PASSAGES


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        ({"title": "Orla"}, '"text" is missing; every passage needs "text"'),
        ({"title": "Orla", "text": None}, '"text" is missing'),
        ({"title": "Orla", "text": "  \n"}, '"text" is empty'),
        ({"title": "Orla", "text": 7}, 'expected "text" to be text, came a number'),
        ({"title": "Orla", "text": ["a", 7]}, 'expected "text" to be text, came a list'),
        ({"title": ["Orla"], "text": "a town"}, 'expected "title" to be text, came a list'),
        ({"question": "Where?", "answer": "there"}, '"text" is missing'),
        ({"contents": '"Orla"\n'}, '"contents" is empty'),
        ({"paragraphs": [{"title": "Orla", "text": "a town"}, {"title": "Ven"}]}, 'paragraph 2: "text" is missing'),
        ({"paragraphs": [7]}, "paragraph 1: expected an object"),
        ({"Orla": ["a town"], "Ven": [3], "Mira": ["a lake"]}, '"Ven": expected a list of sentences'),
        ({"Orla": ["a town"], "Ven": [], "Mira": ["a lake"]}, '"Ven": expected a list of sentences'),
    ],
)
def test_a_bad_passage_is_an_error_with_its_line(write: Write, record: dict[str, object], complaint: str) -> None:
    found = read(write(lines([dict(TEXTS[0]), record, dict(TEXTS[1])])))
    faults = [entry for entry in found if isinstance(entry, RecordError)]
    assert [str(fault) for fault in faults] == [f"line 2 of towns.jsonl: {faults[0].reason}"]
    assert complaint in faults[0].reason
    assert found[0] == PASSAGES[0]
    assert found[-1] == PASSAGES[1]


def test_a_line_that_is_not_json_is_an_error_and_the_others_are_read(write: Write) -> None:
    first, second, third = read(write(lines([dict(TEXTS[0])]) + "\n{broken\n" + lines([dict(TEXTS[1])])))
    assert (first, third) == tuple(PASSAGES)
    assert isinstance(second, RecordError)
    assert str(second).startswith("line 2 of ")


def test_an_article_titled_text_does_not_hide_the_others(write: Write) -> None:
    titles = [f"Town {n}" for n in range(20)] + ["text"]
    found = read(write(json.dumps({title: ["A town."] for title in titles})))
    assert found == [Passage(title, "A town.") for title in titles]


def test_a_passage_needs_no_title(write: Write) -> None:
    assert read(write('{"text": "Orla is a town."}\n{"contents": "Mira is a lake."}')) == [
        Passage("", "Orla is a town."),
        Passage("", "Mira is a lake."),
    ]


PLAIN_TEXT = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1).filter(str.strip)


@given(title=PLAIN_TEXT, text=PLAIN_TEXT)
def test_any_title_survives_the_quotes_of_wiki_18(
    tmp_path_factory: pytest.TempPathFactory, title: str, text: str
) -> None:
    path = tmp_path_factory.mktemp("wiki") / "wiki.jsonl"
    quoted = title.replace('"', '""')
    path.write_text(json.dumps({"id": "0", "contents": f'"{quoted}"\n{text}'}))
    assert read(path) == [Passage(title, text)]
