"""How an agent's actions are chosen and sampled, as options say it.

Sag samples at the paper's temperature 0.4 and top_p 0.8 unless the options name others; a
greedy agent, and every chain of thought, at 0 and 1. A first thought is therefore the same
under both policies, made once, and only the actions differ between them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from cyclopts import Parameter

from toolkit.agent.setup import Sag, Sampling
from toolkit.agent.vote import VoteRule
from toolkit.errors import InputError

PolicyName = Literal["greedy", "sag"]

Policy = Annotated[PolicyName, Parameter(help="greedy, or sag: sample several actions and let their outcomes vote.")]
SagSamples = Annotated[int, Parameter(help="Actions that compete for a step with --policy sag.")]
Vote = Annotated[VoteRule, Parameter(help="outcome, or stdout: the exact printed text alone, as in the paper's code.")]
Temperature = Annotated[float | None, Parameter(help="0, or 0.4 with --policy sag, unless given.")]
TopP = Annotated[float | None, Parameter(help="1, or 0.8 with --policy sag, unless given.")]


@dataclass(frozen=True, slots=True)
class PolicyOptions:
    """See the module.

    Raises:
        InputError: an unknown word, no samples, or a temperature or top_p that no model takes.
    """

    policy: PolicyName = "greedy"
    sag_samples: int = 8
    vote: VoteRule = "outcome"
    temperature: float | None = None
    """None: what the policy wants."""
    top_p: float | None = None
    """None: what the policy wants."""
    max_tokens: int = 1024
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, known in (
            ("policy", self.policy, get_args(PolicyName)),
            ("vote", self.vote, get_args(VoteRule)),
        ):
            if value not in known:
                raise InputError(f"{name} must be {' or '.join(known)}, got {value!r}")
        if self.temperature is not None and not 0 <= self.temperature < math.inf:
            raise InputError(f"--temperature must be a number from 0, got {self.temperature:g}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise InputError(f"--top-p must be above 0 and at most 1, got {self.top_p:g}")
        if self.sag_samples < 1:
            raise InputError(f"--sag-samples must be at least 1, got {self.sag_samples}")

    @property
    def sag(self) -> Sag | None:
        """None: greedy."""
        return Sag(self.sag_samples, self.vote) if self.policy == "sag" else None

    @property
    def agent_sampling(self) -> Sampling:
        """How actions are sampled."""
        return self._sampling(0.4, 0.8) if self.policy == "sag" else self.chain_sampling

    @property
    def chain_sampling(self) -> Sampling:
        """How chains of thought are sampled."""
        return self._sampling(0.0, 1.0)

    def _sampling(self, temperature: float, top_p: float) -> Sampling:
        return Sampling(
            temperature if self.temperature is None else self.temperature,
            top_p if self.top_p is None else self.top_p,
            self.max_tokens,
            self.seed,
        )
