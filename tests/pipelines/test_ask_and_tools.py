import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import toolkit
from pipelines.ask import find_task
from pipelines.export import export_selection
from pipelines.filter import filter_lake
from pipelines.recipe import parse_recipe
from toolkit.agent.budget import Budget
from toolkit.cli.main import run
from toolkit.dialects import load_dialect
from toolkit.errors import InputError

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


def test_of_rows_only_the_first_are_taken(files: dict[str, Path]) -> None:
    rows = (find_task(question, None) for question in ("Twice 21?", "Twice 22?", "Twice 23?"))
    teacher = f"scripted:{files['script.json']}"
    report = toolkit.generate(rows, lake=files["lake"], teacher=teacher, kind="cot", limit=1)
    assert report.finished == 1
    assert next(rows).question == "Twice 22?"


@pytest.mark.parametrize("option", ["limit", "samples", "max_steps", "in_flight"])
def test_counts_below_one_are_refused_in_python_as_on_the_command_line(files: dict[str, Path], option: str) -> None:
    with pytest.raises(InputError, match=f"--{option.replace('_', '-')} must be at least 1, got 0"):
        toolkit.generate(str(files["tasks.jsonl"]), lake=files["lake"], **{option: 0})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="--max-tokens must be at least 1, got 0"):
        toolkit.generate(str(files["tasks.jsonl"]), lake=files["lake"], budget=Budget(max_tokens=0))
    with pytest.raises(InputError, match="--max-steps must be at least 1, got 0"):
        toolkit.ask("Twice 21?", model="oracle", max_steps=0)
    assert not files["lake"].exists()


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


def test_a_mistake_in_tools_is_told_before_an_index_is_made(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("TRAJECTORY_TOOLKIT_CACHE", str(cache))
    files["my_tools.py"].write_text("def f(:")
    arguments = ["--teacher", f"scripted:{files['script.json']}", "--tools", str(files["my_tools.py"])]
    assert run(["generate", "--tasks", "minipedia:train?size=100", "--lake", str(files["lake"]), *arguments]) == 2
    assert "my_tools.py" in capsys.readouterr().err
    assert not cache.exists()
    assert not files["lake"].exists()


@pytest.mark.parametrize("question", ["", " \n"], ids=["empty", "blank"])
def test_ask_without_a_question_is_refused_in_one_line(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str], question: str
) -> None:
    assert run(asking(question, files)) == 2
    assert capsys.readouterr().err == f"error: expected a question, got {question!r}\n"


def test_the_oracle_that_has_no_plan_names_no_option_of_another_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ask", "Why?", "--model", "oracle", "--sandbox", "unsafe"]) == 2
    said = capsys.readouterr().err
    assert "'Why?' has none; name another model" in said
    assert "--teacher" not in said
