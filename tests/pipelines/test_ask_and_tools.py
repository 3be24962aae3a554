import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import toolkit
from pipelines.export import export_selection
from pipelines.filter import filter_lake
from pipelines.recipe import parse_recipe
from toolkit.cli.main import run
from toolkit.dialects import load_dialect

TOOLS = '''
from toolkit.tools import tool

@tool(effect="pure")
def double(x: int) -> int:
    """Twice x."""
    return 2 * x

@tool
def motto(city: str) -> str:
    """The motto of a city."""
    return f"{city} forever"
'''


def asking(question: str, files: dict[str, Path], *more: str) -> list[str]:
    model = f"scripted:{files['script.json']}"
    return ["ask", question, "--model", model, "--tools", str(files["my_tools.py"]), *more]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    render = load_dialect("codeact").render
    turns = [render("I use both.", "print(double(21), motto('Ulm'))"), render("Done.", "final_answer(double(x=21))")]
    paths = {name: tmp_path / name for name in ("script.json", "my_tools.py", "tasks.jsonl", "lake", "out")}
    paths["script.json"].write_text(json.dumps(turns))
    paths["my_tools.py"].write_text(TOOLS)
    paths["tasks.jsonl"].write_text('{"question": "Twice 21?", "answer": 42}\n')
    return paths


def test_tools_of_the_users_own_are_used_recorded_and_exported(files: dict[str, Path]) -> None:
    report = toolkit.generate(
        str(files["tasks.jsonl"]),
        lake=files["lake"],
        teacher=f"scripted:{files['script.json']}",
        ftp=False,
        tools=[files["my_tools.py"]],
    )
    assert report.stop_reasons == {"final_answer": 1}
    lake = toolkit.open_lake(files["lake"])
    calls = lake.sql("SELECT name, arguments, result FROM tool_calls ORDER BY step_index, ordinal").fetchall()
    assert calls == [
        ("double", '{"x":21}', "42"),
        ("motto", '{"city":"Ulm"}', '"Ulm forever"'),
        ("double", '{"x":21}', "42"),
    ]
    assert run(["score", "--lake", str(files["lake"]), "--workers", "1"]) == 0
    filter_lake(lake, parse_recipe("name: v1\nsteps: [{where: correct}]\n", "r"))
    export_selection(lake, "v1", "nested", files["out"])
    (row,) = pq.read_table(files["out"] / "train.parquet").to_pylist()
    assert [call["name"] for step in row["steps"] for call in step["tool_calls"]] == ["double", "motto", "double"]
    assert "motto(city: str) -> str" in row["system_prompt"]


def test_ask_prints_the_trajectory_as_it_happens_and_stores_nothing(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert run(asking("Twice 21?", files)) == 0
    printed = capsys.readouterr().out
    assert "final_answer(double(x=21))" in printed
    assert printed.index("I use both.") < printed.index("42 Ulm forever") < printed.index("Done.")
    assert sorted(tmp_path.iterdir()) == before


def test_ask_gives_all_rows_to_machines(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(asking("Twice 21?", files, "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["trajectory"]["final_answer"], len(found["steps"]), len(found["tool_calls"])) == ("42", 2, 3)


def test_ask_without_an_answer_ends_with_1(files: dict[str, Path]) -> None:
    files["script.json"].write_text(json.dumps(["nothing useful"]))
    assert run(asking("Why?", files, "--max-steps", "1")) == 1


def test_ask_from_python_gives_the_finished_rollout(files: dict[str, Path]) -> None:
    done = toolkit.ask("Twice 21?", model=f"scripted:{files['script.json']}", tools=[files["my_tools.py"]])
    assert (done.trajectory.final_answer, [step.is_final for step in done.steps]) == ("42", [False, True])
