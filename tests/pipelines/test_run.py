import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from episodes import Fill, episode
from simulated_server import Manners, SimulatedServer, served

from pipelines.run_recipe import load_run
from pipelines.run_stage import INPUTS, MADE, options_of, stage_names
from toolkit.api import open_lake
from toolkit.cli.main import run
from toolkit.errors import InputError, RecipeError

RECIPES = Path("recipes").absolute()
WORLD = "minipedia:train?size=50"
ROAD = f"""\
name: road
lake: lake
defaults:
  generate: {{tasks: "{WORLD}", limit: 6, index: index, sandbox: unsafe, slips: 0.2}}
stages:
  - index: {{passages: "{WORLD}", index: index}}
  - generate: {{kind: cot}}
  - generate: {{max_steps: 4}}
  - score: {{workers: 1}}
  - filter: filter.yaml
  - export: {{selection: agents, out: out, format: openai}}
"""
FILTER = """\
name: agents
steps:
  - where: "kind = 'agent'"
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with a recipe of the whole road."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "road.yaml").write_text(ROAD)
    (tmp_path / "filter.yaml").write_text(FILTER)
    return tmp_path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the recipe's world, made once."""
    index = tmp_path_factory.mktemp("built") / "index"
    assert run(["index", WORLD, "--index", str(index)]) == 0
    return index


@pytest.fixture
def indexed(here: Path, built: Path) -> Path:
    """The working directory with that index in it."""
    shutil.copytree(built, here / "index")
    return here


Running = Callable[..., tuple[int, Any]]


@pytest.fixture
def running(here: Path, capsys: pytest.CaptureFixture[str]) -> Running:
    """`toolkit run … --json`: its exit code and what it printed, or the error."""

    def call(*options: str, recipe: str = "road.yaml") -> tuple[int, Any]:
        capsys.readouterr()
        code = run(["run", recipe, "--json", *options])
        printed = capsys.readouterr()
        return code, json.loads(printed.out) if printed.out else printed.err

    return call


def names(told: dict[str, Any]) -> list[str]:
    return [shlex.split(stage["command"])[1] for stage in told["stages"]]


def test_a_recipe_walks_the_road_and_running_it_again_makes_nothing_new(here: Path, running: Running) -> None:
    code, told = running("--to", "5")
    assert code == 0
    assert names(told) == ["index", "generate", "generate", "score", "filter"]
    index, chains, agents, score, decided = (stage["result"] for stage in told["stages"])
    assert index["embedded_now"] == index["passages"]
    # Nothing is paid for twice: the chains that agents begin from are those of the stage before.
    assert (chains["finished"], agents["finished"], agents["chains_of_thought"]) == (6, 6, 0)
    assert (score["graded"], decided["input"], decided["kept"]) == (12, 12, 6)
    code, again = running()
    assert code == 0
    index, chains, agents, score, decided, exported = (stage["result"] for stage in again["stages"])
    assert (index["embedded_now"], chains["finished"], agents["finished"], score["graded"]) == (0, 0, 0, 0)
    assert (decided["content_hash"], exported["trajectories"]) == (
        told["stages"][4]["result"]["content_hash"],
        6,
    )
    assert len((here / "out" / "train.jsonl").read_text().splitlines()) == 6


def test_the_printed_commands_do_the_same_when_typed_by_hand(
    indexed: Path, running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["run", "road.yaml", "--to", "3", "--dry-run"]) == 0
    commands = [line.split("$ toolkit ")[1] for line in capsys.readouterr().out.splitlines() if "$ toolkit " in line]
    assert [run(shlex.split(command)) for command in commands] == [0, 0, 0]
    code, told = running("--to", "3")
    assert [stage["result"].get("skipped") for stage in told["stages"]] == [0, 6, 6]


def test_a_stage_that_is_not_complete_stops_the_run_and_the_same_command_goes_on(
    indexed: Path, running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["run", "road.yaml", "--max-tokens", "3000"]) == 1
    said = capsys.readouterr()
    assert "stage 3 of 6 (generate, line 8) is not complete" in said.err
    assert "--from 4 goes on without it" in said.err
    assert "toolkit score" not in said.out
    code, told = running()
    assert code == 0
    assert told["stages"][1]["result"]["skipped"] == 6
    ((rollouts,),) = open_lake(indexed / "lake").sql("SELECT count(*) FROM trajectories").fetchall()
    assert rollouts == 12


def test_a_stage_that_fails_ends_the_run_with_its_exit_code(
    indexed: Path, running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    (indexed / "out").mkdir()
    (indexed / "out" / "mine").touch()
    road = ROAD.replace("  - filter", "  - export: {selection: none, out: out}\n  - filter")
    (indexed / "road.yaml").write_text(road)
    code, told = running()
    assert (code, told["exit_code"], names(told)[-1], told["stages"][-1]["result"]) == (2, 2, "export", None)
    assert run(["run", "road.yaml"]) == 2
    assert "stage 5 of 7 (export, line 10) failed; when that is mended, the same command" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (("name: road", "nam: road"), "line 1 of road.yaml: unknown key 'nam'; did you mean 'name'?"),
        (("name: road\n", ""), "line 1 of road.yaml: 'name' is missing"),
        (("lake: lake", "lake: [a]"), "line 2 of road.yaml: expected one value"),
        (("slips: 0.2", "slip: 0.2"), "line 4 of road.yaml: unknown key of generate 'slip'; did you mean 'slips'?"),
        (("  generate: {t", "  generat: {t"), "line 4 of road.yaml: unknown command 'generat'; did you mean"),
        (("- score:", "- scor:"), "line 9 of road.yaml: unknown command 'scor'; did you mean 'score'?"),
        (("- filter: filter.yaml", "- run: road.yaml"), "line 10 of road.yaml: unknown command 'run'"),
        (
            ("limit: 6", "limit: six"),
            'line 4 of road.yaml: generate: Invalid value for --limit: unable to convert "six"',
        ),
        (("kind: cot", "kind: chain"), "line 7 of road.yaml: generate: Invalid value"),
        (("kind: cot", "ftp: maybe"), "line 7 of road.yaml: ftp: expected true or false, got 'maybe'"),
        (("kind: cot", "kind: [cot, agent]"), "line 7 of road.yaml: kind: expected one value"),
        (("max_steps: 4", "max_steps: 4, max_steps: 5"), "line 8 of road.yaml: max_steps is given twice"),
        (("max_steps: 4", "lake: other"), "line 8 of road.yaml: lake is for the whole recipe"),
        (("max_steps: 4", "dry_run: true"), "line 8 of road.yaml: dry_run is for the whole recipe"),
        (("score: {workers: 1}", "score: 1"), "line 9 of road.yaml: score takes options by name, such as {signals: …}"),
        ((", index: index}\n  - generate: {kind", "}\n  - generate: {kind"), "line 6 of road.yaml: index: 'index' is"),
        (("selection: agents, ", ""), "line 11 of road.yaml: export: 'selection' is missing"),
        (
            ("  - generate: {max_steps: 4}", "  - generate: {max_steps: 4}\n    score:"),
            "line 8 of road.yaml: a stage is",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line_before_anything_runs(
    change: tuple[str, str], finding: str, here: Path, running: Running
) -> None:
    assert change[0] in ROAD
    (here / "road.yaml").write_text(ROAD.replace(*change))
    before = sorted(here.iterdir())
    code, said = running()
    assert code == 2
    assert finding in said
    assert sorted(here.iterdir()) == before


def test_a_mistake_in_a_filter_recipe_is_found_before_the_first_stage(here: Path, running: Running) -> None:
    (here / "filter.yaml").write_text(FILTER.replace("where", "wher"))
    code, said = running()
    assert code == 2
    assert "line 3 of filter.yaml: unknown step 'wher'" in said
    assert not (here / "index").exists()


def test_all_missing_inputs_are_named_at_once_and_nothing_runs(here: Path, running: Running) -> None:
    road = ROAD.replace("max_steps: 4", "max_steps: 4, tools: [a.py, b.py], index: elsewhere")
    (here / "road.yaml").write_text(road)
    (here / "filter.yaml").unlink()
    code, said = running()
    assert code == 2
    for missing in ("elsewhere (generate, line 8)", "a.py (", "b.py (", "filter.yaml (filter, line 10)"):
        assert missing in said
    assert not (here / "index").exists()
    code, said = running("--from", "2", "--to", "2")
    assert "index (generate, line 7)" in said


def test_files_that_only_late_stages_read_are_missed_at_once(here: Path, running: Running) -> None:
    late = """\
  - export: {selection: agents, out: sft, format: sft, model: tiny, templates: nowhere}
  - train: {selection: agents, base: tiny, out: student, config: train.yaml, prompts: words}
  - publish: {repo: me/it, model: student, about: about.md}
"""
    (here / "late.yaml").write_text(f"name: late\nlake: lake\nstages:\n{late}")
    code, told = running("--dry-run", recipe="late.yaml")
    assert (code, told["missing"]) == (2, ["nowhere", "train.yaml", "words", "about.md"])


def test_the_adapter_that_a_stage_trains_is_not_missed(here: Path, running: Running) -> None:
    stages = f"""\
  - train: {{selection: agents, base: tiny, out: student}}
  - evaluate: {{model: "hf:tiny", adapter: student, tasks: "{WORLD}"}}
"""
    (here / "train.yaml").write_text(f"name: train\nstages:\n{stages}")
    code, told = running("--dry-run", recipe="train.yaml")
    assert (code, told["missing"], told["stages"][1]["forecast"]) == (0, [], None)


def test_a_home_directory_is_meant_as_in_a_shell(here: Path, running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(here / "home"))
    stages = "  - generate: {tasks: ~nosuchuser/x}\n  - export: {selection: a, templates: ~/mine, out: ~/out}\n"
    (here / "home.yaml").write_text(f"name: home\nstages:\n{stages}")
    code, told = running("--dry-run", recipe="home.yaml")
    assert (code, told["missing"]) == (2, ["~nosuchuser/x", str(here / "home" / "mine")])
    assert f"--out {here / 'home' / 'out'}" in told["stages"][1]["command"]


def test_a_dry_run_writes_nothing_and_adds_up_what_generating_takes(
    here: Path, running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(here.iterdir())
    code, told = running("--dry-run", "--price-in", "1", "--price-out", "2", "--limit", "10")
    assert (code, told["missing"]) == (0, [])
    forecasts = [stage["forecast"] for stage in told["stages"]]
    assert [found and found["new"] for found in forecasts] == [None, 10, 10, None, None, None]
    assert forecasts[1]["cost_usd"] == pytest.approx((10 * 1_500 + 2 * 10 * 150) / 1e6)
    assert run(["run", "road.yaml", "--dry-run"]) == 0
    printed = capsys.readouterr()
    assert "Nothing was run" in printed.out
    assert "an assumption" in printed.err
    assert sorted(here.iterdir()) == before


def test_a_dry_run_foresees_a_judge_of_what_is_in_the_lake(
    here: Path, running: Running, fill: Fill, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = "  - judge: {rubric: factual, model: 'openai:m', base_url: 'http://127.0.0.1:9/v1'}\n"
    (here / "judged.yaml").write_text(f"name: judged\nlake: nowhere\nstages:\n{stage}")
    code, told = running("--dry-run", recipe="judged.yaml")
    assert (code, [one["forecast"] for one in told["stages"]]) == (0, [None])
    fill([episode("q1", answer="7"), episode("q2", answer="8")])
    code, told = running("--dry-run", "--lake", "lake", recipe="judged.yaml")
    assert (code, [one["forecast"]["calls"] for one in told["stages"]]) == (0, [2])
    assert run(["run", "judged.yaml", "--dry-run", "--lake", "lake"]) == 0
    assert "to run or ask" in capsys.readouterr().out


def test_options_override_every_stage_that_has_them(here: Path) -> None:
    found = load_run(Path("road.yaml"), lake=Path("other"), overrides={"max-steps": "2", "gold": "false"})
    assert [stage.words for stage in found.stages][2] == shlex.split(
        f"generate --tasks '{WORLD}' --limit 6 --max-steps 2 --index index --sandbox unsafe --slips 0.2 --no-gold "
        "--lake other"
    )
    assert found.stages[3].words == ["score", "--workers", "1", "--lake", "other"]
    assert found.stages[0].words == ["index", WORLD, "--index", "index"]
    with pytest.raises(InputError, match=r"no stage of road\.yaml has an option --max-step; did you mean 'max_steps'"):
        load_run(Path("road.yaml"), overrides={"max-step": "2"})
    with pytest.raises(InputError, match="Invalid value for --limit"):
        load_run(Path("road.yaml"), overrides={"limit": "two"})
    with pytest.raises(InputError, match="--gold: expected true or false, got '1'"):
        load_run(Path("road.yaml"), overrides={"gold": "1"})


def test_values_reach_the_commands_as_they_are_written(here: Path) -> None:
    options = "{tasks: 'a b', tools: [x.py, y.py], seed: -1, limit: null, gold: no}"
    (here / "a.yaml").write_text(f"name: a\nstages:\n  - generate: {options}\n  - score\n")
    generate, score = load_run(Path("a.yaml")).stages
    assert shlex.join(generate.words) == (
        "generate --tasks 'a b' --tools x.py --tools y.py --seed=-1 --no-gold --lake lake"
    )
    assert score.words == ["score", "--lake", "lake"]


@pytest.mark.parametrize("stages", [["--from", "0"], ["--from", "7"], ["--from", "3", "--to", "2"], ["--to", "9"]])
def test_stages_that_are_not_there_are_refused(stages: list[str], running: Running) -> None:
    code, said = running(*stages)
    assert (code, "road has the stages 1 to 6" in said) == (2, True)


def test_each_kind_of_recipe_names_the_command_that_it_is_for(here: Path, running: Running) -> None:
    code, said = running(recipe="filter.yaml")
    assert (code, "it is for `toolkit filter filter.yaml`" in said) == (2, True)
    (here / "empty.yaml").touch()
    with pytest.raises(RecipeError, match="expected a mapping"):
        load_run(Path("empty.yaml"))
    open_lake(here / "lake", create=True)
    assert run(["filter", "road.yaml"]) == 2


def test_inputs_and_outputs_are_options_of_their_commands() -> None:
    for table in (INPUTS, MADE):
        for command, keys in table.items():
            assert command in stage_names()
            assert set(keys) <= set(options_of(command))


def test_every_option_that_is_a_path_is_an_input_or_an_output() -> None:
    for command in stage_names():
        paths = {key for key, argument in options_of(command).items() if "Path" in str(argument.hint)}
        assert paths <= {*INPUTS.get(command, ()), *MADE.get(command, ())}, command


def test_the_papers_recipe_foresees_its_three_thousand_questions(here: Path, running: Running) -> None:
    shutil.copytree(RECIPES, here / "recipes")
    (here / "data").mkdir()
    for name in ("hotpotqa_1000_20250402", "math_1000_20250414", "math_medium_1000_20250430"):
        examples = [{"id": number, "question": f"{name} {number}?", "answer": number} for number in range(1000)]
        (here / "data" / f"{name}.json").write_text(json.dumps({"metadata": {}, "examples": examples}))
    code, told = running("--dry-run", "--sandbox", "unsafe", recipe="recipes/paper-generate.yaml")
    # The passages are not needed to foresee; that they are missing is said.
    assert (code, told["missing"]) == (2, ["data/wiki-18.jsonl"])
    found = [stage["forecast"] for stage in told["stages"] if stage["forecast"]]
    assert [forecast["new"] for forecast in found] == [1000, 1000, 1000]
    assert sum(forecast["read"] for forecast in found) == 3000 * 4 * 1500
    (here / "data" / "wiki-18.jsonl").touch()
    code, _ = running("--dry-run", "--sandbox", "unsafe", recipe="recipes/paper-generate.yaml")
    assert code == 0
    assert not (here / "lake").exists()


def test_the_recipe_for_your_own_task_runs_against_a_server(here: Path, running: Running) -> None:
    shutil.copytree(RECIPES, here / "recipes")
    (here / "passages.jsonl").write_text('{"title": "Ulm", "text": "Ulm lies on the Danube."}\n')
    (here / "questions.jsonl").write_text('{"question": "Twice 21?", "answer": 42, "domain": "math"}\n')
    (here / "my_tools.py").write_text(
        'from toolkit.tools import tool\n\n@tool\ndef twice(x: int) -> int:\n    """Twice x."""\n    return 2 * x\n'
    )
    action = "I use my tool.\n\nCode:\n```py\nfinal_answer(twice(21))\n```\n"
    with served(SimulatedServer(Manners(says=action), models=("Qwen/Qwen2.5-32B-Instruct",))) as url:
        options = ["--base-url", url, "--temperature", "0", "--sandbox", "unsafe", "--completion-tokens", "100"]
        code, told = running(*options, recipe="recipes/your-own-task.yaml")
    assert code == 0, told
    generated, decided = told["stages"][1]["result"], told["stages"][3]["result"]
    assert generated["stop_reasons"] == {"final_answer": 2}
    assert decided["kept"] == 1
    calls = open_lake(here / "lake").sql("SELECT name, result FROM tool_calls").fetchall()
    assert calls == [("twice", "42")] * 2
    (line,) = (here / "training-data" / "train.jsonl").read_text().splitlines()
    assert "final_answer(twice(21))" in line
