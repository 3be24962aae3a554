import json
from pathlib import Path

import orjson
import pytest
from episodes import Fill, episode
from publications import filled
from simulated_hub import SimulatedHub

from schemas import Model
from toolkit.api import Lake
from toolkit.cli.main import run
from toolkit.lake.selections import find_selection

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

REPO = "org/student"
STUDENT = "5" * 24


def adapter(path: Path, base: str = "Qwen/Qwen2.5-0.5B-Instruct") -> Path:
    """A directory as PEFT writes it, with what else a training leaves there."""
    path.mkdir()
    (path / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "base_model_name_or_path": base, "r": 64})
    )
    header = orjson.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})
    (path / "adapter_model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 4)
    (path / "README.md").write_text("what PEFT writes")
    (path / "training_args.bin").write_bytes(b"a pickle")
    (path / "checkpoint-10").mkdir()
    return path


@pytest.fixture
def trained(fill: Fill, tmp_path: Path) -> tuple[Lake, Path]:
    """A lake with a selection, an adapter trained on it, and four evaluated rollouts, three of them right."""
    lake = filled(fill)
    selection = find_selection(lake.snapshot(), "v1")
    path = adapter(tmp_path / "adapter")
    model = Model(
        model_id=STUDENT,
        name="student",
        base="Qwen/Qwen2.5-0.5B-Instruct",
        adapter=str(path),
        trained_from="v1",
        trained_from_hash=selection.content_hash,
        metadata=json.dumps({"epochs": 2, "lora_r": 64}),
    )
    fill([episode(f"test {index}", reward=float(index > 0)) for index in range(4)], dataset="test", start=50)
    with lake.write("evaluate") as batch:
        batch.add([model])
        rows = lake.sql(
            f"SELECT * REPLACE ('student' AS role, '{STUDENT}' AS model_id, 1 AS attempt) FROM trajectories"
            " WHERE dataset = 'test'"
        )
        batch.add_arrow("trajectories", rows.to_arrow_table())
        graded = "trajectory_id IN (SELECT trajectory_id FROM trajectories WHERE dataset = 'test')"
        scores = lake.sql(f"SELECT * REPLACE (1 AS attempt) FROM scores WHERE {graded}")
        batch.add_arrow("scores", scores.to_arrow_table())
    return lake, path


def publish(lake: Lake, path: Path, *options: str) -> int:
    return run(["publish", REPO, "--model", str(path), "--lake", str(lake.path), *options])


def test_a_model_card_names_the_selection_and_the_evaluation(trained: tuple[Lake, Path], hub: SimulatedHub) -> None:
    lake, path = trained
    assert publish(lake, path, "--license", "Apache-2.0", "--confirm") == 0
    sent = hub.files(REPO, "model")
    assert sent.keys() == {
        ".gitattributes", "README.md", "adapter_config.json", "adapter_model.safetensors", "evaluation.jsonl",
        "manifest.json", "model.json",
    }  # fmt: skip
    card = sent["README.md"].decode()
    content_hash = find_selection(lake.snapshot(), "v1").content_hash
    assert f"Selection `v1`, content hash `{content_hash}`: 4 trajectories" in card
    assert "| test | – | 4 | agent | 3 | 75.0 |" in card
    assert "base_model: Qwen/Qwen2.5-0.5B-Instruct" in card
    assert "license: apache-2.0" in card
    assert "lora_r: 64" in card
    assert str(path) not in card + sent["model.json"].decode() + sent["manifest.json"].decode()
    assert len(sent["evaluation.jsonl"].splitlines()) == 4
    assert hub.repo(REPO, "model").private


def test_a_model_is_gated_like_data(
    trained: tuple[Lake, Path], hub: SimulatedHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake, path = trained
    assert publish(lake, path, "--confirm") == 2
    assert "no licence is known for the model" in capsys.readouterr().err
    out = tmp_path / "out"
    assert publish(lake, path, "--license", "MIT", "--out", str(out)) == 0
    lines = (out / "evaluation.jsonl").read_text().replace('"correct":false', '"correct":true')
    (out / "evaluation.jsonl").write_text(lines)
    assert run(["publish", REPO, "--from", str(out), "--confirm"]) == 2
    assert "evaluation.jsonl is not as manifest.json says" in capsys.readouterr().err
    (path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "/home/aschmidt/qwen"}))
    assert publish(lake, path, "--license", "MIT", "--confirm") == 2
    assert "home directory" in capsys.readouterr().err
    assert not hub.repos


def test_a_directory_that_is_no_model_of_the_lake_is_refused(
    trained: tuple[Lake, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake, path = trained
    assert publish(lake, adapter(tmp_path / "stranger"), "--license", "MIT") == 2
    assert "knows no model at" in capsys.readouterr().err
    (path / "adapter_model.safetensors").unlink()
    assert publish(lake, path, "--license", "MIT") == 2
    assert "expected weights" in capsys.readouterr().err
