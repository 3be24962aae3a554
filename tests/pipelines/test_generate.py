import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.generate import GenerateOptions, generate
from pipelines.parts import ModelOptions, build_sandbox
from schemas import Task, TrajectoryKind
from toolkit.agent.recorder import TOOL_TIMEOUT_S
from toolkit.agent.report import Report
from toolkit.api import Lake, open_lake
from toolkit.cli.main import run
from toolkit.contracts import Limits, Passage
from toolkit.retrieval.lexical import LexicalRetriever
from toolkit.tasks.minipedia import Minipedia

WORLD = Minipedia(0, 200)
TASKS = list(WORLD.tasks("train", limit=30))


def make(
    path: Path,
    tasks: list[Task] = TASKS,
    *,
    slips: float = 0.3,
    samples: int = 1,
    first_thoughts: int = 1,
    in_flight: int = 16,
    kind: TrajectoryKind = "agent",
) -> tuple[Lake, Report]:
    lake = open_lake(path, create=True)
    options = GenerateOptions(
        ModelOptions("oracle", slips=slips),
        kind=kind,
        samples=samples,
        first_thoughts=first_thoughts,
        in_flight=in_flight,
    )
    retriever = LexicalRetriever.over(Passage(article.title, article.text) for article in WORLD.articles("train"))
    return lake, asyncio.run(generate(lake, tasks, options, retriever, run_kind="generate"))


def contents(lake: Lake) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = lake.sql(
        "SELECT trajectory_id, content_hash FROM trajectories ORDER BY 1"
    ).fetchall()
    return found


def test_one_and_many_in_flight_give_the_same_ids_and_contents(tmp_path: Path) -> None:
    one, _ = make(tmp_path / "one", in_flight=1)
    many, _ = make(tmp_path / "many", in_flight=64)
    assert len(contents(one)) == 2 * len(TASKS)
    assert contents(one) == contents(many)


def test_an_oracle_without_slips_answers_what_retrieval_finds(tmp_path: Path) -> None:
    lake, report = make(tmp_path / "lake", slips=0.0)
    assert report.stop_reasons == {"final_answer": len(TASKS)}
    assert run(["score", "--lake", str(lake.path), "--workers", "1"]) == 0
    (counted,) = lake.sql(
        "SELECT count(*) FILTER (correct), count(*) FILTER (final_answer = 'unknown') FROM trajectories_scored "
        "WHERE kind = 'agent'"
    ).fetchall()
    assert sum(counted) == len(TASKS)
    assert counted[0] >= 0.9 * len(TASKS)


def test_every_ftp_trajectory_begins_with_the_first_paragraph_of_its_source(tmp_path: Path) -> None:
    lake, _ = make(tmp_path / "lake")
    rows = lake.sql("""
        SELECT s.completion, s.prefix_chars, c.completion, t.first_thought FROM trajectories t
        JOIN steps s ON s.trajectory_id = t.trajectory_id AND s.step_index = 0
        JOIN steps c ON c.trajectory_id = t.first_thought_source
        WHERE t.kind = 'agent'""").fetchall()
    assert len(rows) == len(TASKS)
    for completion, prefix_chars, chain, first_thought in rows:
        prefix = "Thought: " + chain.split("\n\n")[0]
        assert completion[:prefix_chars] == prefix
        assert first_thought == chain.split("\n\n")[0]


def test_samples_share_a_first_thought_unless_more_are_asked_for(tmp_path: Path) -> None:
    shared, _ = make(tmp_path / "shared", TASKS[:5], samples=3)
    own, report = make(tmp_path / "own", TASKS[:5], samples=3, first_thoughts=3)
    count = "SELECT count(DISTINCT first_thought_source) FROM trajectories WHERE kind = 'agent'"
    assert [lake.sql(count).fetchall() for lake in (shared, own)] == [[(5,)], [(15,)]]
    assert report.chains == 15


def test_what_the_lake_holds_is_not_made_again(tmp_path: Path) -> None:
    lake, first = make(tmp_path / "lake", TASKS[:10])
    _, second = make(tmp_path / "lake", TASKS[:20])
    assert (first.finished, second.finished, second.skipped) == (10, 10, 10)
    assert lake.sql("SELECT count(*), count(DISTINCT task_id) FROM raw.trajectories").fetchall() == [(40, 20)]
    assert lake.sql("SELECT count(*) FROM raw.tasks").fetchall() == [(20,)]


def test_chains_with_passages_keep_what_they_were_shown(tmp_path: Path) -> None:
    lake, _ = make(tmp_path / "lake", TASKS[:5], kind="cot_rag")
    rows = lake.sql("SELECT name, json_array_length(result) FROM tool_calls").fetchall()
    assert rows == [("web_search", 3)] * 5


def test_a_question_without_plan_is_refused_before_anything_runs(tmp_path: Path) -> None:
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text('{"question": "Who?", "answer": "Bo"}\n')
    arguments = ["generate", "--tasks", str(tasks), "--lake", str(tmp_path / "lake")]
    assert run(arguments) == 2
    assert not list((tmp_path / "lake" / "commits").glob("*.json"))


@pytest.mark.parametrize(
    ("arguments", "finding"),
    [
        (["--tasks", "minipedia:trian"], "trian"),
        (["--tasks", "{answerless}"], "line 2"),
        (["--tasks", "minipedia:train", "--samples", "0"], "--samples must be at least 1"),
        (["--tasks", "minipedia:train", "--first-thoughts", "0"], "--first-thoughts must be at least 1"),
        (["--tasks", "minipedia:train", "--passages", "0"], "--passages must be at least 1"),
        (["--tasks", "minipedia:train", "--completion-tokens", "0"], "--completion-tokens must be at least 1"),
        (["--tasks", "minipedia:train", "--in-flight", "0"], "--in-flight must be at least 1"),
        (["--tasks", "minipedia:train", "--temperature", "nan"], "--temperature must be a number from 0, got nan"),
        (["--tasks", "minipedia:train", "--temperature", "-1"], "--temperature must be a number from 0, got -1"),
        (["--tasks", "minipedia:train", "--top-p", "1.5"], "--top-p must be above 0 and at most 1, got 1.5"),
        (["--tasks", "minipedia:train", "--index", "nowhere"], "nowhere"),
        (["--tasks", "{good}", "--teacher", "gpt"], "openai:MODEL, hf:PATH_OR_NAME"),
        (["--tasks", "{good}", "--teacher", "scripted:none.json"], "none.json"),
        (
            [
                "--tasks",
                "{good}",
                "--teacher",
                "openai:m",
                "--base-url",
                "http://127.0.0.1:9/v1",
            ],
            "cannot reach",
        ),
        (["--tasks", "{good}", "--teacher", "scripted:{script}", "--tools", "{untyped}"], "untyped.py"),
        (["--tasks", "{good}", "--teacher", "scripted:{script}", "--dialect", "latin"], "latin"),
        (["--tasks", "{good}", "--teacher", "scripted:{script}", "--modules", "os.path"], "give 'os' instead"),
        (["--tasks", "{good}", "--teacher", "scripted:{script}", "--modules", "nosuch"], "'nosuch' is not installed"),
    ],
)
def test_wrong_options_stop_before_anything_is_spent(
    tmp_path: Path, arguments: list[str], finding: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        "answerless": '{"question": "a", "answer": "b"}\n{"question": "c"}\n',
        "good": '{"question": "a", "answer": "b"}\n',
        "script": '["x"]',
        "untyped": 'from toolkit.tools import tool\n@tool\ndef f(x):\n    """Docs."""\n    return x\n',
    }
    suffixes = {"answerless": "jsonl", "good": "jsonl", "script": "json", "untyped": "py"}
    paths = {name: tmp_path / f"{name}.{suffixes[name]}" for name in files}
    for name, text in files.items():
        paths[name].write_text(text)
    resolved = [argument.format(**paths) for argument in arguments]
    assert run(["generate", *resolved, "--lake", str(tmp_path / "lake")]) == 2
    assert finding in capsys.readouterr().err
    assert not list((tmp_path / "lake").glob("segments/*"))


def test_a_call_that_takes_too_long_is_given_up_by_the_recorder_before_the_sandbox_does() -> None:
    assert build_sandbox({}, "unsafe", Limits()).tool_timeout_s > TOOL_TIMEOUT_S


def test_ctrl_c_commits_what_has_ended_and_the_next_run_goes_on(tmp_path: Path) -> None:
    tasks, script = tmp_path / "tasks.jsonl", tmp_path / "script.json"
    tasks.write_text("".join(json.dumps({"question": f"q{n}", "answer": "1"}) + "\n" for n in range(400)))
    slow = "Thought: wait\nCode:\n```py\nimport time\ntime.sleep(0.2)\nfinal_answer(1)\n```"
    script.write_text(json.dumps([slow] * 400))
    lake = tmp_path / "lake"
    command = [
        sys.executable,
        "-m",
        "toolkit.cli",
        "generate",
        "--tasks",
        str(tasks),
        "--teacher",
        f"scripted:{script}",
    ]
    command += ["--no-ftp", "--in-flight", "2", "--lake", str(lake), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(6)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    report = json.loads(out)
    assert process.returncode == 1, err
    assert report["interrupted"]
    assert 0 < report["finished"] < 400
    counted = open_lake(lake).sql("SELECT count(*) FROM trajectories WHERE stop_reason = 'final_answer'").fetchall()
    assert counted == [(report["finished"],)]
