import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cyclopts import App
from episodes import Fill, episode

from toolkit.cli.main import COMMANDS, overview, run

HEAVY = ("torch", "duckdb", "polars", "pyarrow", "cyclopts", "rich", "pydantic")


@pytest.mark.parametrize("arguments", [["--help"], []], ids=["--help", "nothing"])
def test_the_overview_imports_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys; from toolkit.cli.main import run; code = run(sys.argv[1:]); "
        f"print([name for name in {HEAVY} if name in sys.modules], code)"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[] 0"


def test_the_overview_names_every_command() -> None:
    lines = overview().splitlines()
    assert all(any(line.startswith(f"  {name} ") for line in lines) for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_exists_and_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module, _, function = COMMANDS[name].target.partition(":")
    found = getattr(importlib.import_module(module), function)
    assert found.help if isinstance(found, App) else found.__doc__
    assert run([name, "--help"]) == 0
    assert "Usage: toolkit " + name in capsys.readouterr().out


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("trajectory-toolkit ")


@pytest.mark.parametrize(
    ("arguments", "finding"),
    [
        (["quary"], "did you mean 'query'"),
        (["query"], "SQL"),
        (["query", "SELECT 1", "--lak", "x"], "--lak"),
        (["query", "SELECT 1", "--at", "soon"], "soon"),
        (["query", "SELECT 1", "--lake", "nowhere"], "there is no lake at nowhere"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(
    arguments: list[str],
    finding: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    printed = capsys.readouterr()
    assert finding in printed.err
    assert not printed.out
    assert not list(tmp_path.iterdir())


def test_a_reader_that_has_seen_enough_is_no_error(fill: Fill, tmp_path: Path) -> None:
    fill(episode(f"question {index}") for index in range(2_000))
    query = f"{sys.executable} -m toolkit.cli query 'SELECT * FROM steps' --json --lake {tmp_path / 'lake'}"
    done = subprocess.run(f"{query} | head -c 1", shell=True, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[", "")


@pytest.mark.parametrize("arguments", [["stats"], ["query", "SELECT 1"], ["stats", "--help"]], ids=" ".join)
def test_a_command_whose_reader_is_gone_ends_with_0_and_quietly(
    fill: Fill, tmp_path: Path, arguments: list[str]
) -> None:
    lake = fill([episode("q")])
    read, written = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "toolkit.cli", *arguments, "--lake", str(lake.path)]
    try:
        done = subprocess.run(command, stdout=written, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(written)
    assert (done.returncode, done.stderr) == (0, "")


def test_json_output_is_one_document_with_exact_numbers(
    fill: Fill, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill([episode("q")])
    sql = "SELECT sum(n_steps) AS n, 0.5 AS half, NULL AS nothing, 'nan'::DOUBLE AS odd, now() AS t FROM trajectories"
    assert run(["query", sql, "--lake", str(tmp_path / "lake"), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row | {"t": ""} == {"n": 2, "half": 0.5, "nothing": None, "odd": None, "t": ""}
    assert isinstance(row["n"], int)


def test_columns_with_one_name_are_all_printed_and_told_apart(
    fill: Fill, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill([episode("q")])
    query = ["query", "SELECT 1 AS a, 2 AS a, 3 AS b", "--lake", str(tmp_path / "lake")]
    assert run([*query, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"a": 1, "a_1": 2, "b": 3}]
    assert run(query) == 0
    assert capsys.readouterr().out.split()[:3] == ["a", "a_1", "b"]


@pytest.mark.parametrize("value", ["DATE '10000-01-01'", "[DATE '10000-01-01']", "'infinity'::TIMESTAMP"])
@pytest.mark.parametrize("options", [["--json"], []], ids=["json", "table"])
def test_a_date_that_python_does_not_know_is_an_error_that_says_what_to_do(
    fill: Fill, tmp_path: Path, capsys: pytest.CaptureFixture[str], value: str, options: list[str]
) -> None:
    fill([episode("q")])
    assert run(["query", f"SELECT {value} AS x", "--lake", str(tmp_path / "lake"), *options]) == 2
    assert "cast others with ::VARCHAR" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "--quick", "--out", "file"],
        ["index", "minipedia:train?size=50", "--index", "file/x", "--embedder", "lexical"],
        ["generate", "--tasks", "minipedia:train?size=50", "--limit", "1", "--sandbox", "unsafe"],
    ],
    ids=["demo", "index", "cache"],
)
def test_a_directory_that_cannot_be_made_is_named(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRAJECTORY_TOOLKIT_CACHE", "file/cache")
    (tmp_path / "file").write_text("mine")
    assert run(arguments) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: file/")
    assert said.endswith(": Not a directory")
