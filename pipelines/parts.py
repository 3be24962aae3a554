"""From options to the parts of a rollout: model, dialect, tools, search, sandbox.

Shared by every command that runs rollouts. Invariant: everything that can be wrong about
the options is found here, before anything is paid for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from schemas import Task, TrajectoryKind
from toolkit.contracts import LLM, Retriever, Tool
from toolkit.dialects import load_dialect
from toolkit.dialects.chain_of_thought import ChainOfThought
from toolkit.dialects.code_dialect import CodeDialect
from toolkit.errors import InputError
from toolkit.sandbox import Limits, ProcessSandbox, probe, require_level
from toolkit.tools import load_tools, web_search

SandboxChoice = Literal["best", "unsafe"]


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Which model answers, and where it is."""

    spec: str
    """`oracle`, `openai:MODEL` or `scripted:FILE`."""
    base_url: str | None = None
    """None: `OPENAI_BASE_URL`, or OpenAI's own."""
    api_key_env: str = "OPENAI_API_KEY"
    """Name of the environment variable that holds the key."""
    slips: float = 0.1
    """Share of the oracle's turns that go wrong."""
    seed: int = 0
    timeout_s: float = 600.0
    """For one request to a server, reading included."""


def build_model(options: ModelOptions, tasks: Iterable[Task], dialect: CodeDialect) -> LLM:
    """The model that `options` name; `tasks` are what the oracle knows plans of.

    Raises:
        InputError: no such kind of model, or its options are incomplete.
    """
    # Each model only where it is asked for: what it imports takes longer than all else before the first request.
    kind, _, rest = options.spec.partition(":")
    if kind == "oracle" and not rest:
        from toolkit.tasks.oracle import OracleTeacher

        return OracleTeacher(tasks, dialect, slips=options.slips, seed=options.seed)
    if kind == "scripted" and rest:
        from toolkit.llm.scripted import load_script

        return load_script(Path(rest))
    if kind == "openai" and rest:
        from toolkit.llm.openai_server import Endpoint, OpenAIServer

        base_url = options.base_url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
        return OpenAIServer(rest, Endpoint(base_url, os.environ.get(options.api_key_env), options.timeout_s))
    raise InputError(f"expected oracle, openai:MODEL or scripted:FILE as the model, got {options.spec!r}")


def build_tools(files: Iterable[Path], retriever: Retriever | None, n_passages: int) -> dict[str, Tool]:
    """`web_search` if there is an index, and the tools of the user's files.

    Raises:
        InputError: a file does not load, or a name is taken twice.
    """
    tools: dict[str, Tool] = {}
    if retriever is not None:
        search = web_search(retriever, k=n_passages)
        tools[search.name] = search
    for path in files:
        for name, found in load_tools(path).items():
            if name in tools:
                raise InputError(f"{path}: a tool {name!r} exists already; rename this one")
            tools[name] = found
    return tools


def check_sandbox(choice: SandboxChoice) -> None:
    """Refuse this machine's sandbox if it is below level 2, unless `unsafe` is chosen.

    Called before anything that takes long, such as making an index.

    Raises:
        InputError: with what the level means.
    """
    require_level(probe().level, unsafe=choice == "unsafe")


def build_sandbox(tools: dict[str, Tool], choice: SandboxChoice, limits: Limits) -> ProcessSandbox:
    """The best sandbox of this machine, if `choice` accepts its level."""
    check_sandbox(choice)
    return ProcessSandbox(tools, limits, level=probe().level)


def build_dialects(
    name: str, kind: TrajectoryKind, templates: Path | None, max_steps: int
) -> tuple[CodeDialect, ChainOfThought]:
    """How agents and chains of thought speak."""
    return load_dialect(name, templates, max_steps=max_steps), ChainOfThought(templates)
