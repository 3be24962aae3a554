"""`toolkit generate`: what its command line means, and what it would do (`--dry-run`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pipelines.generate import GenerateOptions, build_setup, generate
from pipelines.model_flags import NO_FLAGS, SPECS, ModelFlags
from pipelines.parts import build_tools, check_sandbox, model_options
from pipelines.rollout_flags import PLAIN, RolloutFlags
from pipelines.run_flags import AT_ONCE, RunFlags
from pipelines.run_summary import print_forecast, print_report
from pipelines.search_index import open_index
from schemas import Role, Task, TrajectoryKind
from toolkit.agent.forecast import Forecast, forecast
from toolkit.agent.setup import FtpMode
from toolkit.cli.option_checks import check_amounts, check_counts
from toolkit.cli.options import DEFAULT_LAKE, AsJson, DryRun, LakePath
from toolkit.contracts import Retriever
from toolkit.lake.journals import parse_shard, unfinished
from toolkit.lake.lake import open_lake
from toolkit.tasks.source import open_tasks

Kind = Annotated[TrajectoryKind, Parameter(help="agent, cot, or cot_rag (passages in the prompt).")]
HowForced = Annotated[FtpMode, Parameter(help="prefix: continued by the model; instruct: asked for in words.")]
Limit = Annotated[int | None, Parameter(help="Only the first questions.")]


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
