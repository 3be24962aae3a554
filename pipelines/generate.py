"""`toolkit generate`: teacher trajectories for a set of questions, into a lake.

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
from pipelines.policy import Policy, PolicyOptions, SagSamples, Temperature, TopP, Vote
from pipelines.provenance import finished, start_run
from pipelines.search_index import open_index
from schemas import Role, RunKind, Task, TrajectoryKind
from toolkit.agent.runner import Plan, Report, Runner
from toolkit.agent.setup import FtpMode, Setup
from toolkit.cli.options import DEFAULT_LAKE, AsJson, DryRun, LakePath
from toolkit.cli.output import note, print_json, print_table, progress
from toolkit.contracts import Limits, Retriever
from toolkit.errors import InputError
from toolkit.lake.lake import Lake, open_lake
from toolkit.tasks.source import open_tasks


@dataclass(frozen=True, slots=True)
class GenerateOptions:
    """How rollouts are run; what enters ids is in `Setup.identity`."""

    model: ModelOptions
    kind: TrajectoryKind = "agent"
    ftp: bool = True
    ftp_mode: FtpMode = "prefix"
    role: Role = "teacher"
    samples: int = 1
    first_thoughts: int = 1
    max_steps: int = 5
    in_flight: int = 32
    n_passages: int = 3
    dialect: str = "codeact"
    templates: Path | None = None
    tools: tuple[Path, ...] = ()
    sandbox: SandboxChoice = "best"
    policy: PolicyOptions = field(default_factory=PolicyOptions)
    limits: Limits = field(default_factory=Limits)


async def generate(
    lake: Lake, tasks: Sequence[Task], options: GenerateOptions, retriever: Retriever | None, *, run_kind: RunKind
) -> Report:
    """Run `options` over `tasks`; what the lake already holds is skipped.

    Raises:
        InputError: the model, a tool, the sandbox or the index will not do; nothing was spent.
    """
    async with AsyncExitStack() as stack:
        setup = await make_setup(stack, tasks, options, retriever)
        await setup.llm.prepare(prefix=setup.continues_prefix)
        run = start_run(
            run_kind,
            identity=setup.identity,
            settings=_settings(options),
            sandbox_level=setup.sandbox.level if setup.sandbox else None,
            input_commit=lake.snapshot().number,
        )
        plan = Plan(setup, options.samples, options.first_thoughts, options.in_flight)
        total = len(tasks) * options.samples
        with progress(run_kind, total, unit="rollouts") as advance:
            runner = Runner(lake, plan, run, progress=lambda report: advance(_done(report), _status(report)))
            report = await runner.run(tasks)
        with lake.write(f"{run_kind} {run.run_id[:8]} ends") as batch:
            if report.commits and not report.interrupted:
                batch.add([finished(run)])
    return report


async def make_setup(
    stack: AsyncExitStack, tasks: Sequence[Task], options: GenerateOptions, retriever: Retriever | None
) -> Setup:
    """The parts of a rollout; what needs closing is entered into `stack`.

    Raises:
        InputError: an option will not do.
    """
    policy = options.policy
    if policy.sag is not None and options.kind != "agent":
        raise InputError(f"--policy sag chooses an agent's actions; with --kind {options.kind} there are none")
    dialect, chain = build_dialects(options.dialect, options.kind, options.templates, options.max_steps)
    llm = build_model(options.model, tasks, dialect)
    stack.push_async_callback(llm.close)
    if retriever is not None:
        stack.push_async_callback(retriever.close)
    tools = build_tools(options.tools, retriever, options.n_passages)
    sandbox = None
    if options.kind == "agent":
        sandbox = await stack.enter_async_context(build_sandbox(tools, options.sandbox, options.limits))
    elif options.kind == "cot_rag" and retriever is None:
        raise InputError("cot_rag puts passages into the prompt; name an --index to find them in")
    chains = Setup(llm, dialect, chain, kind="cot", role=options.role, sampling=policy.chain_sampling)
    return Setup(
        llm,
        dialect,
        chain,
        kind=options.kind,
        role=options.role,
        sampling=policy.agent_sampling,
        sag=policy.sag,
        max_steps=options.max_steps,
        tools=tools,
        sandbox=sandbox,
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


def _done(report: Report) -> int:
    return report.finished + report.skipped


def _status(report: Report) -> str:
    kinds = ", ".join(f"{count} {kind}" for kind, count in report.error_kinds.most_common(3))
    words = [f"{report.completion_tokens:,} tokens written"]
    words += [f"step errors: {kinds}"] if kinds else []
    words += ["finishing what is in flight; Ctrl-C again stops at once"] if report.interrupted else []
    return "; ".join(words)


def generate_command(
    *,
    tasks: Annotated[str, Parameter(help="minipedia:train|test|ood, or a file with questions.")],
    lake: LakePath = DEFAULT_LAKE,
    teacher: Annotated[str, Parameter(help=f"{SPECS}.")] = "oracle",
    base_url: Annotated[
        str | None, Parameter(help="Of an OpenAI-compatible server, such as http://127.0.0.1:8000/v1.")
    ] = None,
    api_key_env: Annotated[str, Parameter(help="Environment variable that holds the API key.")] = "OPENAI_API_KEY",
    kind: Annotated[TrajectoryKind, Parameter(help="agent, cot, or cot_rag (passages in the prompt).")] = "agent",
    ftp: Annotated[bool, Parameter(help="Start agents from the first paragraph of a chain of thought.")] = True,
    ftp_mode: Annotated[
        FtpMode, Parameter(help="prefix: continued by the model; instruct: asked for in words.")
    ] = "prefix",
    limit: Annotated[int | None, Parameter(help="Only the first questions.")] = None,
    samples: Annotated[int, Parameter(help="Rollouts of each question.")] = 1,
    first_thoughts: Annotated[int, Parameter(help="Different first thoughts of each question.")] = 1,
    max_steps: Annotated[int, Parameter(help="Most actions of an agent.")] = 5,
    index: Annotated[Path | None, Parameter(help="Index to search; Minipedia makes its own.")] = None,
    tools: Annotated[tuple[Path, ...], Parameter(help="Python files with @tool functions.")] = (),
    sandbox: Annotated[SandboxChoice, Parameter(help="best, or unsafe to accept a level below 2.")] = "best",
    policy: Policy = "greedy",
    sag_samples: SagSamples = 8,
    vote: Vote = "outcome",
    dialect: Annotated[str, Parameter(help="codeact or smolagents.")] = "codeact",
    templates: Annotated[Path | None, Parameter(help="Directory with prompt templates of your own.")] = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    max_tokens: Annotated[int, Parameter(help="Most tokens of one completion.")] = 1024,
    seed: int = 0,
    slips: Annotated[float, Parameter(help="Share of the oracle's turns that go wrong.")] = 0.1,
    in_flight: Annotated[int, Parameter(help="Rollouts in flight at once.")] = 32,
    gold: Annotated[bool, Parameter(help="Questions must have gold answers.")] = True,
    model_flags: ModelFlags = NO_FLAGS,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> int:
    """Make teacher trajectories for a set of questions; what the lake already holds is skipped.

    Ctrl-C finishes what is in flight; pressed twice, it stops at once. The same command goes on
    where it stopped. Exit code 1 if some rollouts ended in an error: they are rows, and tried again next time.

    Args:
        tasks: minipedia:train, :test or :ood (with ?seed=1&size=5000), or a file with questions.
        lake: Directory of the lake.
        teacher: Who answers. The oracle follows the questions' plans and needs no model.
        base_url: Of an OpenAI-compatible server.
        api_key_env: Environment variable that holds the API key.
        kind: What is made.
        ftp: Start agents from the first paragraph of the teacher's chain of thought (first-thought prefix).
        ftp_mode: prefix has the model continue the thought; instruct, for servers that cannot, asks for it in words.
        limit: Only the first questions.
        samples: Rollouts of each question.
        first_thoughts: Different first thoughts of each question; samples share one by default.
        max_steps: Most actions of an agent.
        index: Index to search with web_search.
        tools: Python files with @tool functions, may be given several times.
        sandbox: best, or unsafe to run model-written code below level 2.
        policy: How agents choose their actions; sag is self-consistent action generation.
        sag_samples: Actions that compete for a step with sag.
        vote: What sag's candidates must agree in.
        dialect: How agents speak.
        templates: Directory with prompt templates of your own.
        temperature: Of sampling; 0, or 0.4 with sag, unless given.
        top_p: Of sampling; 1, or 0.8 with sag, unless given.
        max_tokens: Most tokens of one completion.
        seed: Of sampling, of the oracle and of the sandbox.
        slips: Share of the oracle's turns that go wrong.
        in_flight: Rollouts in flight at once.
        gold: Questions must have gold answers.
        model_flags: More about the model.
        dry_run: Check everything and say what would be run; ask no model.
        json: Print one JSON document.
    """
    check_counts(limit=limit, samples=samples, first_thoughts=first_thoughts, max_steps=max_steps, in_flight=in_flight)
    options = GenerateOptions(
        model_options(teacher, base_url, api_key_env, slips, seed, flags=model_flags),
        kind=kind,
        ftp=ftp,
        ftp_mode=ftp_mode,
        samples=samples,
        first_thoughts=first_thoughts,
        max_steps=max_steps,
        in_flight=in_flight,
        dialect=dialect,
        templates=templates,
        tools=tools,
        sandbox=sandbox,
        policy=PolicyOptions(policy, sag_samples, vote, temperature, top_p, max_tokens, seed),
    )
    if kind == "agent":
        check_sandbox(sandbox)
    questions = list(open_tasks(tasks, limit=limit, require_answers=gold))
    retriever = open_index(tasks, index) if kind != "cot" else None
    if dry_run:
        note(f"would run {len(questions) * samples:,} {kind} rollouts of {len(questions):,} questions by {teacher}")
        return 0
    report = asyncio.run(generate(open_lake(lake, create=True), questions, options, retriever, run_kind="generate"))
    _print(report, lake, json)
    return 1 if report.interrupted or report.stop_reasons["error"] else 0


def check_counts(**counts: int | None) -> None:
    """Refuse counts below one.

    Raises:
        InputError: naming the option.
    """
    for name, value in counts.items():
        if value is not None and value < 1:
            raise InputError(f"--{name.replace('_', '-')} must be at least 1, got {value}")


def _print(report: Report, lake: Path, json: bool) -> None:
    if json:
        print_json(
            {
                "finished": report.finished,
                "skipped": report.skipped,
                "chains_of_thought": report.chains,
                "stop_reasons": dict(report.stop_reasons),
                "step_errors": dict(report.error_kinds),
                "prompt_tokens": report.prompt_tokens,
                "completion_tokens": report.completion_tokens,
                "interrupted": report.interrupted,
                "errors": dict(report.errors),
                "commits": report.commits,
            }
        )
        return
    rows = [[reason, count] for reason, count in sorted(report.stop_reasons.items())]
    rows += [[f"step error: {kind}", count] for kind, count in sorted(report.error_kinds.items())]
    rows += [["chains of thought made", report.chains]] if report.chains else []
    rows += [["already in the lake", report.skipped]] if report.skipped else []
    rows += [["tokens written", report.completion_tokens]]
    print_table(["rollouts", "count"], rows, title=f"{report.finished:,} rollouts finished")
    for message, count in report.errors.most_common(5):
        note(f"error in {count:,} rollouts: {message}")
    note(
        "interrupted; the same command goes on from here"
        if report.interrupted
        else f"next: toolkit score --lake {lake}"
    )
