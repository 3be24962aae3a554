"""`toolkit ask`: one question, one model, tools and sandbox; the trajectory printed as it happens."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pipelines.generate import GenerateOptions, check_counts, make_setup
from pipelines.model_flags import NO_FLAGS, SPECS, ModelFlags
from pipelines.parts import SandboxChoice, check_sandbox, model_options
from pipelines.policy import Policy, PolicyOptions, SagSamples, Temperature, TopP, Vote
from pipelines.search_index import open_index
from schemas import Candidate, Step, Task
from schemas.identity import derive_id
from toolkit.agent.chain import run_chain
from toolkit.agent.draft import Draft, Finished, FirstThought
from toolkit.agent.loop import OnStep, run_agent, unseen
from toolkit.agent.setup import FtpMode, Setup
from toolkit.cli.options import AsJson
from toolkit.cli.output import console, note, print_json
from toolkit.cli.show import ending, step_view
from toolkit.cli.votes import vote_table
from toolkit.contracts import Retriever
from toolkit.dialects.chain_of_thought import first_paragraph
from toolkit.lake.records import TrajectoryRecord
from toolkit.tasks.source import open_tasks

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
            return await run_chain(Draft(setup, question, NO_RUN))
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
    base_url: Annotated[str | None, Parameter(help="Of an OpenAI-compatible server.")] = None,
    api_key_env: Annotated[str, Parameter(help="Environment variable that holds the API key.")] = "OPENAI_API_KEY",
    ftp: Annotated[bool, Parameter(help="Start from the first paragraph of a chain of thought.")] = False,
    ftp_mode: Annotated[
        FtpMode, Parameter(help="prefix: continued by the model; instruct: asked for in words.")
    ] = "prefix",
    max_steps: Annotated[int, Parameter(help="Most actions.")] = 5,
    index: Annotated[Path | None, Parameter(help="Index to search with web_search.")] = None,
    tools: Annotated[tuple[Path, ...], Parameter(help="Python files with @tool functions.")] = (),
    sandbox: Annotated[SandboxChoice, Parameter(help="best, or unsafe to accept a level below 2.")] = "best",
    policy: Policy = "greedy",
    sag_samples: SagSamples = 8,
    vote: Vote = "outcome",
    dialect: Annotated[str, Parameter(help="codeact or smolagents.")] = "codeact",
    temperature: Temperature = None,
    top_p: TopP = None,
    completion_tokens: Annotated[int, Parameter(help="Most tokens of one completion.")] = 1024,
    slips: Annotated[float, Parameter(help="Share of the oracle's turns that go wrong.")] = 0.0,
    model_flags: ModelFlags = NO_FLAGS,
    json: AsJson = False,
) -> int:
    """Put one question to one model and watch it think, act and read. Nothing is stored.

    Args:
        question: The question; with the oracle, one of `tasks`.
        model: Who answers.
        tasks: Where the oracle finds the plan of the question, such as minipedia:test.
        base_url: Of an OpenAI-compatible server.
        api_key_env: Environment variable that holds the API key.
        ftp: Start from the first paragraph of a chain of thought.
        ftp_mode: prefix has the model continue the thought; instruct, for servers that cannot, asks for it in words.
        max_steps: Most actions.
        index: Index to search with web_search.
        tools: Python files with @tool functions, may be given several times.
        sandbox: best, or unsafe to run model-written code below level 2.
        policy: How the agent chooses its actions; sag is self-consistent action generation.
        sag_samples: Actions that compete for a step with sag.
        vote: What sag's candidates must agree in.
        dialect: How the agent speaks.
        temperature: Of sampling; 0, or 0.4 with sag, unless given.
        top_p: Of sampling; 1, or 0.8 with sag, unless given.
        completion_tokens: Most tokens of one completion.
        slips: Share of the oracle's turns that go wrong.
        model_flags: More about the model.
        json: Print all rows as one JSON document.
    """
    check_counts(max_steps=max_steps)
    check_sandbox(sandbox)
    task = find_task(question, tasks)
    options = GenerateOptions(
        model_options(model, base_url, api_key_env, slips, flags=model_flags),
        ftp=ftp,
        ftp_mode=ftp_mode,
        role="teacher",
        max_steps=max_steps,
        dialect=dialect,
        tools=tools,
        sandbox=sandbox,
        policy=PolicyOptions(policy, sag_samples, vote, temperature, top_p, completion_tokens),
    )
    retriever = open_index(tasks or "", index)

    def on_step(step: Step, candidates: list[Candidate]) -> None:
        if json:
            return
        console.print(step_view(step, dialect, [], full=False))
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
    """The task with that question among `tasks`, or one of its own without gold answer."""
    if tasks is not None:
        for task in open_tasks(tasks, limit=10_000 if tasks.startswith("minipedia:") else None):
            if task.question == question:
                return task
    return Task(
        task_id=derive_id("task", "ask", None, None, question),
        dataset="ask",
        question=question,
        answers=[],
        domain="other",
    )
