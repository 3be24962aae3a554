"""From options to the parts of a rollout: model, dialect, tools, search, sandbox.

Shared by every command that runs rollouts. Invariant: everything that can be wrong about
the options is found here, before anything is paid for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipelines.model_flags import SPECS, ModelFlags
from schemas import Task
from toolkit.agent.recorder import TOOL_TIMEOUT_S
from toolkit.contracts import LLM, Retriever, Tool
from toolkit.dialects import load_dialect
from toolkit.dialects.chain_of_thought import ChainOfThought
from toolkit.dialects.code_dialect import CodeDialect
from toolkit.errors import InputError, MissingExtraError
from toolkit.sandbox import DEFAULT_MODULES, Limits, ProcessSandbox, probe, require_level
from toolkit.tools import load_tools, web_search

SandboxChoice = Literal["best", "unsafe"]
KINDS = ("oracle", "openai", "hf", "vllm", "scripted")


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Which model answers, and where it is."""

    spec: str
    """`oracle`, `oracle:recall=SHARE`, `openai:MODEL`, `hf:PATH_OR_NAME`, `vllm:PATH_OR_NAME` or `scripted:FILE`."""
    base_url: str | None = None
    """None: `OPENAI_BASE_URL`, or OpenAI's own."""
    api_key_env: str = "OPENAI_API_KEY"
    """Name of the environment variable that holds the key."""
    slips: float = 0.1
    """Share of the oracle's turns that go wrong."""
    seed: int = 0
    timeout_s: float = 600.0
    """For one request to a server, reading included."""
    endpoints: tuple[str, ...] = ()
    """Several servers of `openai:MODEL`, each as `toolkit.llm.openai_server.parse_endpoint` reads it."""
    adapter: Path | None = None
    """Of a model in process."""
    dtype: str = "auto"
    """Of a model in process."""
    device: str = "auto"
    """Of a model of transformers in process."""
    logprobs: bool = False
    """Whether log-probabilities are recorded, and token ids where the model gives them."""


def model_options(
    spec: str,
    slips: float,
    seed: int,
    flags: ModelFlags,
) -> ModelOptions:
    """The options of a command line."""
    return ModelOptions(
        spec,
        flags.base_url,
        flags.api_key_env,
        slips,
        seed,
        flags.timeout,
        endpoints=flags.endpoint,
        adapter=flags.adapter,
        dtype=flags.dtype,
        device=flags.device,
        logprobs=flags.logprobs,
    )


def build_model(options: ModelOptions, tasks: Iterable[Task], dialect: CodeDialect) -> LLM:
    """The model that `options` name; `tasks` are what the oracle knows plans of.

    Raises:
        InputError: no such kind of model, or its options are incomplete or meant for another kind.
        MissingExtraError: it runs in process, and what it needs is not installed.
    """
    # Each model only where it is asked for: what it imports takes longer than all else before the first request.
    kind, _, rest = options.spec.partition(":")
    _check_fit(kind, options)
    if kind == "oracle":
        from toolkit.tasks.oracle import OracleTeacher

        return OracleTeacher(tasks, dialect, slips=options.slips, seed=options.seed, recall=_recall(options.spec))
    if kind == "scripted" and rest:
        from toolkit.llm.scripted import load_script

        return load_script(Path(rest))
    if kind == "openai" and rest:
        return _openai(rest, options)
    if kind == "hf" and rest:
        return _transformers(rest, options)
    if kind == "vllm" and rest:
        return _vllm(rest, options)
    raise InputError(f"expected {SPECS} as the model, got {options.spec!r}")


def _check_fit(kind: str, options: ModelOptions) -> None:
    """Refuse options that the kind of model would silently ignore."""
    given = {
        "--base-url": (options.base_url is not None, ("openai",)),
        "--endpoint": (bool(options.endpoints), ("openai",)),
        "--adapter": (options.adapter is not None, ("hf", "vllm")),
        "--dtype": (options.dtype != "auto", ("hf", "vllm")),
        "--device": (options.device != "auto", ("hf",)),
        "--logprobs": (options.logprobs, ("openai", "hf", "vllm")),
    }
    for flag, (is_given, kinds) in given.items():
        if is_given and kind in KINDS and kind not in kinds:
            raise InputError(f"{flag} is for {' and '.join(f'{name}:' for name in kinds)} models, not {options.spec}")


def _recall(spec: str) -> float:
    """The share of facts that `oracle` or `oracle:recall=SHARE` remembers.

    Raises:
        InputError: something else stands there.
    """
    _, _, rest = spec.partition(":")
    name, _, share = rest.partition("=")
    try:
        if rest and name != "recall":
            raise ValueError
        return float(share) if rest else 0.0
    except ValueError as error:
        raise InputError(f"expected oracle or oracle:recall=SHARE, got {spec!r}") from error


def build_judge(options: ModelOptions, schema: Mapping[str, Any]) -> LLM:
    """The model that `options` name, its answers keeping to a JSON Schema (a script's as they are).

    Raises:
        InputError: not a model that can, or its options are incomplete.
    """
    kind, _, rest = options.spec.partition(":")
    _check_fit(kind, options)
    if options.logprobs:
        raise InputError("--logprobs is for rollouts; of a judge only the verdict is kept")
    if kind == "scripted" and rest:
        from toolkit.llm.scripted import load_script

        return load_script(Path(rest))
    if kind == "openai" and rest:
        return _openai(rest, options, schema)
    raise InputError(
        f"expected openai:MODEL or scripted:FILE as a judge, got {options.spec!r}; its answers keep to a JSON schema, "
        "which a server sees to: put local weights behind one, such as `vllm serve`"
    )


def _openai(model: str, options: ModelOptions, schema: Mapping[str, Any] | None = None) -> LLM:
    from toolkit.llm.openai_server import OpenAIServer, parse_endpoint

    if options.endpoints and options.base_url:
        raise InputError("--base-url and --endpoint both name servers; give each of them as an --endpoint")
    urls = options.endpoints or (options.base_url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1",)
    endpoints = [parse_endpoint(url, key_env=options.api_key_env, timeout_s=options.timeout_s) for url in urls]
    return OpenAIServer(model, endpoints, logprobs=options.logprobs, schema=schema)


def _transformers(source: str, options: ModelOptions) -> LLM:
    try:
        from toolkit.llm.local_weights import LocalModel
        from toolkit.llm.transformers_local import TransformersLLM
    except ImportError as error:
        raise MissingExtraError(error.name or "transformers", "local", f"the model {options.spec}") from error
    return TransformersLLM(
        LocalModel(source, options.adapter), dtype=options.dtype, device=options.device, logprobs=options.logprobs
    )


def _vllm(source: str, options: ModelOptions) -> LLM:
    try:
        from toolkit.llm.local_weights import LocalModel
        from toolkit.llm.vllm_local import VLLMLocal
    except ImportError as error:
        raise MissingExtraError(error.name or "vllm", "vllm", f"the model {options.spec}") from error
    return VLLMLocal(LocalModel(source, options.adapter), dtype=options.dtype, logprobs=options.logprobs)


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


def build_sandbox(
    tools: dict[str, Tool],
    choice: SandboxChoice,
    limits: Limits,
    *,
    modules: Iterable[str] = (),
    workers: int | None = None,
) -> ProcessSandbox:
    """The best sandbox of this machine, if `choice` accepts its level; code may import `modules` besides the usual.

    Raises:
        InputError: the level is too low, or a module is not installed.
    """
    check_sandbox(choice)
    allowed = DEFAULT_MODULES.union(modules)
    # The recorder gives up first, for a call that the sandbox gives up on is cancelled and not recorded.
    return ProcessSandbox(
        tools,
        limits,
        modules=allowed,
        level=probe().level,
        tool_timeout_s=2 * TOOL_TIMEOUT_S,
        workers=workers,
    )


def build_dialects(name: str, templates: Path | None, max_steps: int) -> tuple[CodeDialect, ChainOfThought]:
    """How agents and chains of thought speak."""
    return load_dialect(name, templates, max_steps=max_steps), ChainOfThought(templates)
