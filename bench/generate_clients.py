"""Rollouts by the toolkit and by what it stands on, each in a process of its own that says what it took.

    python -m bench.generate_clients ours|aiohttp|forks BASE_URL QUESTIONS.jsonl IN_FLIGHT DIRECTORY

`aiohttp` and `forks` are floors: the three requests of a rollout one after the other, answers parsed, nothing kept.
`aiohttp` runs nothing; `forks` runs the code, in a bare fork for each rollout.
Prints one JSON line: how many were `right`, when the work was done (`end_at`, monotonic), processor seconds of this
process (`cpu_s`) and of its children (`children_s`, the sandbox), and the most memory of this process (`peak_mb`).
"""

from __future__ import annotations

import asyncio
import gc
import json
import re
import resource
import sys
import time
from pathlib import Path

import aiohttp
import orjson

from bench.bare_forks import BareForks, bare_forks
from bench.chat_server import MODEL
from bench.sums import TURNS
from pipelines.generate import GenerateOptions, generate
from pipelines.parts import ModelOptions
from toolkit.cli.main import GARBAGE_OBJECTS
from toolkit.dialects import load_dialect
from toolkit.lake.lake import open_lake
from toolkit.tasks.source import open_tasks

_CODE = re.compile(r"\n(?:```py|<code>)\n(.*?)\n(?:```|</code>)", re.DOTALL)


async def ours(base_url: str, file: Path, in_flight: int, directory: Path) -> tuple[int, float]:
    """Rollouts into a new lake, journal on, actions in the best sandbox; garbage collected as the command does it."""
    gc.set_threshold(GARBAGE_OBJECTS)
    tasks = list(open_tasks(str(file)))
    options = GenerateOptions(ModelOptions(f"openai:{MODEL}", base_url), ftp=False, in_flight=in_flight)
    lake = open_lake(directory / "lake", create=True)
    report = await generate(lake, tasks, options, None, run_kind="generate")
    end_at = time.monotonic()
    if report.stop_reasons != {"final_answer": len(tasks)}:
        raise SystemExit(f"not all rollouts ended in an answer: {report}")
    rows = lake.sql("SELECT task_id, final_answer, n_steps FROM trajectories").fetchall()
    given = {task_id: answer for task_id, answer, n_steps in rows if n_steps == TURNS}
    return sum(given.get(task.task_id) == task.answers[0] for task in tasks), end_at


async def bare(base_url: str, file: Path, in_flight: int, forks: BareForks | None) -> tuple[int, float]:
    """The same requests by aiohttp alone; the code is run if there are `forks`."""
    asked = [json.loads(line) for line in file.read_text().splitlines()]
    dialect, waiting = load_dialect("codeact"), iter(asked)
    system = dialect.teacher_prompt([])
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:

        async def rollout(row: dict[str, str]) -> bool:
            question = dialect.task_turn(row["question"])
            messages = [{"role": "system", "content": system}, {"role": "user", "content": question}]
            fork, printed = None, "1"
            for _ in range(TURNS):
                body = orjson.dumps({"model": MODEL, "messages": messages, "max_tokens": 1024, "temperature": 0.0})
                async with client.post(f"{base_url}/chat/completions", data=body) as response:
                    response.raise_for_status()
                    text = orjson.loads(await response.read())["choices"][0]["message"]["content"]
                if forks is not None:
                    fork = fork or forks.open()
                    printed = await fork.run(_CODE.findall(text)[0])
                messages += [{"role": "assistant", "content": text}]
                messages += [{"role": "user", "content": f"Observation:\n{printed}"}]
            if fork is None:
                return "final_answer(y % " in text
            fork.close()
            return printed == row["answer"]

        async def worker() -> int:
            return sum([await rollout(row) for row in waiting])

        right = sum(await asyncio.gather(*(worker() for _ in range(in_flight))))
    return right, time.monotonic()


async def aiohttp_alone(base_url: str, file: Path, in_flight: int, directory: Path) -> tuple[int, float]:
    """Requests, and nothing else."""
    return await bare(base_url, file, in_flight, None)


async def aiohttp_and_forks(base_url: str, file: Path, in_flight: int, directory: Path) -> tuple[int, float]:
    """Requests, and a process for the code of each rollout."""
    with bare_forks() as forks:
        return await bare(base_url, file, in_flight, forks)


def main() -> None:
    """Run one client and print what it took."""
    name, base_url, file, in_flight, directory = sys.argv[1:]
    client = {"ours": ours, "aiohttp": aiohttp_alone, "forks": aiohttp_and_forks}[name]
    before = resource.getrusage(resource.RUSAGE_SELF)
    right, end_at = asyncio.run(client(base_url, Path(file), int(in_flight), Path(directory)))
    mine, theirs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    found = {
        "right": right,
        "end_at": end_at,
        "cpu_s": mine.ru_utime + mine.ru_stime - before.ru_utime - before.ru_stime,
        "children_s": theirs.ru_utime + theirs.ru_stime,
        "peak_mb": mine.ru_maxrss / 1024,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
