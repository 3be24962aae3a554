"""Seeded synthetic trajectories of realistic text size, as validated rows of the lake's tables.

Sizes follow published ReAct and code-agent traces: about five steps a trajectory, a thought of
200 characters, an action of 100, an observation of 900. Sentences come from a pool, so that
they compress about as prose does. Invariant: the same number and seed give the same rows.
Not covered: meaning; nothing is trained on these rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

from schemas import Row, Run, Score, Step, Task, ToolCall, Trajectory
from schemas.identity import canonical_json, derive_id
from schemas.rollups import roll_ups

DATASETS = ("hotpotqa", "musique", "bamboogle", "math")
START = datetime(2026, 1, 1, tzinfo=UTC)
_ERRORS = ("none",) * 12 + ("parse", "execution", "timeout", "tool")
_SYLLABLES = "ba con dra el fen gor hil ist jun kel lor mas nev ost pra quin ros ster tal und ver wick yar zen".split()


class Prose:
    """A pool of sentences."""

    def __init__(self, random: Random, *, sentences: int = 4_000) -> None:
        words = ["".join(random.choices(_SYLLABLES, k=random.randint(1, 4))) for _ in range(6_000)]
        weights = [1 / (rank + 1) for rank in range(len(words))]
        self._random = random
        self._pool = [
            " ".join(random.choices(words, weights, k=random.randint(6, 18))).capitalize() + "."
            for _ in range(sentences)
        ]

    def text(self, least: int, most: int) -> str:
        """Between `least` and `most` sentences."""
        return " ".join(self._random.choices(self._pool, k=self._random.randint(least, most)))


def the_run(seed: int) -> Run:
    """The run that all rows belong to."""
    identity = canonical_json({"bench": "lake", "seed": seed})
    return Run(
        run_id=derive_id("run", identity),
        kind="generate",
        identity=identity,
        identity_hash=derive_id("identity", identity),
        settings="{}",
        environment="{}",
        input_commit=0,
        started_at=START,
        finished_at=START,
    )


def episodes(count: int, *, seed: int) -> Iterator[list[Row]]:
    """Rows of `count` trajectories, one list each: trajectory, task, steps, tool calls, score."""
    random = Random(seed)
    prose = Prose(random)
    run_id = the_run(seed).run_id
    for index in range(count):
        yield _episode(index, run_id, random, prose)


def _episode(index: int, run_id: str, random: Random, prose: Prose) -> list[Row]:
    dataset = DATASETS[index % len(DATASETS)]
    task_id = derive_id("task", index // 2)
    trajectory_id = derive_id("trajectory", run_id, index)
    answer = str(random.randint(0, 10**6))
    steps = _steps(trajectory_id, random, prose)
    calls = [_call(step, random, prose) for step in steps if step.error_kind != "parse" and not step.is_final]
    started_at = START + timedelta(seconds=index)
    trajectory = Trajectory(
        trajectory_id=trajectory_id,
        run_id=run_id,
        task_id=task_id,
        dataset=dataset,
        sample_index=index % 2,
        kind="agent",
        role="teacher",
        source="generated",
        dialect="codeact",
        stop_reason="final_answer" if steps[-1].is_final else "max_steps",
        final_answer=answer if steps[-1].is_final else None,
        latency_ms=random.uniform(500, 20_000),
        started_at=started_at,
        finished_at=started_at + timedelta(seconds=20),
        content_hash=derive_id("content", trajectory_id),
        **roll_ups(steps, n_tool_calls=len(calls)),
    )
    passed = random.random() < 0.6
    score = Score(
        trajectory_id=trajectory_id, scorer="fact@1", value=float(passed), passed=passed, scored_at=started_at
    )
    return [trajectory, _task(task_id, dataset, answer, prose), *steps, *calls, score]


def _task(task_id: str, dataset: str, answer: str, prose: Prose) -> Task:
    # Two samples share a task; the second one states the same fact again, as two writers would.
    question = f"{prose.text(1, 2)} {task_id}?"
    return Task(task_id=task_id, dataset=dataset, split="train", question=question, answers=[answer], domain="fact")


def _steps(trajectory_id: str, random: Random, prose: Prose) -> list[Step]:
    n_steps = random.choice((3, 4, 5, 5, 5, 6, 7))
    finished = random.random() < 0.9
    return [_step(trajectory_id, index, finished and index == n_steps - 1, random, prose) for index in range(n_steps)]


def _step(trajectory_id: str, index: int, is_final: bool, random: Random, prose: Prose) -> Step:
    thought = prose.text(2, 3)
    error_kind = "none" if is_final else random.choice(_ERRORS)
    if is_final:
        code = f"final_answer({random.randint(0, 10**6)})"
    else:
        code = f'hits = web_search("{prose.text(1, 1)}")\nprint(hits[{random.randint(0, 2)}])'
    observation = None if is_final else prose.text(8, 13)
    return Step(
        trajectory_id=trajectory_id,
        step_index=index,
        completion=f"Thought: {thought}\nCode:\n```py\n{code}\n```",
        thought=thought,
        code=None if error_kind == "parse" else code,
        observation=observation,
        error_kind=error_kind,
        error=None if error_kind == "none" else prose.text(1, 1),
        is_final=is_final,
        finish_reason="stop",
        prompt_tokens=random.randint(500, 4_000),
        completion_tokens=random.randint(40, 300),
        latency_ms=random.uniform(100, 4_000),
    )


def _call(step: Step, random: Random, prose: Prose) -> ToolCall:
    query, found = prose.text(1, 1), step.observation
    return ToolCall(
        trajectory_id=step.trajectory_id,
        step_index=step.step_index,
        ordinal=0,
        name="web_search" if random.random() < 0.8 else "lookup",
        arguments=canonical_json({"query": query}),
        result=None if step.error_kind == "tool" else canonical_json(found),
        error=step.error if step.error_kind == "tool" else None,
        latency_ms=random.uniform(5, 400),
    )
