"""`toolkit.generate` and `toolkit.ask`: the commands of the same names, for Python programs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from pipelines.ask import ask as ask_async
from pipelines.ask import find_task
from pipelines.generate import GenerateOptions
from pipelines.generate import generate as generate_async
from pipelines.parts import ModelOptions, SandboxChoice
from pipelines.policy import PolicyName, PolicyOptions
from pipelines.search_index import open_index
from schemas import Task, TrajectoryKind
from toolkit.agent.budget import Budget, Prices
from toolkit.agent.draft import Finished
from toolkit.agent.known import Retry
from toolkit.agent.report import Report
from toolkit.agent.setup import FtpMode, Sampling
from toolkit.agent.vote import VoteRule
from toolkit.cli.option_checks import check_counts
from toolkit.lake.journals import parse_shard
from toolkit.lake.lake import open_lake
from toolkit.tasks.source import open_tasks


def generate(
    tasks: str | Iterable[Task],
    *,
    lake: str | Path = "lake",
    teacher: str = "oracle",
    base_url: str | None = None,
    endpoints: Iterable[str] = (),
    adapter: str | Path | None = None,
    limit: int | None = None,
    kind: TrajectoryKind = "agent",
    ftp: bool = True,
    ftp_mode: FtpMode = "prefix",
    samples: int = 1,
    max_steps: int = 5,
    index: str | Path | None = None,
    tools: Iterable[str | Path] = (),
    modules: Iterable[str] = (),
    sandbox: SandboxChoice = "best",
    policy: PolicyName = "greedy",
    sag_samples: int = 8,
    vote: VoteRule = "outcome",
    sampling: Sampling | None = None,
    in_flight: int = 32,
    retry: Retry = "errors",
    shard: str = "1/1",
    budget: Budget | None = None,
    prices: Prices | None = None,
) -> Report:
    """Make teacher trajectories; the options are those of `toolkit generate`.

    `tasks` is a spec or path as on the command line, or rows of `schemas.Task`. To be called outside of a
    running event loop. `sampling` replaces that of the policy as a whole.

    Raises:
        InputError: an option will not do, or another process is at work on the same rollouts; nothing was spent.
        RunError: the journal or the sandbox failed; the same call goes on from there.
    """
    check_counts(limit=limit)
    questions = list(open_tasks(tasks, limit=limit) if isinstance(tasks, str) else islice(tasks, limit))
    options = GenerateOptions(
        ModelOptions(teacher, base_url, endpoints=tuple(endpoints), adapter=Path(adapter) if adapter else None),
        kind=kind,
        ftp=ftp,
        ftp_mode=ftp_mode,
        samples=samples,
        max_steps=max_steps,
        in_flight=in_flight,
        retry=retry,
        shard=parse_shard(shard),
        budget=budget or Budget(),
        prices=prices,
        tools=tuple(map(Path, tools)),
        modules=tuple(modules),
        sandbox=sandbox,
        policy=_policy(policy, sag_samples, vote, sampling),
    )
    spec = tasks if isinstance(tasks, str) else ""
    retriever = open_index(spec, Path(index) if index else None) if kind != "cot" else None
    return asyncio.run(generate_async(open_lake(lake, create=True), questions, options, retriever, run_kind="generate"))


def ask(
    question: str,
    *,
    model: str,
    base_url: str | None = None,
    endpoints: Iterable[str] = (),
    adapter: str | Path | None = None,
    tasks: str | None = None,
    ftp: bool = False,
    ftp_mode: FtpMode = "prefix",
    max_steps: int = 5,
    index: str | Path | None = None,
    tools: Iterable[str | Path] = (),
    modules: Iterable[str] = (),
    sandbox: SandboxChoice = "best",
    policy: PolicyName = "greedy",
    sag_samples: int = 8,
    vote: VoteRule = "outcome",
    sampling: Sampling | None = None,
) -> Finished:
    """Put one question to one model; the options are those of `toolkit ask`. Nothing is stored.

    Raises:
        InputError: an option will not do.
    """
    options = GenerateOptions(
        ModelOptions(
            model, base_url, slips=0.0, endpoints=tuple(endpoints), adapter=Path(adapter) if adapter else None
        ),
        ftp=ftp,
        ftp_mode=ftp_mode,
        max_steps=max_steps,
        tools=tuple(map(Path, tools)),
        modules=tuple(modules),
        sandbox=sandbox,
        policy=_policy(policy, sag_samples, vote, sampling),
    )
    retriever = open_index(tasks or "", Path(index) if index else None)
    return asyncio.run(ask_async(find_task(question, tasks), options, retriever))


def _policy(policy: PolicyName, sag_samples: int, vote: VoteRule, sampling: Sampling | None) -> PolicyOptions:
    return PolicyOptions(policy, sag_samples, vote, **(asdict(sampling) if sampling else {}))
