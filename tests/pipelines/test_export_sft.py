import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from chat_styles import make_tokenizer
from episodes import Fill, episode
from tiny_model import make_tiny_model

from pipelines.filter import filter_lake
from pipelines.recipe import parse_recipe
from toolkit.api import Lake
from toolkit.cli.main import run

MASK = "mask_steps: \"error_kind <> 'none'\""
Export = Callable[..., int]


def select(lake: Lake, *steps: str) -> None:
    filter_lake(lake, parse_recipe("name: v1\nsteps:\n" + "\n".join(f"  - {step}" for step in steps), "r"))


@pytest.fixture
def student(tmp_path: Path) -> Path:
    make_tokenizer("qwen2.5").save_pretrained(tmp_path / "student")
    return tmp_path / "student"


@pytest.fixture
def export(tmp_path: Path, student: Path) -> Export:
    """Runs `export --format sft` on the lake of the test."""

    def call(*options: str) -> int:
        own = ["--selection", "v1", "--format", "sft", "--lake", str(tmp_path / "lake")]
        model = [] if "--model" in options else ["--model", str(student)]
        return run(["export", *own, *model, *options])

    return call


def test_rows_manifest_and_words_agree(fill: Fill, export: Export, tmp_path: Path) -> None:
    select(fill([episode("who", failing=1), episode("what")]), MASK)
    assert export("--out", str(tmp_path / "out")) == 0
    rows = pq.read_table(tmp_path / "out/train.parquet").to_pylist()
    lines = [json.loads(line) for line in (tmp_path / "out/train.jsonl").read_text().splitlines()]
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert [row["trajectory_id"] for row in rows] == [line["trajectory_id"] for line in lines]
    assert manifest["rows"] == manifest["trajectories"] == len(rows) == 2
    assert manifest["tokens"] == sum(len(row["input_ids"]) for row in rows)
    assert manifest["trained_tokens"] == sum(label != -100 for row in rows for label in row["labels"])
    assert (manifest["tokenizer"]["name"], len(manifest["tokenizer"]["digest"])) == ("student", 24)
    assert manifest["settings"]["max_tokens"] == 10_240
    flags = [[turn["train"] for turn in line["messages"] if turn["role"] == "assistant"] for line in lines]
    assert sorted(flags) == [[False, True, True], [True, True]]
    assert not any(turn["train"] for line in lines for turn in line["messages"] if turn["role"] != "assistant")


def test_equal_tokenizers_have_equal_digests_and_a_changed_template_another(
    fill: Fill, export: Export, student: Path, tmp_path: Path
) -> None:
    select(fill([episode("who")]), 'where: "true"')
    digests = []
    for number in range(3):
        if number == 2:
            template = student / "chat_template.jinja"
            template.write_text(template.read_text().replace("You are a model.", "You are another model."))
        assert export("--out", str(tmp_path / f"out{number}")) == 0
        digests.append(json.loads((tmp_path / f"out{number}/manifest.json").read_text())["tokenizer"]["digest"])
    assert digests[0] == digests[1] != digests[2]


def test_cut_and_dropped_rows_are_counted_and_listed(
    fill: Fill, export: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    select(fill([episode("who", searches=8), episode("what")]), 'where: "true"')
    assert export("--out", str(tmp_path / "cut"), "--max-tokens", "120") == 0
    manifest = json.loads((tmp_path / "cut/manifest.json").read_text())
    ((trajectory_id, steps),) = manifest["steps_cut"].items()
    assert (manifest["rows"], manifest["cut_rows"], manifest["longest_row"] <= 120) == (2, 1, True)
    assert f"{trajectory_id}: {steps} steps cut off" in capsys.readouterr().err
    assert export("--out", str(tmp_path / "drop"), "--max-tokens", "120", "--over-long", "drop") == 0
    manifest = json.loads((tmp_path / "drop/manifest.json").read_text())
    assert (manifest["rows"], manifest["dropped_rows"]) == (1, 1)
    assert manifest["dropped"][0] == {
        "trajectory_id": trajectory_id,
        "reason": "longer than 120 tokens",
        "tokens": manifest["dropped"][0]["tokens"],
    }
    assert manifest["dropped"][0]["tokens"] > 120


def test_the_preview_shows_what_is_trained_and_writes_nothing(
    fill: Fill, export: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    select(fill([episode("who", failing=1), episode("what")]), MASK)
    assert export("--preview-mask") == 0
    first = capsys.readouterr().out
    assert "⟦Thought: about finish[yes]\nAction: finish[yes]<|im_end|>⟧" in first
    assert "<|im_start|>assistant\n⟦" in first
    ids = [row[0] for row in fill([]).sql("SELECT trajectory_id FROM trajectories ORDER BY 1").fetchall()]
    shown = []
    for trajectory_id in ids:
        assert export("--preview-mask", "--trajectory", trajectory_id[:10]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == first != shown[1]
    masked = next(text for text in shown if "broken" in text)
    assert "<|im_start|>assistant\nThought: about broken 0" in masked
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lake", "student"]


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        (("--out", "{out}", "--model", "{out}/nowhere"), "no directory"),
        (("--preview-mask", "--trajectory", "zz"), "no trajectory whose id begins with 'zz'"),
        (("--out", "{out}", "--max-tokens", "0"), "at least 1"),
        (("--out", "{out}", "--max-tokens", "5"), "gives no training row: no trained step ends within 5 tokens (1)"),
        ((), "--out"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(
    options: tuple[str, ...],
    finding: str,
    fill: Fill,
    export: Export,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    select(fill([episode("who")]), 'where: "true"')
    out = tmp_path / "out"
    assert export(*(option.format(out=out) for option in options)) == 2
    assert finding in " ".join(capsys.readouterr().err.split())
    assert not out.exists() or not list(out.iterdir())


def test_a_tokenizer_that_is_torn_or_has_no_template_is_named(
    fill: Fill, export: Export, student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    select(fill([episode("who")]), 'where: "true"')
    (student / "chat_template.jinja").unlink()
    assert export("--out", str(tmp_path / "out")) == 2
    assert "no chat template" in capsys.readouterr().err
    (student / "tokenizer.json").write_text('{"torn')
    assert export("--out", str(tmp_path / "out")) == 2
    assert "cannot load the tokenizer" in capsys.readouterr().err


def test_an_empty_selection_and_options_of_another_format_are_refused(
    fill: Fill, export: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    select(fill([episode("who")]), 'where: "false"')
    assert export("--out", str(tmp_path / "out")) == 2
    assert "it keeps nothing" in capsys.readouterr().err
    lake = str(tmp_path / "lake")
    assert run(["export", "--selection", "v1", "--lake", lake, "--out", str(tmp_path / "o"), "--preview-mask"]) == 2
    assert "--format sft" in capsys.readouterr().err
    assert run(["export", "--selection", "v1", "--lake", lake, "--out", str(tmp_path / "o"), "--format", "sft"]) == 2
    assert "--model" in capsys.readouterr().err


# transformers 5.23 warns of arguments that trl 1.16 passes by itself.
@pytest.mark.filterwarnings("ignore:.*deprecated.*:FutureWarning")
def test_trl_trains_on_the_rows_as_they_are(fill: Fill, export: Export, tmp_path: Path) -> None:
    trl = pytest.importorskip("trl", reason="needs the extra `train`")
    from datasets import load_dataset

    select(fill([episode("who", failing=1), episode("what")]), MASK)
    model = make_tiny_model(tmp_path / "tiny")
    assert export("--out", str(tmp_path / "out"), "--model", str(model)) == 0
    files = str(tmp_path / "out/train.parquet")
    rows = load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    trainer = trl.SFTTrainer(
        model=str(model),
        args=trl.SFTConfig(output_dir=str(tmp_path / "run"), max_length=None, report_to=[], use_cpu=True),
        train_dataset=rows.select_columns(["input_ids", "labels"]),
    )
    (batch,) = trainer.get_train_dataloader()
    found = sorted(
        [int(label) for label, seen in zip(labels, mask, strict=True) if seen]
        for labels, mask in zip(batch["labels"], batch["attention_mask"], strict=True)
    )
    assert found == sorted(rows["labels"])
