import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from simulated_server import Manners, SimulatedServer, served
from tiny_model import make_tiny_model

import toolkit
from toolkit.cli.main import run
from toolkit.dialects import load_dialect

KEY = "sk-very-secret"


@pytest.fixture
def generating(tmp_path: Path) -> Callable[..., int]:
    """Runs `generate` on two questions into the lake of this test."""
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text('{"question": "Twice 21?", "answer": 42}\n{"question": "Twice 2?", "answer": 4}\n')

    def generate(*options: str) -> int:
        common = [
            "--tasks",
            str(tasks),
            "--sandbox",
            "unsafe",
            "--lake",
            str(tmp_path / "lake"),
            "--completion-tokens",
            "40",
        ]
        return run(["generate", *common, "--max-steps", "2", *options])

    return generate


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        (
            ["--teacher", "gpt-5"],
            "expected oracle, oracle:recall=SHARE, openai:MODEL, hf:PATH_OR_NAME, vllm:PATH_OR_NAME or scripted:FILE",
        ),
        (["--teacher", "hf:"], "as the model, got 'hf:'"),
        (["--teacher", "hf:./nowhere"], "there is no directory ./nowhere"),
        (["--teacher", "hf:{tmp}"], "config.json is missing"),
        (["--teacher", "openai:m", "--endpoint", "localhost:8000"], "expected an address such as"),
        (["--teacher", "openai:m", "--endpoint", "http://h/v1,wieght=2"], "got 'wieght'"),
        (["--teacher", "openai:m", "--endpoint", "http://h/v1,key_env=NO_SUCH_KEY"], "NO_SUCH_KEY is not set"),
        (["--teacher", "openai:m", "--endpoint", "http://h/v1", "--base-url", "http://i/v1"], "both name servers"),
        (["--teacher", "oracle", "--endpoint", "http://h/v1"], "--endpoint is for openai: models"),
        (["--teacher", "openai:m", "--adapter", "a"], "--adapter is for hf: and vllm: models, not openai:m"),
        (["--teacher", "oracle", "--logprobs"], "--logprobs is for openai: and hf: and vllm: models"),
        (["--teacher", "vllm:m", "--device", "cpu"], "--device is for hf: models"),
    ],
)
def test_wrong_options_of_models_are_named_before_anything_runs(
    options: list[str], finding: str, generating: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generating(*(option.format(tmp=tmp_path) for option in options)) == 2
    assert finding in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(("missing", "spec", "extra"), [("torch", "hf:m", "local"), ("vllm", "vllm:m", "vllm")])
def test_a_missing_extra_is_named_with_its_install_command(missing: str, spec: str, extra: str, tmp_path: Path) -> None:
    # As if the package were not there, whatever this environment holds.
    program = (
        f"import sys; sys.modules[{missing!r}] = None; from toolkit.cli.main import run; sys.exit(run(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "ask", "Who?", "--model", spec, "--sandbox", "unsafe"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    said = " ".join(done.stderr.split())
    assert f"the model {spec} needs {missing}: pip install 'trajectory-toolkit[{extra}]'" in said


def test_a_server_continues_first_thoughts_and_no_key_is_kept(
    generating: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    server = SimulatedServer(key=KEY)
    with served(server) as url:
        assert (
            generating("--teacher", "openai:tiny", "--endpoint", f"{url},key_env=MY_KEY,in_flight=1", "--logprobs") == 0
        )
    assert server.most_in_flight == 1
    lake = toolkit.open_lake(tmp_path / "lake")
    first = lake.sql("SELECT completion, prefix_chars, logprobs FROM steps WHERE prefix_chars > 0").fetchall()
    assert len(first) == 2
    for completion, prefix_chars, logprobs in first:
        assert completion.startswith("Thought: ")
        assert len(logprobs) == len(completion) - prefix_chars
    chains = lake.sql(
        "SELECT logprobs FROM steps JOIN trajectories USING (trajectory_id) WHERE kind = 'cot'"
    ).fetchall()
    assert [len(logprobs) for (logprobs,) in chains] == [40, 40]
    for path in (tmp_path / "lake").rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes()


def test_a_server_that_cannot_continue_is_offered_the_instructed_way_and_takes_it(
    generating: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = SimulatedServer(Manners(flags="refused", last_turn="refused"))
    with served(server) as url:
        assert generating("--teacher", "openai:tiny", "--base-url", url) == 2
        assert "--ftp-mode instruct" in " ".join(capsys.readouterr().err.split())
        server.prompts.clear()
        assert generating("--teacher", "openai:tiny", "--base-url", url, "--ftp-mode", "instruct") == 0
    lake = toolkit.open_lake(tmp_path / "lake")
    thoughts = lake.sql("SELECT first_thought FROM trajectories WHERE kind = 'agent'").fetchall()
    assert len(thoughts) == 2
    asked = "Begin your first thought with exactly the following text, and go on from there:\n"
    for (thought,) in thoughts:
        # In the task turn of every step, so that a conversation never changes behind the model's back.
        assert sum(f"{asked}{thought}<|im_end|>" in prompt for prompt in server.prompts) == 2
    assert lake.sql("SELECT max(prefix_chars) FROM steps").fetchall() == [(0,)]


def test_two_ways_to_force_a_first_thought_are_two_sets_of_rollouts(
    generating: Callable[..., int], tmp_path: Path
) -> None:
    with served(SimulatedServer()) as url:
        for mode in ("prefix", "instruct", "prefix"):
            assert generating("--teacher", "openai:tiny", "--base-url", url, "--ftp-mode", mode) == 0
    lake = toolkit.open_lake(tmp_path / "lake")
    kinds = lake.sql("SELECT kind, count(DISTINCT trajectory_id) FROM trajectories GROUP BY 1 ORDER BY 1").fetchall()
    assert kinds == [("agent", 4), ("cot", 2)]


@pytest.mark.parametrize(
    ("status", "exit_code", "stop_reasons"), [(400, 1, [("error",), ("max_steps",)]), (401, 2, [("max_steps",)])]
)
def test_a_refused_request_ends_its_rollout_and_a_revoked_key_the_run(
    status: int, exit_code: int, stop_reasons: list[tuple[str]], generating: Callable[..., int], tmp_path: Path
) -> None:
    server = SimulatedServer(refuses=("Twice 2?", status))
    with served(server) as url:
        options = ("--teacher", "openai:tiny", "--base-url", url, "--no-ftp", "--in-flight", "1")
        assert generating(*options) == exit_code
    rows = toolkit.open_lake(tmp_path / "lake").sql("SELECT stop_reason FROM trajectories ORDER BY 1").fetchall()
    assert rows == stop_reasons


def test_a_model_in_process_makes_trajectories(generating: Callable[..., int], tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "student")
    assert generating("--teacher", f"hf:{model}", "--dtype", "float32", "--logprobs", "--limit", "1") == 0
    lake = toolkit.open_lake(tmp_path / "lake")
    rows = lake.sql("SELECT prefix_chars, completion, token_ids FROM steps WHERE step_index = 0 AND prefix_chars > 0")
    for prefix_chars, completion, token_ids in rows.fetchall():
        assert len(completion) - prefix_chars == len(token_ids) == 40
    ((name, revision),) = lake.sql("SELECT name, revision FROM models").fetchall()
    assert name == "student"
    assert len(revision) == 24
    ((identity,),) = lake.sql("SELECT DISTINCT identity FROM runs").fetchall()
    assert str(tmp_path) not in orjson.dumps(orjson.loads(identity)["model"]).decode()


def test_first_thought_instructions_are_part_of_the_task_turn() -> None:
    for name in ("codeact", "smolagents"):
        dialect = load_dialect(name)
        turn = dialect.instructed_task_turn("Who?", "I need\nthe name.")
        assert turn.startswith(dialect.task_turn("Who?") + "\n\n")
        assert turn.endswith(":\nI need\nthe name.")
