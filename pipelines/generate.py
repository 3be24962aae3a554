"""Trajectories for a set of questions, into a lake.

The road of the data: tasks → rollouts in flight (`toolkit.agent.runner`) → one commit for
every few hundred. With ftp, each agent starts from the first paragraph of the teacher's chain
of thought, which is taken from the lake or made on demand and recorded as its source.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson

from pipelines.parts import (
    ModelOptions,
    SandboxChoice,
    build_dialects,
    build_model,
    build_sandbox,
    build_tools,
)
from pipelines.policy import PolicyOptions
from pipelines.run_flags import check_spending
from pipelines.run_summary import done_count, status
from schemas import Role, RunKind, Task, TrajectoryKind
from toolkit.agent.budget import Budget, Meter, Prices
from toolkit.agent.known import Retry, load_first_thoughts, load_known, load_spent
from toolkit.agent.recorder import RecordedLLM, recorded_tool
from toolkit.agent.report import Report
from toolkit.agent.runner import Plan, Runner
from toolkit.agent.setup import USUAL_PASSAGES, FtpMode, Setup
from toolkit.cli.option_checks import check_counts
from toolkit.cli.output import progress
from toolkit.contracts import Limits, Retriever
from toolkit.errors import InputError
from toolkit.lake.journal import Entry
from toolkit.lake.journals import WHOLE, Shard, open_journal
from toolkit.lake.lake import Lake
from toolkit.lake.runs import finished, start_run
from toolkit.sandbox import DEFAULT_MODULES


@dataclass(frozen=True, slots=True)
class GenerateOptions:
    """How rollouts are run; what enters ids is in `Setup.identity`.

    Raises:
        InputError: a number is too small; the message names the option.
    """

    model: ModelOptions
    kind: TrajectoryKind = "agent"
    ftp: bool = True
    ftp_mode: FtpMode = "prefix"
    role: Role = "teacher"
    prompt: Role | None = None
    """Whose system prompt agents are given. None: that of `role`."""
    name: str | None = None
    """What people call the run. None: nothing."""
    samples: int = 1
    first_thoughts: int = 1
    max_steps: int = 5
    in_flight: int = 32
    n_passages: int = USUAL_PASSAGES
    dialect: str = "codeact"
    templates: Path | None = None
    tools: tuple[Path, ...] = ()
    modules: tuple[str, ...] = ()
    """Packages that code may import besides the usual ones."""
    sandbox: SandboxChoice = "best"
    policy: PolicyOptions = field(default_factory=PolicyOptions)
    limits: Limits = field(default_factory=Limits)
    retry: Retry = "errors"
    shard: Shard = WHOLE
    budget: Budget = field(default_factory=Budget)
    prices: Prices | None = None
    """None: not known."""

    def __post_init__(self) -> None:
        check_counts(
            samples=self.samples,
            first_thoughts=self.first_thoughts,
            max_steps=self.max_steps,
            passages=self.n_passages,
            completion_tokens=self.policy.max_tokens,
        )
        check_spending(self.in_flight, self.budget)


async def generate(
    lake: Lake, tasks: Sequence[Task], options: GenerateOptions, retriever: Retriever | None, *, run_kind: RunKind
) -> Report:
    """Run `options` over those of `tasks` that are in its shard; what the lake already holds is skipped.

    Raises:
        InputError: the model, a tool, the sandbox or the index will not do, or another process is at work on the
            same rollouts; nothing was spent.
        RunError: the journal or the sandbox failed; the same call goes on from there.
        LakeError: the lake cannot be written; likewise.
    """
    tasks = [task for task in tasks if options.shard.holds(task.task_id)]
    async with AsyncExitStack() as stack:
        setup = build_setup(tasks, options, retriever)
        close_with(stack, setup)
        journal = stack.enter_context(open_journal(lake.layout, setup.identity_hash, options.shard))
        # All at once, for the first request waits for them.
        thoughts = None
        if setup.first_thoughts is not None:
            thoughts = asyncio.create_task(asyncio.to_thread(load_first_thoughts, lake, setup.first_thoughts))
            stack.callback(thoughts.cancel)
        known, _ = await asyncio.gather(
            asyncio.to_thread(load_known, lake, setup), setup.llm.prepare(prefix=setup.continues_prefix)
        )
        # Only now: its imports would take the processor from what the first request waits for.
        if setup.sandbox is not None:
            await stack.enter_async_context(setup.sandbox)
        recorded = journal.entries()
        run = start_run(
            run_kind,
            identity=setup.identity,
            settings=_settings(options),
            sandbox_level=setup.sandbox.level if setup.sandbox else None,
            input_commit=lake.snapshot().number,
        )
        meter = _meter(lake, setup, options, recorded)
        plan = Plan(setup, options.samples, options.first_thoughts, options.in_flight, options.retry, meter)
        with progress(run_kind, len(tasks) * options.samples, unit="rollouts") as advance:
            runner = Runner(
                lake,
                plan,
                run,
                known,
                journal=journal,
                recorded=recorded,
                old_thoughts=thoughts,
                progress=lambda report: advance(done_count(report), status(report)),
            )
            report = await runner.run(tasks)
        with lake.write(f"{run_kind} {run.run_id[:8]} ends") as batch:
            # A run with a name is kept even if the lake held all that it asks for: so that one can be named later.
            if (report.commits or options.name) and not report.interrupted and report.out_of_budget is None:
                batch.add([finished(run)])
    return report


def _meter(lake: Lake, setup: Setup, options: GenerateOptions, recorded: list[Entry]) -> Meter:
    """A meter that knows what earlier runs of the same identity have spent."""
    meter = Meter(options.budget, options.prices)
    if meter.counts:
        # Of a rollout with answers in the journal all are there; its row in the lake, if any, is of a failed attempt.
        begun = {entry.trajectory_id for entry in recorded}
        ended = [tokens for trajectory_id, tokens in load_spent(lake, setup).items() if trajectory_id not in begun]
        meter.read = sum(read for read, _ in ended) + sum(entry.prompt_tokens or 0 for entry in recorded)
        meter.written = sum(written for _, written in ended)
        meter.written += sum(entry.completion_tokens or 0 for entry in recorded)
    return meter


async def make_setup(
    stack: AsyncExitStack, tasks: Sequence[Task], options: GenerateOptions, retriever: Retriever | None
) -> Setup:
    """The parts of a rollout; what needs closing is entered into `stack`.

    Raises:
        InputError: an option will not do.
    """
    setup = build_setup(tasks, options, retriever)
    close_with(stack, setup)
    if setup.sandbox is not None:
        await stack.enter_async_context(setup.sandbox)
    return setup


def close_with(stack: AsyncExitStack, setup: Setup) -> None:
    """Let `stack` close the model and the index."""
    stack.push_async_callback(setup.llm.close)
    if setup.retriever is not None:
        stack.push_async_callback(setup.retriever.close)


def build_setup(tasks: Sequence[Task], options: GenerateOptions, retriever: Retriever | None) -> Setup:
    """The parts of a rollout; nothing is started or opened.

    Raises:
        InputError: an option will not do.
    """
    policy = options.policy
    if policy.sag is not None and options.kind != "agent":
        raise InputError(f"--policy sag chooses an agent's actions; with --kind {options.kind} there are none")
    dialect, chain = build_dialects(options.dialect, options.templates, options.max_steps)
    llm = RecordedLLM(build_model(options.model, tasks, dialect))
    tools = build_tools(options.tools, retriever, options.n_passages)
    tools = {name: recorded_tool(tool) for name, tool in tools.items()}
    if options.kind == "cot_rag" and retriever is None:
        raise InputError("cot_rag puts passages into the prompt; name an --index to find them in")
    chains = Setup(llm, dialect, chain, kind="cot", role=options.role, sampling=policy.chain_sampling)
    return Setup(
        llm,
        dialect,
        chain,
        kind=options.kind,
        role=options.role,
        prompt=options.prompt,
        sampling=policy.agent_sampling,
        sag=policy.sag,
        max_steps=options.max_steps,
        tools=tools,
        modules=frozenset(options.modules) - DEFAULT_MODULES,
        sandbox=build_sandbox(tools, options.sandbox, options.limits, modules=options.modules)
        if options.kind == "agent"
        else None,
        retriever=retriever,
        n_passages=options.n_passages,
        first_thoughts=chains if options.kind == "agent" and options.ftp else None,
        ftp_mode=options.ftp_mode,
    )


def _settings(options: GenerateOptions) -> dict[str, object]:
    """Options as JSON values, with the sampling that they come to."""
    resolved = asdict(options) | {"sampling": asdict(options.policy.agent_sampling)}
    plain: dict[str, object] = orjson.loads(orjson.dumps(resolved, default=str))
    return plain
