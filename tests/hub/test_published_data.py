"""What others see of a publication: `load_dataset`, `diff`, and a large round trip."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest
from episodes import Fill, episode
from publications import LICENSES, RECIPE, REPO, filled, publish, select
from simulated_hub import SimulatedHub

from bench.synthetic import DATASETS, episodes, the_run
from toolkit.api import open_lake
from toolkit.cli.main import run

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


def client_environment(hub: SimulatedHub, home: Path) -> dict[str, str]:
    return {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }


def test_load_dataset_gives_typed_features_of_every_configuration(
    fill: Fill, hub: SimulatedHub, tmp_path: Path
) -> None:
    lake = filled(fill)
    assert publish(lake, "--validation", "0.5", "--seed", "1", "--confirm") == 0
    client = [sys.executable, str(Path(__file__).with_name("hub_client.py")), REPO]
    environment = client_environment(hub, tmp_path / "home")
    done = subprocess.run(client, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = {line[0]: line[1:] for line in map(json.loads, done.stdout.splitlines())}
    default, steps, messages = (loaded[name] for name in ("default", "steps", "messages"))
    assert default[0] == messages[0]
    assert sum(default[0].values()) == 4
    assert (
        sum(steps[0].values())
        == lake.sql("SELECT sum(n_steps) FROM trajectories WHERE final_answer IS NOT NULL").fetchall()[0][0]
    )
    assert default[1]["n_steps"] == steps[1]["step_index"] == "Value('int64')"
    assert default[1]["started_at"] == "Value('timestamp[us, tz=UTC]')"
    assert default[1]["correct"] == "Value('bool')"
    assert default[1]["steps"].startswith("List({'step_index': Value('int64')")
    assert [step["weight"] for step in default[2]["steps"]][-1] == 1.0
    assert {turn["role"] for turn in messages[2]["messages"]} == {"user", "assistant"}


def test_diff_compares_a_selection_with_a_published_one(
    fill: Fill, hub: SimulatedHub, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = filled(fill)
    assert publish(lake, "--tag", "v1.0", "--confirm") == 0

    def differ(left: str, right: str) -> dict[str, object]:
        capsys.readouterr()
        assert run(["diff", left, right, "--lake", str(lake.path), "--json"]) == 0
        found: dict[str, object] = json.loads(capsys.readouterr().out)
        return found

    same = differ("v1", f"hub:{REPO}")
    assert same["same_content"]
    assert not any(same[name] for name in ("in", "out", "content_changed", "weights_changed"))
    fill([episode("one more", reward=1.0)], start=90)
    select(lake, "name: v1\nsteps: [{where: \"stop_reason = 'final_answer' and question <> 'question 0'\"}]")
    found = differ(f"hub:{REPO}@v1.0", "v1")
    counts = {name: len(found[name]) for name in ("in", "out", "content_changed", "weights_changed")}  # type: ignore[arg-type]
    assert counts == {"in": 1, "out": 1, "content_changed": 0, "weights_changed": 2}
    assert differ("v1", f"hub:{REPO}@v1.0")["out"][0]["trajectory_id"] == found["in"][0]["trajectory_id"]  # type: ignore[index]
    assert publish(lake, "--confirm") == 0
    assert len(differ(f"hub:{REPO}@v1.0", f"hub:{REPO}@main")["weights_changed"]) == 2  # type: ignore[arg-type]
    assert run(["diff", "v1", "hub:org/none", "--lake", str(lake.path)]) == 2
    assert "there is no dataset org/none" in capsys.readouterr().err


def test_an_upload_that_was_killed_goes_on_with_the_files_that_are_missing(
    fill: Fill, hub: SimulatedHub, tmp_path: Path
) -> None:
    lake = filled(fill)
    hub.faults["hang put"] = 3
    command = [sys.executable, "-m", "toolkit.cli", "publish", REPO, "--selection", "v1", "--lake", str(lake.path)]
    process = subprocess.Popen([*command, *LICENSES, "--confirm"], env=client_environment(hub, tmp_path / "home"))
    deadline = monotonic() + 120
    # Nineteen large files, of which three never arrive.
    while len(hub.objects) < 15 and process.poll() is None and monotonic() < deadline:
        sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished, begun = set(hub.objects), list(hub.puts)
    assert finished
    assert not hub.commit_lines
    assert publish(lake, "--confirm") == 0
    assert not set(hub.puts[len(begun) :]) & finished
    assert "manifest.json" in hub.files(REPO)


@pytest.mark.slow
def test_ten_thousand_trajectories_come_back_as_they_were(hub: SimulatedHub, tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake", create=True)
    with lake.write("synthetic") as batch:
        batch.add([the_run(0)])
        for rows in episodes(10_000, seed=0):
            batch.add(rows)
    select(lake, RECIPE.replace("stop_reason = 'final_answer'", "true"))
    licenses = [f"--license={name}=CC-BY-4.0" for name in DATASETS]
    assert publish(lake, "--license", "CC0-1.0", "--confirm", licenses=licenses) == 0
    assert run(["pull", REPO, "--lake", str(tmp_path / "pulled")]) == 0
    pulled = open_lake(tmp_path / "pulled")
    for table in ("trajectories", "steps", "tool_calls", "tasks", "scores", "decisions", "step_weights", "selections"):
        query = f"SELECT count(*), sum(hash(t)::HUGEINT) FROM {table} t"
        assert pulled.sql(query).fetchall() == lake.sql(query).fetchall(), table
    assert pulled.sql("SELECT count(*) FROM trajectories").fetchall() == [(10_000,)]


def test_the_card_says_what_decontamination_found_of_which_benchmark(
    fill: Fill, hub: SimulatedHub, tmp_path: Path
) -> None:
    question = "Which river flows through the town where the glass painter Ada Quillon was born?"
    benchmark = tmp_path / "made_up.jsonl"
    benchmark.write_text(json.dumps({"id": "q0", "question": question, "answer": "Sarn"}))
    lake = fill([episode(question, reward=1.0), episode("Who mills?", reward=1.0)])
    select(lake, f"name: v1\nsteps:\n  - decontaminate: {{against: ['{benchmark}']}}\n")
    assert publish(lake, "--out", tmp_path / "out") == 0
    card = (tmp_path / "out/README.md").read_text()
    assert r"| made\_up.jsonl | task | exact | drops | 1 | 1 | 0 |" in card
