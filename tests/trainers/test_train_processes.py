import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from episodes import Fill, episode
from safetensors.torch import load_file
from sft_rows import Workshop

from pipelines.filter import filter_lake
from pipelines.recipe import parse_recipe
from toolkit.api import open_lake
from trainers.sft.command import resolve
from trainers.sft.lineage import prepare
from trainers.sft.rows import plan

TIMEOUT_S = 600
SETTINGS = "epochs: 2\nlora_r: 4\nseed: 3\nlog_steps: 1\nwarmup: 0\n"
# `--multi_gpu` starts torch's launcher, as for GPUs; with `--cpu` accelerate would want MPI, and without it start one
# process. ACCELERATE_USE_CPU below keeps the processes off GPUs; they then meet through gloo.
TWO = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"]
TWO += ["--mixed_precision", "no", "--dynamo_backend", "no"]

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Trained:
    """What a training left."""

    said: dict[str, object]
    losses: list[float]
    """Of each step."""
    norms: list[float]
    """Of each step's gradient."""
    adapter: dict[str, torch.Tensor]


Train = Callable[..., Trained]


@pytest.fixture
def train(fill: Fill, workshop: Workshop, tmp_path: Path) -> Train:
    """`toolkit train` in so many processes, on 16 trajectories of different lengths."""
    lake = fill([episode(f"question {index}", searches=1 + index % 3) for index in range(16)])
    filter_lake(lake, parse_recipe("name: v1\nsteps: []\n", "recipe"))

    def run(processes: int, settings: str) -> Trained:
        config, out = tmp_path / "train.yaml", tmp_path / f"by-{processes}"
        config.write_text(SETTINGS + settings)
        command = [sys.executable, *(TWO if processes == 2 else []), "-m", "toolkit.cli", "train", "--json"]
        command += ["--selection", "v1", "--base", str(workshop.base), "--lake", str(tmp_path / "lake")]
        command += ["--config", str(config), "--out", str(out)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, env=environment, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        newest = max((out / "checkpoints").glob("checkpoint-*"), key=lambda path: int(path.name.partition("-")[2]))
        log = [row for row in json.loads((newest / "trainer_state.json").read_text())["log_history"] if "loss" in row]
        return Trained(
            json.loads(done.stdout[done.stdout.index("{\n") :]),
            [row["loss"] for row in log],
            [row["grad_norm"] for row in log],
            load_file(out / "adapter_model.safetensors"),
        )

    return run


@pytest.mark.parametrize(
    ("settings", "accumulation"),
    [
        ("packing: false\nbatch_size: 4\n", (4, 2)),
        # All rows are one step: packs of one process and of two hold different rows.
        ("packing: true\nbatch_size: 16\n", (1, 1)),
    ],
    ids=["rows", "packed"],
)
def test_two_processes_launched_by_accelerate_train_as_one(
    train: Train, tmp_path: Path, settings: str, accumulation: tuple[int, int]
) -> None:
    one, two = (train(processes, f"{settings}learning_rate: 0.01\n") for processes in (1, 2))
    assert (one.said["accumulation"], two.said["accumulation"]) == accumulation
    assert len(one.losses) == one.said["steps"] == two.said["steps"]
    assert two.losses == pytest.approx(one.losses, rel=1e-3)
    assert two.norms == pytest.approx(one.norms, rel=1e-2)
    assert one.losses[-1] < 0.9 * one.losses[0]
    for name, tensor in one.adapter.items():
        torch.testing.assert_close(two.adapter[name], tensor, rtol=1e-2, atol=1e-3)
    rows = open_lake(tmp_path / "lake").sql("SELECT count(*) FROM runs WHERE kind = 'train'").fetchall()
    assert rows == [(2,)]


def test_a_step_of_two_processes_is_the_mean_over_the_weights_of_both(
    train: Train, workshop: Workshop, tmp_path: Path
) -> None:
    # Nothing is learned, so that batch after batch one process says what two say of pairs of batches.
    settings = "batch_tokens: 600\nlearning_rate: 1.0e-12\n"
    one, two = (train(processes, settings) for processes in (1, 2))
    resolved = resolve(tmp_path / "train.yaml", {})
    rows = prepare(open_lake(tmp_path / "lake"), "v1", resolved, str(workshop.base)).train
    planned = plan(rows, resolved).batches
    assert planned is not None
    weight_of_row = [sum(weights) for weights in rows["loss_weights"].to_pylist()]
    weights = [sum(weight_of_row[row] for row in batch) for batch in planned.batches]
    assert len(set(weights)) > 1
    pairs = [
        sum(weights[step] * one.losses[step] for step in pair) / sum(weights[step] for step in pair)
        for pair in zip(range(0, len(weights), 2), range(1, len(weights), 2), strict=False)
    ]
    assert two.losses == pytest.approx(pairs, rel=1e-4)
