import json
import os
from pathlib import Path

import pytest

from toolkit.api import open_lake
from toolkit.cli.main import run


def react(question: str, *answers: str) -> dict[str, object]:
    turns = [("user", question)]
    for query in answers[:-1]:
        turns += [("assistant", f"Thought: look\nAction: search[{query}]"), ("user", f"Observation: about {query}")]
    turns += [("assistant", f"Thought: done\nAction: finish[{answers[-1]}]")]
    turns += [("user", "Observation: Episode finished, reward = True")]
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


def write(path: Path, records: list[dict[str, object] | str]) -> Path:
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


def test_every_part_of_an_episode_lands_in_its_column(tmp_path: Path, lake: Path) -> None:
    file = write(tmp_path / "e.jsonl", [react("Who?", "a", "b", "Bo")])
    assert (
        run(["import", str(file), "--dataset", "d", "--license", "MIT", "--model", "gpt-4", "--lake", str(lake)]) == 0
    )
    opened = open_lake(lake)
    trajectory = opened.sql("""
        SELECT question, dataset, final_answer, stop_reason, n_steps, n_tool_calls, source_position, reward, correct
        FROM trajectories_scored""").fetchall()
    assert trajectory == [("Who?", "d", "Bo", "final_answer", 3, 2, 1, 1.0, True)]
    steps = opened.sql("SELECT step_index, thought, code, observation, is_final FROM steps ORDER BY 1").fetchall()
    assert steps == [
        (0, "look", "search[a]", "about a", False),
        (1, "look", "search[b]", "about b", False),
        (2, "done", "finish[Bo]", "Episode finished, reward = True", True),
    ]
    calls = opened.sql("SELECT name, arguments, result FROM tool_calls ORDER BY step_index").fetchall()
    assert calls[0] == ("search", '{"query":"a"}', '"about a"') or json.loads(calls[0][1]) == {"query": "a"}
    assert opened.sql("SELECT license, source FROM runs WHERE finished_at IS NOT NULL").fetchall() == [
        ("MIT", "e.jsonl")
    ]
    assert opened.sql("SELECT m.name FROM trajectories JOIN models m USING (model_id)").fetchall() == [("gpt-4",)]


def test_an_unreadable_line_is_reported_and_the_rest_is_imported(
    tmp_path: Path, lake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records: list[dict[str, object] | str] = [react(f"q{index}", "a") for index in range(60)]
    records[40] = '{"messages": [{"role"'
    file = write(tmp_path / "e.jsonl", records)
    assert run(["import", str(file), "--lake", str(lake), "--json"]) == 1
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert (report["trajectories"], [error["position"] for error in report["unreadable"]]) == (59, [41])
    assert f"line 41 of {file}" in printed.err


def test_a_file_without_any_readable_record_is_wrong_input(tmp_path: Path, lake: Path) -> None:
    file = write(tmp_path / "e.jsonl", ["{", "["])
    assert run(["import", str(file), "--format", "react-text", "--lake", str(lake)]) == 2


def test_importing_again_adds_nothing(tmp_path: Path, lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "e.jsonl", [react("q", "a"), react("q", "a")])
    arguments = ["import", str(file), "--lake", str(lake), "--json"]
    assert [run(arguments), run(arguments)] == [0, 0]
    assert open_lake(lake).sql("SELECT count(*), count(DISTINCT content_hash) FROM trajectories").fetchall() == [(2, 1)]
    assert open_lake(lake).sql("SELECT count(*) FROM tasks").fetchall() == [(1,)]
    assert '"already_there": 2' in capsys.readouterr().out


def test_detection_says_why(tmp_path: Path, lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "e.jsonl", [react("q", "a")])
    run(["import", str(file), "--lake", str(lake), "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["format"] == "react-text"
    assert "Action: name[…]" in report["because"]


def test_a_dry_run_reads_everything_and_writes_nothing(tmp_path: Path, lake: Path) -> None:
    file = write(tmp_path / "e.jsonl", [react("q", "a")])
    assert run(["import", str(file), "--lake", str(lake), "--dry-run"]) == 0
    assert not lake.exists()


def test_what_a_format_cannot_express_is_listed(tmp_path: Path, lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "What is on it?"}, image]},
        {"role": "assistant", "content": "A boat."},
    ]
    file = write(tmp_path / "chat.jsonl", [{"messages": messages, "answer": "a boat"}])
    assert run(["import", str(file), "--format", "openai-chat", "--lake", str(lake), "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["losses"]
    assert "image" in printed.err


@pytest.mark.parametrize(
    ("arguments", "finding"),
    [
        (["nowhere.jsonl"], "nowhere.jsonl"),
        (["nowhere.jsonl", "--format", "react-text"], "nowhere.jsonl: no such file"),
        (["{file}", "--format", "xml"], "xml"),
        (["{file}", "--domain", "art"], "art"),
        (["{odd}"], "odd.jsonl"),
    ],
)
def test_wrong_input_is_named_and_makes_no_lake(
    tmp_path: Path, lake: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], finding: str
) -> None:
    file = write(tmp_path / "e.jsonl", [react("q", "a")])
    odd = write(tmp_path / "odd.jsonl", [{"some": "thing"}])
    resolved = [text.format(file=file, odd=odd) for text in arguments]
    assert run(["import", *resolved, "--lake", str(lake)]) == 2
    assert finding in capsys.readouterr().err
    assert not lake.exists()


@pytest.mark.parametrize(
    ("name", "dataset"),
    [(b".hid.jsonl", ".hid.jsonl"), (b"caf\xe9.part.jsonl", "caf\N{REPLACEMENT CHARACTER}")],
    ids=["hidden", "latin-1"],
)
def test_a_file_of_any_name_is_imported_and_gives_its_name(
    tmp_path: Path, lake: Path, name: bytes, dataset: str
) -> None:
    file = write(tmp_path / os.fsdecode(name), [react("q", "a")])
    assert run(["import", str(file), "--lake", str(lake)]) == 0
    assert open_lake(lake).sql("SELECT dataset FROM trajectories").fetchall() == [(dataset,)]
    assert open_lake(lake).sql("SELECT source FROM runs").fetchall() == [(name.decode(errors="replace"),)]


def test_a_pipe_is_read_once_and_whole(tmp_path: Path, lake: Path) -> None:
    file = write(tmp_path / "e.jsonl", [react(f"q{index}", "a") for index in range(3)])
    reading, writing = os.pipe()
    os.write(writing, file.read_bytes())
    os.close(writing)
    options = ["--format", "react-text", "--dataset", "d", "--lake", str(lake)]
    assert run(["import", f"/dev/fd/{reading}", *options]) == 0
    os.close(reading)
    assert open_lake(lake).sql("SELECT count(*) FROM trajectories").fetchall() == [(3,)]
