import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from episodes import Fill, episode

from pipelines.export import export_selection
from pipelines.filter import filter_lake
from pipelines.recipe import parse_recipe
from toolkit.api import Lake
from toolkit.errors import InputError, RecordError
from toolkit.formats.parsed import ParsedCall, ParsedStep, ParsedTrajectory

MASK = "mask_steps: \"error_kind <> 'none'\""


def select(lake: Lake, *steps: str) -> None:
    filter_lake(lake, parse_recipe("name: v1\nsteps:\n" + "\n".join(f"  - {step}" for step in steps), "r"))


def tool_episode() -> ParsedTrajectory:
    calls = [
        ParsedCall(name="add", arguments='{"a":1,"b":2}', result="3", call_id="c1"),
        ParsedCall(name="name", arguments="{}", result='"Bo"', call_id="c2"),
    ]
    acting = ParsedStep(completion="I add.", code="add(a=1, b=2)", observation="3\nBo", tool_calls=calls)
    ending = ParsedStep(completion="3 and Bo", is_final=True)
    return ParsedTrajectory(
        question="1 + 2?",
        steps=[acting, ending],
        dialect="tool-calls",
        system_prompt="Be brief.",
        tools='[{"type":"function","function":{"name":"add"}}]',
        final_answer="3 and Bo",
        stop_reason="final_answer",
    )


def test_trl_rows_carry_each_turn_and_its_weight(fill: Fill, tmp_path: Path) -> None:
    lake = fill([episode("who", failing=1), episode("dropped", answer="no")])
    select(lake, MASK, "where: \"question = 'who'\"")
    manifest = export_selection(lake, "v1", "trl", tmp_path / "out")
    rows = [json.loads(line) for line in (tmp_path / "out/train.jsonl").read_text().splitlines()]
    assert len(rows) == manifest["trajectories"] == 1
    assert [(turn["role"], turn.get("weight")) for turn in rows[0]["messages"]] == [
        ("user", None),
        ("assistant", 0.0),
        ("user", None),
        ("assistant", 1.0),
        ("user", None),
        ("assistant", 1.0),
    ]
    assert rows[0]["messages"][2]["content"] == "Observation: seen"
    assert rows[0]["messages"][3]["content"] == "Thought: about search[who 0]\nAction: search[who 0]"
    parquet = pq.read_table(tmp_path / "out/train.parquet").to_pylist()
    assert [turn["content"] for turn in parquet[0]["messages"]] == [turn["content"] for turn in rows[0]["messages"]]


def test_tool_calls_keep_their_arguments_as_json_text(fill: Fill, tmp_path: Path) -> None:
    lake = fill([tool_episode(), episode("plain")])
    select(lake, 'where: "true"')
    export_selection(lake, "v1", "trl", tmp_path / "out")
    rows = [json.loads(line) for line in (tmp_path / "out/train.jsonl").read_text().splitlines()]
    turns = next(row for row in rows if "tools" in row)["messages"]
    assert [turn["role"] for turn in turns] == ["system", "user", "assistant", "tool", "tool", "assistant"]
    assert turns[2]["tool_calls"][0] == {
        "id": "c1",
        "type": "function",
        "function": {"name": "add", "arguments": '{"a":1,"b":2}'},
    }
    assert [(turn["tool_call_id"], turn["content"]) for turn in turns[3:5]] == [("c1", "3"), ("c2", "Bo")]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_datasets_loads_what_was_exported(fill: Fill, tmp_path: Path, suffix: str) -> None:
    lake = fill([tool_episode(), episode("plain")])
    select(lake, 'where: "true"')
    export_selection(lake, "v1", "trl", tmp_path / "out")
    kind = "json" if suffix == "jsonl" else "parquet"
    cache = str(tmp_path / "cache")
    loaded = load_dataset(kind, data_files=str(tmp_path / f"out/train.{suffix}"), split="train", cache_dir=cache)
    assert loaded.num_rows == 2
    assert {turn["role"] for row in loaded for turn in row["messages"]} == {"system", "user", "assistant", "tool"}


def test_openai_rows_have_whole_weights_and_no_nulls(fill: Fill, tmp_path: Path) -> None:
    lake = fill([episode("who", failing=1)])
    select(lake, MASK)
    export_selection(lake, "v1", "openai", tmp_path / "out")
    text = (tmp_path / "out/train.jsonl").read_text()
    assert "null" not in text
    assert [turn["weight"] for turn in json.loads(text)["messages"] if turn["role"] == "assistant"] == [0, 1, 1]


def test_nested_rows_hold_steps_and_calls(fill: Fill, tmp_path: Path) -> None:
    lake = fill([episode("who", failing=1, searches=2)])
    select(lake, MASK)
    export_selection(lake, "v1", "nested", tmp_path / "out")
    (row,) = pq.read_table(tmp_path / "out/train.parquet").to_pylist()
    assert (row["question"], row["answers"], row["n_steps"]) == ("who", ["yes"], 4)
    assert [step["weight"] for step in row["steps"]] == [0.0, 1.0, 1.0, 1.0]
    assert [len(step["tool_calls"]) for step in row["steps"]] == [1, 1, 1, 0]


def test_equal_selections_give_equal_files(fill: Fill, tmp_path: Path) -> None:
    lake = fill([episode(f"q{index}") for index in range(20)])
    select(lake, "sample: {n: 10}")
    first = export_selection(lake, "v1", "trl", tmp_path / "one")
    select(lake, "sample: {n: 10}")
    second = export_selection(lake, "v1", "trl", tmp_path / "two")
    assert first["files"] == second["files"]


def test_nothing_is_overwritten_unless_asked(fill: Fill, tmp_path: Path) -> None:
    lake = fill([episode("q")])
    select(lake, 'where: "true"')
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        export_selection(lake, "v1", "trl", out)
    export_selection(lake, "v1", "trl", out, overwrite=True)
    assert sorted(path.name for path in out.iterdir()) == ["manifest.json", "mine.txt", "train.jsonl", "train.parquet"]


def test_a_file_is_no_place_to_export_to(fill: Fill, tmp_path: Path) -> None:
    lake, out = fill([episode("q")]), tmp_path / "out.jsonl"
    select(lake, 'where: "true"')
    out.write_text("mine")
    with pytest.raises(InputError, match=r"out\.jsonl is a file; name a directory"):
        export_selection(lake, "v1", "trl", out, overwrite=True)
    assert out.read_text() == "mine"


def test_a_selection_that_keeps_nothing_is_not_exported(fill: Fill, tmp_path: Path) -> None:
    lake = fill([episode("q")])
    select(lake, 'where: "false"')
    with pytest.raises(InputError, match="'v1' cannot be exported: it keeps nothing"):
        export_selection(lake, "v1", "trl", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_overwriting_leaves_nothing_of_the_former_export_and_all_else(fill: Fill, tmp_path: Path) -> None:
    lake, out = fill([episode("q"), episode("other")]), tmp_path / "out"
    select(lake, 'where: "true"')
    export_selection(lake, "v1", "trl", out)
    (out / "notes.parquet").write_text("mine")
    select(lake, "sample: {n: 1}")
    export_selection(lake, "v1", "openai", out, overwrite=True)
    assert sorted(path.name for path in out.iterdir()) == ["manifest.json", "notes.parquet", "train.jsonl"]
    assert len((out / "train.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize("manifest", ['{"files": {"mine.txt": {}, "../far.txt": {}}}', '{"files": []}', "[]", "{"])
def test_overwriting_removes_no_file_of_somebody_else(fill: Fill, tmp_path: Path, manifest: str) -> None:
    lake, out = fill([episode("q")]), tmp_path / "out"
    select(lake, 'where: "true"')
    out.mkdir()
    mine = [out / "mine.txt", out / "train.parquet", tmp_path / "far.txt"]
    for path in mine:
        path.write_text("mine")
    (out / "manifest.json").write_text(manifest)
    export_selection(lake, "v1", "openai", out, overwrite=True)
    assert [path.read_text() for path in mine] == ["mine"] * 3


def test_an_unknown_selection_is_answered_with_the_known_ones(fill: Fill, tmp_path: Path) -> None:
    lake = fill([episode("q")])
    with pytest.raises(InputError, match="the lake has none"):
        export_selection(lake, "v1", "trl", tmp_path / "out")
    select(lake, 'where: "true"')
    with pytest.raises(InputError, match="did you mean 'v1'"):
        export_selection(lake, "v", "trl", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_lake_selection_is_the_same_as_the_export(fill: Fill, tmp_path: Path) -> None:
    lake = fill([tool_episode(), episode("plain", failing=1)])
    select(lake, MASK)
    export_selection(lake, "v1", "trl", tmp_path / "out")
    loaded = lake.selection("v1")
    assert loaded.to_list() == pq.read_table(tmp_path / "out/train.parquet").to_pylist()


def test_openai_refuses_fractional_weights(fill: Fill) -> None:
    from toolkit.formats.shapes import SHAPES
    from toolkit.lake.records import read_records

    lake = fill([episode("q")])
    record = next(read_records(lake.snapshot().connect(), "SELECT trajectory_id FROM trajectories"))
    with pytest.raises(RecordError, match=r"0 and 1 only, got 0\.5"):
        SHAPES["openai"].row(record, {0: 0.5})
