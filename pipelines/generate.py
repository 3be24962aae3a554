"""`toolkit generate`: teacher trajectories for a set of questions, into a lake.

The road of the data: tasks → rollouts in flight (`toolkit.agent.runner`) → one commit for
every few hundred. With ftp, each agent starts from the first paragraph of the teacher's chain
of thought, which is taken from the lake or made on demand and recorded as its source.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import orjson
from cyclopts import Parameter

from pipelines.model_flags import NO_FLAGS, SPECS, ModelFlags
from pipelines.parts import (
    ModelOptions,
    SandboxChoice,
    build_dialects,
    build_model,
    build_sandbox,
    build_tools,
    check_sandbox,
    model_options,
)
from pipelines.policy import PolicyOptions
from pipelines.rollout_flags import PLAIN, RolloutFlags
from pipelines.run_flags import AT_ONCE, RunFlags, check_spending
from pipelines.run_summary import done_count, print_forecast, print_report, status
from pipelines.search_index import open_index
from schemas import Role, RunKind, Task, TrajectoryKind
from toolkit.agent.budget import Budget, Meter, Prices
from toolkit.agent.forecast import Forecast, forecast
from toolkit.agent.known import Retry, load_first_thoughts, load_known, load_spent
from toolkit.agent.recorder import RecordedLLM, recorded_tool
from toolkit.agent.report import Report
from toolkit.agent.runner import Plan, Runner
from toolkit.agent.setup import USUAL_PASSAGES, FtpMode, Setup
from toolkit.cli.option_checks import check_amounts, check_counts
from toolkit.cli.options import DEFAULT_LAKE, AsJson, DryRun, LakePath
from toolkit.cli.output import progress
from toolkit.contracts import Limits, Retriever
from toolkit.errors import InputError
from toolkit.lake.journal import Entry
from toolkit.lake.journals import WHOLE, Shard, open_journal, parse_shard, unfinished
from toolkit.lake.lake import Lake, open_lake
from toolkit.lake.runs import finished, start_run
from toolkit.sandbox import DEFAULT_MODULES
from toolkit.tasks.source import open_tasks

Kind = Annotated[TrajectoryKind, Parameter(help="agent, cot, or cot_rag (passages in the prompt).")]
HowForced = Annotated[FtpMode, Parameter(help="prefix: continued by the model; instruct: asked for in words.")]
Limit = Annotated[int | None, Parameter(help="Only the first questions.")]


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


def generate_command(
    *,
    tasks: Annotated[str, Parameter(help="minipedia:train|test|ood, or a file with questions.")],
    lake: LakePath = DEFAULT_LAKE,
    teacher: Annotated[str, Parameter(help=f"{SPECS}.")] = "oracle",
    kind: Kind = "agent",
    ftp: Annotated[bool, Parameter(help="Start agents from the first paragraph of a chain of thought.")] = True,
    ftp_mode: HowForced = "prefix",
    limit: Limit = None,
    samples: Annotated[int, Parameter(help="Rollouts of each question.")] = 1,
    first_thoughts: Annotated[int, Parameter(help="Different first thoughts of each question.")] = 1,
    rollout_flags: RolloutFlags = PLAIN,
    slips: Annotated[float, Parameter(help="Share of the oracle's turns that go wrong.")] = 0.1,
    gold: Annotated[bool, Parameter(help="Questions must have gold answers.")] = True,
    run_flags: RunFlags = AT_ONCE,
    model_flags: ModelFlags = NO_FLAGS,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> int:
    """Make teacher trajectories for a set of questions; what the lake already holds is skipped.

    Every answer of the model is recorded before it is used. After Ctrl-C (which finishes what is in flight; pressed
    twice, it stops at once), a spent budget or `kill -9`, the same command goes on where it stopped, in the middle of
    rollouts, and pays for nothing twice. Exit code 1 if that is needed, or if some rollouts ended in an error: they are
    rows, and tried again next time.

    Args:
        tasks: minipedia:train, :test or :ood (with ?seed=1&size=5000), or a file with questions.
        lake: Directory of the lake.
        teacher: Who answers. The oracle follows the questions' plans and needs no model.
        kind: What is made.
        ftp: Start agents from the first paragraph of the teacher's chain of thought (first-thought prefix).
        ftp_mode: prefix has the model continue the thought; instruct, for servers that cannot, asks for it in words.
        limit: Only the first questions.
        samples: Rollouts of each question.
        first_thoughts: Different first thoughts of each question; samples share one by default.
        rollout_flags: How one rollout goes.
        slips: Share of the oracle's turns that go wrong.
        gold: Questions must have gold answers.
        run_flags: How many at once, which again, and what they may cost.
        model_flags: More about the model.
        dry_run: Check everything and say what would be run, and what it may take; ask no model.
        json: Print one JSON document.
    """
    check_counts(limit=limit)
    options = generate_options(
        teacher,
        slips,
        model_flags,
        rollout_flags,
        run_flags,
        kind=kind,
        ftp=ftp,
        ftp_mode=ftp_mode,
        samples=samples,
        first_thoughts=first_thoughts,
    )
    questions = read_questions(options, lambda: list(open_tasks(tasks, limit=limit, require_answers=gold)))
    retriever = open_index(tasks, rollout_flags.index, may_come=dry_run) if kind != "cot" else None
    if dry_run:
        print_forecast(foresee(lake, questions, options, retriever), json)
        return 0
    report = asyncio.run(generate(open_lake(lake, create=True), questions, options, retriever, run_kind="generate"))
    print_report(report, f"next: toolkit score --lake {lake}", json=json)
    return 0 if report.is_whole else 1


def generate_options(
    model: str,
    slips: float,
    model_flags: ModelFlags,
    rollout: RolloutFlags,
    run: RunFlags,
    *,
    kind: TrajectoryKind,
    samples: int = 1,
    first_thoughts: int = 1,
    ftp: bool = True,
    ftp_mode: FtpMode = "prefix",
    role: Role = "teacher",
    prompt: Role | None = None,
    name: str | None = None,
) -> GenerateOptions:
    """The options of a command line.

    Raises:
        InputError: one will not do.
    """
    check_amounts(above=True, timeout=model_flags.timeout)
    run.check()
    return GenerateOptions(
        model_options(model, slips, rollout.seed, model_flags),
        kind=kind,
        ftp=ftp,
        ftp_mode=ftp_mode,
        role=role,
        prompt=prompt,
        name=name,
        samples=samples,
        first_thoughts=first_thoughts,
        max_steps=rollout.max_steps,
        in_flight=run.in_flight,
        n_passages=rollout.passages,
        dialect=rollout.dialect,
        templates=rollout.templates,
        tools=rollout.tools,
        modules=rollout.modules,
        sandbox=rollout.sandbox,
        policy=rollout.policy_options,
        retry=run.retry,
        shard=parse_shard(run.shard),
        budget=run.budget,
        prices=run.prices,
    )


def read_questions(options: GenerateOptions, read: Callable[[], list[Task]]) -> list[Task]:
    """What `read` gives; meanwhile the sandbox is tried in a process of its own, and its refusal comes first.

    What comes next may take minutes (an index), so mistakes in files of tools are told here, too.

    Raises:
        InputError: the sandbox is too weak, a file of tools does not load, or there are no such questions.
    """
    build_tools(options.tools, None, options.n_passages)
    with ThreadPoolExecutor(1) as beside:
        checked = beside.submit(check_sandbox, options.sandbox) if options.kind == "agent" else None
        try:
            return read()
        finally:
            if checked is not None:
                checked.result()


def foresee(path: Path, tasks: Sequence[Task], options: GenerateOptions, retriever: Retriever | None) -> Forecast:
    """What `generate` would do, without doing it; there need not be a lake yet.

    Raises:
        InputError: an option will not do, or another process is at work on the same rollouts.
    """
    tasks = [task for task in tasks if options.shard.holds(task.task_id)]
    setup = build_setup(tasks, options, retriever)
    lake = open_lake(path) if (path / "lake.json").exists() else None
    return forecast(
        lake,
        setup,
        tasks,
        samples=options.samples,
        retry=options.retry,
        begun=unfinished(lake.layout, setup.identity_hash, options.shard) if lake else (),
        in_flight=options.in_flight,
        prices=options.prices,
    )
