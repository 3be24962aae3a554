"""Students trained here, in the hands of a real vLLM server."""

import json
import re
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tiny_model import make_tiny_model
from vllm_service import vllm_server

from toolkit.api import Lake, open_lake
from toolkit.cli.main import run
from toolkit.dialects import load_dialect

pytestmark = pytest.mark.service

LETTERS = "kbtq"
PROMPT = "Answer with Python.\n"
"""The students' system prompt here: one token is one character, and two cores have to read them all."""
SETTINGS = """
lora_r: 16
lora_alpha: 32
packing: false
batch_size: 4
micro_batch: 4
epochs: 90
optimizer: muon
muon_learning_rate: 0.02
schedule: wsd
"""
"""Enough to know the questions by heart: the likeliest token is then far ahead of the next, and no rounding decides."""
DIALECT = load_dialect("codeact")
TURNS = (DIALECT.render("Count.", "x = ord('?') - 96\nprint(x)"), DIALECT.render("Done.", "final_answer(x)"))
CHAT = "/chat/completions"


def question(letter: str) -> str:
    """So much of it that the student cannot miss it."""
    return f"{letter * 24}?"


def place_of(letter: str) -> int:
    """Its number in the alphabet."""
    return ord(letter) - 96


@dataclass(frozen=True)
class Student:
    """A base, an adapter trained for it, and both as one model."""

    base: Path
    adapter: Path
    merged: Path
    place: Path

    @property
    def data(self) -> list[str]:
        return ["--tasks", str(self.place / "tasks.json"), "--sandbox", "unsafe", *self.lake]

    @property
    def lake(self) -> list[str]:
        return ["--lake", str(self.place / "lake")]

    def evaluate(self, name: str, *model: str) -> Lake:
        given = ["--templates", str(self.place / "prompts"), "--name", name, "--completion-tokens", "80"]
        assert run(["evaluate", *self.data, *given, "--model", *model]) == 0
        return open_lake(self.place / "lake")


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Student:
    """Trained by the commands that people use."""
    place = tmp_path_factory.mktemp("student")
    base, adapter = make_tiny_model(place / "base", teachable=True), place / "adapter"
    made = Student(base, adapter, adapter / "merged", place)
    examples = [{"id": letter, "question": question(letter), "answer": place_of(letter)} for letter in LETTERS]
    (place / "tasks.json").write_text(json.dumps({"metadata": {"dataset_info": {"name": "abc"}}, "examples": examples}))
    replies = [turn.replace("?", letter) for letter in LETTERS for turn in TURNS]
    (place / "teacher.json").write_text(json.dumps(replies))
    (place / "recipe.yaml").write_text("name: v1\nsteps:\n  - where: correct\n")
    (place / "train.yaml").write_text(SETTINGS)
    (place / "prompts").mkdir()
    (place / "prompts" / "codeact_student.jinja").write_text(PROMPT)
    teacher = ["--teacher", f"scripted:{place / 'teacher.json'}", "--in-flight", "1", "--no-ftp"]
    assert run(["generate", *made.data, *teacher]) == 0
    assert run(["score", *made.lake]) == 0
    assert run(["filter", str(place / "recipe.yaml"), *made.lake]) == 0
    settings = ["--config", str(place / "train.yaml"), "--prompts", str(place / "prompts"), "--merge"]
    assert run(["train", "--selection", "v1", "--base", str(base), "--out", str(adapter), *settings, *made.lake]) == 0
    return made


@pytest.fixture(scope="module")
def url(student: Student, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of the base and the adapter, with the adapter's generation settings."""
    log = tmp_path_factory.mktemp("log") / "vllm.log"
    with vllm_server(student.base, student.adapter, log, "--generation-config", str(student.adapter)) as base_url:
        yield base_url


def said(lake: Lake, name: str) -> list[tuple[Any, ...]]:
    """Question, what was said at each step, answer and grade of an evaluation."""
    return lake.sql(
        "SELECT t.task_id, list(s.completion ORDER BY s.step_index), any_value(t.final_answer), any_value(t.correct) "
        "FROM trajectories_scored t JOIN steps s USING (trajectory_id) "
        f"WHERE t.trajectory_id IN (SELECT trajectory_id FROM evaluated JOIN evaluations e USING (identity_hash) "
        f"WHERE e.name = '{name}') GROUP BY t.task_id ORDER BY t.task_id"
    ).fetchall()


def test_an_adapter_answers_through_vllm_as_through_transformers(student: Student, url: str) -> None:
    served = student.evaluate("served", "openai:tiny-adapted", "--base-url", url)
    local = student.evaluate("local", f"hf:{student.base}", "--adapter", str(student.adapter))
    assert said(served, "served") == said(local, "local")
    answers = [(len(turns), answer, correct) for _, turns, answer, correct in said(local, "local")]
    assert sorted(answers) == sorted((2, str(place_of(letter)), True) for letter in LETTERS)
    # That is the adapter's doing.
    bare = student.evaluate("bare", "openai:tiny", "--base-url", url, "--max-steps", "1")
    assert [correct for *_, correct in said(bare, "bare")] == [False] * len(LETTERS)


def test_sag_asks_vllm_for_eight_actions_in_one_request_a_step(student: Student, url: str) -> None:
    served = ["openai:tiny-adapted", "--base-url", url]
    counts = [requests_of(url)]
    student.evaluate("greedy again", *served, "--seed", "1")
    counts.append(requests_of(url))
    lake = student.evaluate("sag", *served, "--policy", "sag", "--sag-samples", "8")
    counts.append(requests_of(url))
    turns = [turn for _, turns, _, correct in said(lake, "sag") for turn in turns if correct]
    rows = lake.sql("SELECT count(*), sum(chosen::INT) FROM candidates GROUP BY trajectory_id, step_index").fetchall()
    assert rows == [(8, 1)] * len(turns)
    assert len(turns) == 2 * len(LETTERS)
    # Greedily, each step is a request; before them the server is put to the same test.
    greedily, by_vote = counts[1] - counts[0], counts[2] - counts[1]
    assert by_vote == greedily >= len(turns)


@pytest.mark.parametrize("form", ["adapter", "merged"])
def test_vllm_ends_a_students_turn_without_being_given_a_stop_string(
    form: str, student: Student, url: str, tmp_path: Path
) -> None:
    asked = {
        "messages": [
            {"role": "system", "content": PROMPT.strip()},
            {"role": "user", "content": DIALECT.task_turn(question("t"))},
        ],
        "temperature": 0,
        "max_tokens": 200,
    }
    if form == "adapter":
        choice = post(url + CHAT, {"model": "tiny-adapted", **asked})
    else:
        with vllm_server(student.merged, None, tmp_path / "vllm.log") as merged_url:
            choice = post(merged_url + CHAT, {"model": "tiny", **asked})
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"] == TURNS[0].replace("?", "t")


def post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    """The first choice of an answer."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as answer:
        choice: dict[str, Any] = json.load(answer)["choices"][0]
        return choice


def requests_of(url: str) -> int:
    """How many chat completions the server has been asked for, by its own count."""
    with urllib.request.urlopen(url.removesuffix("/v1") + "/metrics", timeout=60) as answer:
        text = answer.read().decode()
    counts = re.findall(r'^http_requests_total\{[^}]*handler="/v1/chat/completions"[^}]*\} (\S+)$', text, re.MULTILINE)
    return sum(int(float(count)) for count in counts)
