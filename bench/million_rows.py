"""Files as `toolkit import` reads them, with as many synthetic trajectories as wanted, cheaply and from a seed.

Two files, written line by line: memories of smolagents over sums (`sums`) and ReAct text over searches (`facts`).
Four samples a question, by three teachers; a question's difficulty decides how often its answer is accepted; every
tenth trajectory acts as the one before it and sees something else, a near-duplicate by actions; some steps fail. About
four steps and 2.5 kB a trajectory. Invariant: the same number and seed give the same bytes. Not covered: meaning.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import orjson

from bench.synthetic import Prose

SAMPLES = 4
"""Trajectories of one question."""
TEACHERS = ("northern-32b", "southern-72b", "eastern-8b")
REPEATED = 10
"""Every so many trajectories one repeats the actions of the one before."""
FAILED_SHARE = 0.08

Turn = tuple[str, str, str | None, str | None]
"""Thought, action, observation, error."""


def write_files(directory: Path, count: int, *, seed: int = 0) -> dict[str, Path]:
    """Write `count` trajectories in two files of equal size; their paths by dataset."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = {}
    for number, (dataset, record) in enumerate({"sums": _memory, "facts": _text}.items()):
        paths[dataset] = directory / f"{dataset}.jsonl"
        rows = count // 2 + (count % 2 if number == 0 else 0)
        with paths[dataset].open("wb") as file:
            for question, model, reward, answer, turns in _episodes(rows, Random(f"{seed} {dataset}"), dataset):
                fields = {"id": question.split()[-1][:-1], "question": question, "model": model, "reward": reward}
                file.write(orjson.dumps(fields | record(question, answer, turns), option=orjson.OPT_APPEND_NEWLINE))
    return paths


def _episodes(rows: int, random: Random, dataset: str) -> Iterator[tuple[str, str, float, str, list[Turn]]]:
    prose = Prose(random)
    turns: list[Turn] = []
    question, level = "", 0.0
    for index in range(rows):
        if index % SAMPLES == 0:
            question, level = f"{prose.text(1, 2)} {dataset}{index}?", random.choice((0.0, 0.25, 0.5, 0.75, 1.0))
        if turns and index % REPEATED == 0:
            turns = [(thought, action, prose.text(2, 4), error) for thought, action, _, error in turns]
        else:
            turns = [_turn(random, prose, dataset) for _ in range(random.randint(2, 5))]
        yield question, random.choice(TEACHERS), float(random.random() < level), str(random.randrange(10**6)), turns


def _turn(random: Random, prose: Prose, dataset: str) -> Turn:
    failed = "NameError: name 'prnt' is not defined" if random.random() < FAILED_SHARE else None
    if dataset == "sums":
        first, second = random.randrange(10**4), random.randrange(10**4)
        action = f"first = {first}\nsecond = {second}\ntotal = first * second + {len(str(first))}\nprint(total)"
        return prose.text(1, 2), action, f"Execution logs:\n{first * second} {prose.text(1, 2)}", failed
    return prose.text(1, 2), f"search[{prose.text(1, 1)[:-1]}]", prose.text(3, 6), failed


def _memory(question: str, answer: str, turns: list[Turn]) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"task": question}]
    for number, (thought, action, observation, error) in enumerate(turns, start=1):
        step: dict[str, Any] = {
            "step_number": number,
            "model_output": f"Thought: {thought}\nCode:\n```py\n{action}\n```<end_code>",
            "observations": observation,
        }
        if error is not None:
            step["error"] = {"type": "AgentExecutionError", "message": error}
        steps.append(step)
    closing = f"Thought: That is all.\nCode:\n```py\nfinal_answer({answer})\n```<end_code>"
    steps.append({"step_number": len(steps), "model_output": closing, "action_output": answer})
    return {"steps": steps, "output": answer}


def _text(question: str, answer: str, turns: list[Turn]) -> dict[str, Any]:
    lines = [f"Question: {question}"]
    for thought, action, observation, error in turns:
        lines += [f"Thought: {thought}"] if error else [f"Thought: {thought}", f"Action: {action}"]
        lines.append(f"Observation: {observation}")
    return {"trajectory": "\n".join([*lines, "Thought: That is all.", f"Action: finish[{answer}]"])}
