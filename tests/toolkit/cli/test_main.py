import importlib
import json
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


def test_json_output_is_one_document_with_exact_numbers(
    fill: Fill, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill([episode("q")])
    sql = "SELECT sum(n_steps) AS n, 0.5 AS half, NULL AS nothing, 'nan'::DOUBLE AS odd, now() AS t FROM trajectories"
    assert run(["query", sql, "--lake", str(tmp_path / "lake"), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row | {"t": ""} == {"n": 2, "half": 0.5, "nothing": None, "odd": None, "t": ""}
    assert isinstance(row["n"], int)
