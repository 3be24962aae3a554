"""Options of a rollout that every command which runs some has, said once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pipelines.parts import SandboxChoice
from pipelines.policy import Policy, PolicyOptions, SagSamples, Temperature, TopP, Vote
from toolkit.agent.setup import USUAL_PASSAGES

Modules = Annotated[
    tuple[str, ...],
    Parameter(negative="", help="Packages that code may import besides the usual, may be given several times."),
]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutFlags:
    """How one rollout goes."""

    max_steps: Annotated[int, Parameter(help="Most actions of an agent.")] = 5
    index: Annotated[Path | None, Parameter(help="Index to search; Minipedia makes its own.")] = None
    passages: Annotated[int, Parameter(help="Passages that web_search or the prompt of cot_rag shows.")] = (
        USUAL_PASSAGES
    )
    tools: Annotated[
        tuple[Path, ...], Parameter(help="Python files with @tool functions, may be given several times.")
    ] = ()
    modules: Modules = ()
    sandbox: Annotated[SandboxChoice, Parameter(help="best, or unsafe to accept a level below 2.")] = "best"
    policy: Policy = "greedy"
    sag_samples: SagSamples = 8
    vote: Vote = "outcome"
    dialect: Annotated[str, Parameter(help="codeact or smolagents.")] = "codeact"
    templates: Annotated[Path | None, Parameter(help="Directory with prompt templates of your own.")] = None
    temperature: Temperature = None
    top_p: TopP = None
    completion_tokens: Annotated[int, Parameter(help="Most tokens of one completion.")] = 1024
    seed: Annotated[int, Parameter(help="Of sampling, of the oracle and of the sandbox.")] = 0

    @property
    def policy_options(self) -> PolicyOptions:
        """How actions are chosen and sampled.

        Raises:
            InputError: an option will not do.
        """
        return PolicyOptions(
            self.policy,
            self.sag_samples,
            self.vote,
            self.temperature,
            self.top_p,
            self.completion_tokens,
            self.seed,
        )


PLAIN = RolloutFlags()
