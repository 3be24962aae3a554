"""The same rollouts by other tools, under an interpreter that has them; it needs nothing of the toolkit.

    PYTHON bench/generate_peers.py smolagents|verifiers BASE_URL QUESTIONS.jsonl IN_FLIGHT DIRECTORY

smolagents runs a CodeAgent of its own for each question, in threads, its code in its own interpreter; what the agent
remembers is written as a line of JSON. verifiers runs a multi-turn environment whose code is run by plain `exec`, and
saves its results. Prints what `bench.generate_clients` prints.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

MODEL = "bench"
_BLOCK = re.compile(r"```py\n(.*?)\n```", re.DOTALL)
SYSTEM = "Answer by Python code in ```py fences, one step at a time; what it prints is shown to you."


def smolagents(base_url: str, rows: list[dict[str, Any]], in_flight: int, directory: Path) -> int:
    """How many are right."""
    from smolagents import CodeAgent, LogLevel, OpenAIServerModel

    model = OpenAIServerModel(MODEL, api_base=base_url, api_key="none")
    with (directory / "smolagents.jsonl").open("w") as file, ThreadPoolExecutor(in_flight) as pool:

        def rollout(row: dict[str, Any]) -> bool:
            agent = CodeAgent(tools=[], model=model, max_steps=5, verbosity_level=LogLevel.OFF)
            answer = agent.run(row["question"])
            file.write(json.dumps(agent.memory.get_full_steps(), default=str) + "\n")
            return str(answer) == row["answer"]

        return sum(pool.map(rollout, rows))


def verifiers(base_url: str, rows: list[dict[str, Any]], in_flight: int, directory: Path) -> int:
    """How many are right."""
    import verifiers as vf
    from datasets import Dataset

    class Sums(vf.MultiTurnEnv):
        async def setup_state(self, state: Any) -> None:
            state["names"] = {"final_answer": lambda value: state.__setitem__("given", str(value))}

        async def env_response(self, messages: Any, state: Any, **more: Any) -> Any:
            printed = _run(messages[-1].content, state["names"])
            shown = [{"role": "user", "content": f"Observation:\n{printed}"}]
            if "given" in state:
                state["final_env_response"] = shown
            return shown

    async def right(state: Any, answer: str) -> float:
        return float(state.get("given") == answer)

    dataset = Dataset.from_list([{"question": row["question"], "answer": row["answer"]} for row in rows])
    env = Sums(max_turns=5, eval_dataset=dataset, system_prompt=SYSTEM, rubric=vf.Rubric(funcs=[right]))
    os.environ["BENCH_KEY"] = "none"
    client = vf.ClientConfig(api_base_url=base_url, api_key_var="BENCH_KEY")
    found = asyncio.run(
        env.evaluate(client, MODEL, max_concurrent=in_flight, results_path=directory / "verifiers", save_results=True)
    )
    return int(sum(output["reward"] for output in found["outputs"]))


def _run(text: str, names: dict[str, Any]) -> str:
    """What the code in `text` prints."""
    block = _BLOCK.search(text)
    if block is None:
        return "no code"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(block[1], names)
    return printed.getvalue()


def main() -> None:
    """Run one tool and print what it took."""
    name, base_url, file, in_flight, directory = sys.argv[1:]
    rows = [json.loads(line) for line in Path(file).read_text().splitlines()]
    client = {"smolagents": smolagents, "verifiers": verifiers}[name]
    before = resource.getrusage(resource.RUSAGE_SELF)
    right = client(base_url, rows, int(in_flight), Path(directory))
    end_at, mine = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = mine.ru_utime + mine.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"right": right, "end_at": end_at, "cpu_s": cpu_s, "peak_mb": mine.ru_maxrss / 1024}))


if __name__ == "__main__":
    main()
