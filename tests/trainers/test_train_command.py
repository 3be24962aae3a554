import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from episodes import Fill, episode
from safetensors.torch import load_file
from sft_rows import Workshop

from pipelines.filter import filter_lake
from pipelines.recipe import parse_recipe
from toolkit.api import Lake
from toolkit.cli.main import run
from toolkit.errors import RecipeError
from toolkit.llm.local_weights import LocalModel
from trainers.sft.command import resolve
from trainers.sft.settings import TrainSettings

RECIPES = Path(__file__).parents[2] / "recipes"
CONFIG = "lora_r: 4\nlora_alpha: 8\nepochs: 1\nlog_steps: 1\nlearning_rate: 0.01\n"


@pytest.fixture
def lake(fill: Fill) -> Lake:
    filled = fill([episode(f"question {index}", searches=1 + index % 2) for index in range(12)])
    select(filled, "v1", "n_steps > 0")
    return filled


def select(lake: Lake, name: str, predicate: str) -> None:
    filter_lake(lake, parse_recipe(f'name: {name}\nsteps:\n  - where: "{predicate}"\n', "recipe"))


class Command:
    """`toolkit train` on one lake and base; `out` is where its students go."""

    def __init__(self, lake: Path, base: Path, directory: Path) -> None:
        self.lake, self.base, self.out = lake, base, directory / "student"
        self.config = directory / "train.yaml"
        self.config.write_text(CONFIG)

    def __call__(self, *options: str, selection: str = "v1", base: str | None = None) -> int:
        given = ["--selection", selection, "--base", base or str(self.base), "--out", str(self.out)]
        return run(["train", *given, "--lake", str(self.lake), "--config", str(self.config), *options])


@pytest.fixture
def train(lake: Lake, workshop: Workshop, tmp_path: Path) -> Command:
    return Command(tmp_path / "lake", workshop.base, tmp_path)


def test_a_student_is_trained_and_the_lake_knows_from_what(
    train: Command, lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--validation-share", "0.25", "--merge", "--kind", "agent", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["rows"] == 9
    assert said["steps"] > 0
    (row,) = lake.sql("SELECT * FROM models WHERE trained_from IS NOT NULL").to_arrow_table().to_pylist()
    (selection,) = lake.sql("SELECT * FROM selections").to_arrow_table().to_pylist()
    (ran,) = lake.sql("SELECT * FROM runs WHERE kind = 'train'").to_arrow_table().to_pylist()
    assert (row["trained_from"], row["trained_from_hash"]) == ("v1", selection["content_hash"])
    assert (row["training_run_id"], ran["finished_at"] is not None) == (ran["run_id"], True)
    student = LocalModel(str(train.base), train.out)
    assert (row["name"], row["revision"], row["base"]) == (student.name, student.revision, train.base.name)
    recorded = json.loads(row["metadata"])
    assert recorded["settings"]["lora_r"] == 4
    assert recorded["metrics"]["eval_loss"] == said["metrics"]["eval_loss"]
    assert LocalModel(str(train.out / "merged")).revision
    card = (train.out / "README.md").read_text()
    for fact in (selection["content_hash"], ran["run_id"], "lora_r: 4", "eval_loss", "trl 1."):
        assert fact in card


def test_a_finished_training_is_merged_without_training_again(
    train: Command, lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--merge") == 0
    adapter, merged = train.out / "adapter_model.safetensors", train.out / "merged"
    trained_at, weights = adapter.stat().st_mtime_ns, load_file(merged / "model.safetensors")
    shutil.rmtree(merged)
    capsys.readouterr()
    for _ in range(2):
        assert train("--merge", "--json") == 0
        assert json.loads(capsys.readouterr().out) == {"out": str(train.out), "merged": str(merged)}
        again = load_file(merged / "model.safetensors")
        assert again.keys() == weights.keys()
        assert all(torch.equal(again[name], tensor) for name, tensor in weights.items())
    assert adapter.stat().st_mtime_ns == trained_at
    assert lake.sql("SELECT count(*) FROM runs WHERE kind = 'train'").fetchall() == [(1,)]


def test_a_merge_that_fails_says_why_and_can_be_repeated(train: Command, capsys: pytest.CaptureFixture[str]) -> None:
    merged = train.out / "merged"
    assert train() == 0
    merged.write_text("mine")
    assert train("--merge") == 1
    assert f"the student in {train.out} is whole, but {merged} cannot be written: " in said(capsys)
    assert merged.read_text() == "mine"
    merged.unlink()
    assert train("--merge") == 0
    adapter = train.out / "adapter_model.safetensors"
    adapter.write_bytes(adapter.read_bytes()[:-100])
    assert train("--merge") == 2
    assert f"cannot load the adapter in {train.out}: " in said(capsys)
    assert train("--merge", "--seed", "9") == 2
    assert f"{train.out} holds another training: seed was 0, is 9" in said(capsys)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """The messages, in one line."""
    return " ".join(capsys.readouterr().err.split())


def test_a_later_run_of_the_student_keeps_its_lineage(train: Command, lake: Lake) -> None:
    assert train() == 0
    query = "SELECT * FROM models WHERE name LIKE '%student'"
    (row,) = lake.sql(query).to_arrow_table().to_pylist()
    from schemas import Model

    with lake.write("evaluate") as batch:
        batch.add([Model(model_id=row["model_id"], name=row["name"], revision=row["revision"])])
    assert lake.sql(query).to_arrow_table().to_pylist() == [row]


def test_a_dry_run_counts_and_writes_nothing(train: Command, lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    before = lake.snapshot().number
    assert train("--dry-run", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["rows"], said["dropped_rows"]) == (12, 0)
    assert 0 < said["trained_tokens"] < said["tokens"]
    assert not train.out.exists()
    assert lake.snapshot().number == before


def test_after_ctrl_c_the_same_command_goes_on(train: Command, lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--no-packing", "--batch-size", "1", "--save-steps", "2", "--epochs", "4")

    def interrupt() -> None:
        while not (train.out / "checkpoints" / "checkpoint-4").exists():
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    assert train(*options) == 1
    assert lake.sql("SELECT count(*) FROM runs WHERE kind = 'train'").fetchall() == [(0,)]
    capsys.readouterr()
    assert train(*options, "--seed", "1") == 2
    assert "seed was 0, is 1" in capsys.readouterr().err
    assert train(*options) == 0
    said = capsys.readouterr().err
    assert "going on from" in said
    assert lake.sql("SELECT count(*) FROM runs WHERE kind = 'train'").fetchall() == [(1,)]
    assert train(*options) == 2
    assert "it is done" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--kind", "cot"], "--kind cot: the selection 'v1' keeps 12 of agent"),
        (["--validation-share", "0.01"], "there must be questions on both sides"),
        (["--batch-size", "0"], "--batch-size: "),
        (["--max-tokens", "3"], "no row of the selection 'v1' can be trained on"),
    ],
)
def test_wrong_input_is_refused_with_a_reason(
    train: Command, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert train(*options) == 2
    assert message in capsys.readouterr().err
    assert not train.out.exists()


def test_an_empty_selection_is_refused(train: Command, lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    select(lake, "none", "n_steps > 99")
    assert train(selection="none") == 2
    assert "keeps no trajectory" in capsys.readouterr().err


def test_an_out_with_foreign_files_is_refused_and_left_alone(
    train: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    train.out.mkdir()
    (train.out / "mine.txt").write_text("mine")
    assert train() == 2
    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in train.out.iterdir()] == ["mine.txt"]


def test_an_unknown_key_names_its_line(train: Command, capsys: pytest.CaptureFixture[str]) -> None:
    train.config.write_text(CONFIG + "lora_rank: 8\n")
    assert train() == 2
    assert f"line 6 of {train.config}: unknown key 'lora_rank'" in capsys.readouterr().err


def test_a_base_without_chat_template_or_without_weights_is_refused(
    train: Command, workshop: Workshop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "bare"
    workshop.tokenizer.save_pretrained(bare)
    (bare / "config.json").write_text((workshop.base / "config.json").read_text())
    assert train(base=str(bare)) == 2
    assert "cannot load" in capsys.readouterr().err
    assert not train.out.exists()
    (bare / "chat_template.jinja").write_text("{{ messages[0].content }}")
    assert train(base=str(bare)) == 2
    assert "template" in capsys.readouterr().err


NO_HUB = (
    "We couldn't connect to 'https://huggingface.co' to load the files, and couldn't find them in the cached files."
)


@pytest.mark.parametrize(
    ("selection", "base", "options", "message"),
    [
        ("v1", "./nowhere", [], "there is no directory ./nowhere with a tokenizer"),
        (
            "v1",
            "{bare}",
            [],
            "the tokenizer of {bare} has no chat template; expected one in chat_template.jinja beside it",
        ),
        ("v9", "{base}", [], "there is no selection 'v9'; there are none, v1"),
        ("v1", "{base}", ["--validation", "v9"], "there is no selection 'v9'; there are none, v1"),
        (
            "none",
            "{base}",
            [],
            "the selection 'none' keeps no trajectory; `toolkit why` says what dropped them",
        ),
        ("v1", "{base}", ["--kind", "cot"], "--kind cot: the selection 'v1' keeps 12 of agent"),
        ("v1", "{base}", ["--lora-r", "0"], "--lora-r: Input should be greater than or equal to 1, got 0"),
        (
            "v1",
            "{base}",
            ["--method", "qlora"],
            'Invalid value "qlora" for --method. Choose from: "lora", "full". Did you mean "lora"? '
            "`toolkit train --help` lists the options",
        ),
        (
            "v1",
            "{base}",
            ["--method", "full", "--merge"],
            "--merge is for method lora; method full leaves a model without adapter, in --out itself",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_in_these_words(
    train: Command,
    lake: Lake,
    workshop: Workshop,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    selection: str,
    base: str,
    options: list[str],
    message: str,
) -> None:
    select(lake, "none", "n_steps > 99")
    bare = tmp_path / "bare"
    shutil.copytree(workshop.base, bare, ignore=shutil.ignore_patterns("chat_template.jinja"))
    before = lake.snapshot().number
    places = {"bare": bare, "base": workshop.base}
    capsys.readouterr()
    assert train(*options, selection=selection, base=base.format(**places)) == 2
    assert said(capsys) == f"error: {message.format(**places)}"
    assert not train.out.exists()
    assert lake.snapshot().number == before


def test_a_base_that_is_nowhere_is_refused_without_asking_the_hub_in_vain(
    train: Command, tmp_path: Path, lake: Lake
) -> None:
    # Whether transformers asks the Hub is decided when it is imported.
    command = [sys.executable, "-m", "toolkit.cli", "train", "--selection", "v1", "--base", "nobody/none"]
    command += ["--lake", str(tmp_path / "lake"), "--out", str(train.out)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    expected = f"cannot load the tokenizer of nobody/none: {NO_HUB}; a directory may be named instead"
    assert (done.returncode, " ".join(done.stderr.split())) == (2, f"error: {expected}")


def test_the_defaults_are_the_papers_and_so_is_the_recipe() -> None:
    paper = TrainSettings()
    assert (paper.method, paper.lora_r, paper.lora_alpha, paper.lora_target) == ("lora", 64, 128, "all-linear")
    assert (paper.epochs, paper.batch_size, paper.learning_rate, paper.max_tokens) == (2, 8, 2e-4, 10_240)
    assert (paper.prefix_loss, paper.context_weight) == (True, 0)
    assert resolve(RECIPES / "paper-student.yaml", {}) == paper


def test_flags_override_the_file(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("epochs: 3\nreport_to: [tensorboard]\n")
    found = resolve(tmp_path / "c.yaml", {"epochs": 1.0, "seed": None, "report_to": None})
    assert (found.epochs, found.seed, found.report_to) == (1.0, 0, ["tensorboard"])
    with pytest.raises(RecipeError, match="not a multiple"):
        resolve(None, {"micro_batch": 3})
