"""How long `toolkit generate` takes from its launch to the first request that is new, over a lake with much done.

    python -m bench.resume [--questions 5000] [--samples 10] [--failed 0.1] [--rounds 5] [--json]

The lake holds a rollout of each question and sample and a chain of thought of each question, committed 500 at a
time as generate does; of the rollouts a share ended in an error, so that they are to be retried. Then the command is
started as a process against a server of this process, which notes when the first request comes (probes of the model
do not count) and the command is killed. Beside it: an interpreter that only imports what the command imports.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bench.synthetic import Prose
from pipelines.generate import GenerateOptions, build_setup
from pipelines.parts import ModelOptions
from schemas import Row, Step, Task
from toolkit.agent.draft import Draft, FirstThought
from toolkit.agent.setup import Setup
from toolkit.lake.lake import Lake, open_lake
from toolkit.lake.runs import finished, start_run
from toolkit.tasks.source import open_tasks

MODEL = "counted"
BATCH = 500
PROBE_TOKENS = 16
STEPS = 3


@dataclass
class Server:
    """A model that notes its first request and answers none."""

    http: ThreadingHTTPServer
    first: threading.Event
    at: float = 0.0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.http.server_port}/v1"


def serve() -> Server:
    """Start a server in a thread of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({"data": [{"id": MODEL}]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if body["max_tokens"] > PROBE_TOKENS:
                if not server.first.is_set():
                    server.at = time.perf_counter()
                    server.first.set()
                time.sleep(60)
            # The client looks how a prefix is continued ("… France is Par" by "is").
            self._answer({"choices": [{"index": 0, "message": {"content": "is"}, "finish_reason": "stop"}]})

        def _answer(self, value: object) -> None:
            content = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            # The client may have been killed meanwhile.
            with suppress(ConnectionError):
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server = Server(http, threading.Event())
    threading.Thread(target=http.serve_forever, daemon=True).start()
    return server


def fill(lake: Lake, tasks: list[Task], setup: Setup, samples: int, failed: float) -> None:
    """Commit all rollouts, a share of them failed."""
    run, draw = start_run("generate", identity=setup.identity, settings={}, input_commit=0), random.Random(0)
    prose = Prose(draw)
    rows: list[Row] = [run, setup.model_row, setup.prompt_row, *tasks]
    waiting = 0
    for done in _rollouts(tasks, setup, run.run_id, samples, failed, draw, prose):
        rows += done
        waiting += 1
        if waiting == BATCH:
            _commit(lake, rows)
            rows, waiting = [], 0
    _commit(lake, [*rows, finished(run)])


def _rollouts(
    tasks: list[Task], setup: Setup, run_id: str, samples: int, failed: float, draw: random.Random, prose: Prose
) -> Iterator[list[Row]]:
    assert setup.first_thoughts is not None
    for task in tasks:
        chain = Draft(setup.first_thoughts, task, run_id)
        chain.steps.append(_step(chain, 0, prose, final=True))
        yield chain.finish("final_answer", final_answer="1").rows()
        for sample_index in range(samples):
            draft = Draft(setup, task, run_id, sample_index)
            draft.first_thought = FirstThought("First I look.", chain.trajectory_id)
            draft.steps = [_step(draft, index, prose, final=index == STEPS - 1) for index in range(STEPS)]
            if draw.random() < failed:
                yield draft.finish("error", error="the server is busy").rows()
            else:
                yield draft.finish("final_answer", final_answer="1").rows()


def _step(draft: Draft, index: int, prose: Prose, *, final: bool) -> Step:
    return Step(
        trajectory_id=draft.trajectory_id,
        step_index=index,
        completion=f"First I look.\n\n{prose.text(4, 6)}",
        code="print(1)",
        observation=None if final else prose.text(8, 13),
        is_final=final,
        prompt_tokens=1_000,
        completion_tokens=100,
    )


def _commit(lake: Lake, rows: list[Row]) -> None:
    with lake.write("bench") as batch:
        batch.add(rows)


def launch(command: list[str]) -> tuple[float, float]:
    """Seconds until the first request, and of processor time of the command itself by then."""
    # A server of its own: what a killed command had sent may be read later and must not count as the next one's.
    server = serve()
    started, used = time.perf_counter(), _children_s()
    command = [*command, "--base-url", server.url]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        arrived = server.first.wait(60)
        process.kill()
        _, said = process.communicate()
    server.http.shutdown()
    server.http.server_close()
    if not arrived:
        raise SystemExit(f"nothing was asked: {said}")
    return server.at - started, _children_s() - used


def imports() -> tuple[float, float]:
    """The same of an interpreter that imports what the command imports."""
    started, used = time.perf_counter(), _children_s()
    subprocess.run([sys.executable, "-c", "import pipelines.generate_command"], check=True)
    return time.perf_counter() - started, _children_s() - used


def _children_s() -> float:
    spent = os.times()
    return spent.children_user + spent.children_system


def main() -> None:
    """Print one line a measurement, or one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("questions", 5_000), ("samples", 10), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--failed", type=float, default=0.1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        file, path = Path(directory) / "questions.jsonl", Path(directory) / "lake"
        lines = [json.dumps({"id": f"q{n}", "question": f"Q {n}?", "answer": "1"}) for n in range(asked.questions)]
        file.write_text("\n".join(lines) + "\n")
        tasks = list(open_tasks(str(file)))
        options = GenerateOptions(ModelOptions(f"openai:{MODEL}"), samples=asked.samples, sandbox="unsafe")
        fill(open_lake(path, create=True), tasks, build_setup(tasks, options, None), asked.samples, asked.failed)
        command = [sys.executable, "-m", "toolkit.cli", "generate", "--tasks", str(file), "--lake", str(path)]
        command += ["--teacher", f"openai:{MODEL}", "--samples", str(asked.samples)]
        command += ["--sandbox", "unsafe"]
        launch(command)
        times = [(launch(command), imports()) for _ in range(asked.rounds)]
    found = {
        "rollouts": asked.questions * asked.samples,
        "questions": asked.questions,
        "failed": asked.failed,
        "first_request_s": statistics.median(first for (first, _), _ in times),
        "fastest_s": min(first for (first, _), _ in times),
        "cpu_s": statistics.median(used for (_, used), _ in times),
        "imports_s": statistics.median(imported for _, (imported, _) in times),
        "imports_cpu_s": statistics.median(used for _, (_, used) in times),
    }
    if asked.json:
        print(json.dumps(found))
    else:
        print(
            "  ".join(
                f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value:,}"
                for name, value in found.items()
            )
        )


if __name__ == "__main__":
    main()
