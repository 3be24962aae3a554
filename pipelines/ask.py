"""`toolkit ask`: one question, one model, tools and sandbox; the trajectory printed as it happens."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Annotated

from cyclopts import Parameter

from pipelines.generate import GenerateOptions, make_setup
from pipelines.generate_command import HowForced, Kind, generate_options
from pipelines.model_flags import NO_FLAGS, SPECS, ModelFlags
from pipelines.parts import check_sandbox
from pipelines.rollout_flags import PLAIN, RolloutFlags
from pipelines.run_flags import AT_ONCE
from pipelines.search_index import open_index
from schemas import Candidate, Role, Step, Task
from schemas.identity import derive_id
from toolkit.agent.chain import run_chain
from toolkit.agent.draft import Draft, Finished, FirstThought
from toolkit.agent.loop import OnStep, run_agent, unseen
from toolkit.agent.setup import Setup
from toolkit.cli.options import AsJson
from toolkit.cli.output import console, note, print_json
from toolkit.cli.show import ending, step_view
from toolkit.cli.votes import vote_table
from toolkit.contracts import Retriever
from toolkit.dialects.chain_of_thought import first_paragraph
from toolkit.errors import InputError
from toolkit.lake.records import TrajectoryRecord
from toolkit.tasks.source import is_minipedia, open_tasks

NO_RUN = derive_id("run", "ask")


async def ask(
    question: Task,
    options: GenerateOptions,
    retriever: Retriever | None,
    on_step: OnStep = unseen,
) -> Finished:
    """One rollout, kept nowhere; `on_step` sees each step as it happens.

    Raises:
        InputError: the model, a tool, the sandbox or the index will not do.
    """
    async with AsyncExitStack() as stack:
        setup = await make_setup(stack, [question], options, retriever)
        await setup.llm.prepare(prefix=setup.continues_prefix)
        if setup.kind != "agent":
            done = await run_chain(Draft(setup, question, NO_RUN))
            for step in done.steps:
                on_step(step, [])
            return done
        draft = Draft(setup, question, NO_RUN)
        if setup.first_thoughts is not None:
            draft.first_thought = await _first_thought(setup.first_thoughts, question)
        return await run_agent(draft, on_step=on_step)


async def _first_thought(chains: Setup, question: Task) -> FirstThought | None:
    done = await run_chain(Draft(chains, question, NO_RUN))
    paragraph = first_paragraph(done.steps[0].completion) if done.steps else ""
    return FirstThought(paragraph, done.trajectory.trajectory_id) if paragraph else None


def ask_command(
    question: str,
    /,
    *,
    model: Annotated[str, Parameter(help=f"{SPECS}.")],
    tasks: Annotated[str | None, Parameter(help="Where the oracle finds the plan of the question.")] = None,
    kind: Kind = "agent",
    prompt: Annotated[
        Role, Parameter(help="teacher: system prompt with worked examples; student: the short one of training.")
    ] = "teacher",
    ftp: Annotated[bool, Parameter(help="Start from the first paragraph of a chain of thought.")] = False,
    ftp_mode: HowForced = "prefix",
    rollout_flags: RolloutFlags = PLAIN,
    slips: Annotated[float, Parameter(help="Share of the oracle's turns that go wrong.")] = 0.0,
    model_flags: ModelFlags = NO_FLAGS,
    json: AsJson = False,
) -> int:
    """Put one question to one model and watch it think, act and read. Nothing is stored.

    A trained student is asked as it was trained with --prompt student.

    Args:
        question: The question; with the oracle, one of `tasks`.
        model: Who answers.
        tasks: Where the oracle finds the plan of the question, such as minipedia:test.
        kind: How the question is put: to an agent, or for a chain of thought with or without passages.
        prompt: Which system prompt an agent is given.
        ftp: Start from the first paragraph of a chain of thought.
        ftp_mode: prefix has the model continue the thought; instruct, for servers that cannot, asks for it in words.
        rollout_flags: How the rollout goes.
        slips: Share of the oracle's turns that go wrong.
        model_flags: More about the model.
        json: Print all rows as one JSON document.
    """
    options = generate_options(
        model, slips, model_flags, rollout_flags, AT_ONCE, kind=kind, ftp=ftp, ftp_mode=ftp_mode, role=prompt
    )
    if kind == "agent":
        check_sandbox(options.sandbox)
    task = find_task(question, tasks)
    retriever = open_index(tasks or "", rollout_flags.index) if kind != "cot" else None

    def on_step(step: Step, candidates: list[Candidate]) -> None:
        if json:
            return
        console.print(step_view(step, options.dialect, [], full=False))
        if candidates:
            console.print(vote_table(candidates))

    done = asyncio.run(ask(task, options, retriever, on_step))
    if json:
        rows = {
            "trajectory": done.trajectory,
            "steps": done.steps,
            "tool_calls": done.tool_calls,
            "candidates": done.candidates,
        }
        print_json({name: _dumped(value) for name, value in rows.items()})
    else:
        console.print(ending(TrajectoryRecord(done.trajectory, task)))
        if task.answers:
            note(f"gold: {' | '.join(task.answers)}")
    return 0 if done.trajectory.stop_reason == "final_answer" else 1


def _dumped(value: object) -> object:
    if isinstance(value, list):
        return [_dumped(item) for item in value]
    dump = getattr(value, "model_dump", None)
    return dump() if dump else value


def find_task(question: str, tasks: str | None) -> Task:
    """The task with that question among `tasks`, or one of its own without gold answer.

    Raises:
        InputError: the question is empty, or `tasks` cannot be used.
    """
    if not question.strip():
        raise InputError(f"expected a question, got {question!r}")
    if tasks is not None:
        for task in open_tasks(tasks, limit=10_000 if is_minipedia(tasks) else None):
            if task.question == question:
                return task
    return Task(
        task_id=derive_id("task", "ask", None, None, question),
        dataset="ask",
        question=question,
        answers=[],
        domain="other",
    )
