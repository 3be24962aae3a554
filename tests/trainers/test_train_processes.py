import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from episodes import Fill, episode
from sft_rows import Workshop

from pipelines.filter import filter_lake
from pipelines.recipe import parse_recipe

OPTIONS = ["--epochs", "2", "--batch-size", "4", "--learning-rate", "0.01", "--lora-r", "4", "--seed", "3", "--json"]
TIMEOUT_S = 300


@pytest.mark.slow
@pytest.mark.parametrize("form", [("--no-packing",), ("--batch-tokens", "600")], ids=["rows", "tokens"])
def test_two_processes_train_as_one(fill: Fill, workshop: Workshop, tmp_path: Path, form: tuple[str, ...]) -> None:
    lake = fill([episode(f"question {index}", searches=1 + index % 3) for index in range(16)])
    filter_lake(lake, parse_recipe("name: v1\nsteps: []\n", "recipe"))
    given = ["--selection", "v1", "--base", str(workshop.base), "--lake", str(tmp_path / "lake"), *OPTIONS, *form]

    def trained(launcher: list[str], out: str) -> dict[str, float]:
        command = [sys.executable, *launcher, "-m", "toolkit.cli", "train", *given, "--out", str(tmp_path / out)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, env=environment, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        said = json.loads(done.stdout[done.stdout.index("{\n") :])
        return {**said["metrics"], "steps": said["steps"], "accumulation": said["accumulation"]}

    # What `accelerate launch` starts for several GPUs; on CPUs it would ask for MPI.
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    one, two = trained([], "one"), trained(launcher, "two")
    if form == ("--no-packing",):
        # The same rows make the same steps, whoever computes them.
        assert two["steps"] == one["steps"] == 8
        assert (one["accumulation"], two["accumulation"]) == (4, 2)
        assert two["train_loss"] == pytest.approx(one["train_loss"], rel=1e-3)
    else:
        assert two["steps"] == (one["steps"] - one["steps"] % 2) / 2
    assert lake.sql("SELECT count(*) FROM runs WHERE kind = 'train'").fetchall() == [(2,)]
