"""What a rollout is made of, and the identity that its trajectory ids derive from.

Invariant: two setups with equal identity ask the same questions in the same words of the
same model; endpoints, concurrency and limits of a run are not part of it (DESIGN, "The lake").
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Literal

from schemas import Model, Prompt, Role, TrajectoryKind
from schemas.identity import canonical_json, derive_id, model_id, prompt_hash
from toolkit.agent.vote import VERSION as VOTE_VERSION
from toolkit.agent.vote import VoteRule
from toolkit.contracts import LLM, Identity, Retriever, Sandbox, Tool
from toolkit.dialects.chain_of_thought import ChainOfThought
from toolkit.dialects.code_dialect import CodeDialect
from toolkit.dialects.recorded_tools import tools_json

FtpMode = Literal["prefix", "instruct"]
"""How a first thought is forced: `prefix`: the model continues it. `instruct`: the task turn asks to begin with it."""

USUAL_PASSAGES = 3
"""Passages that a search shows unless another number is asked for, as in the paper."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the model samples."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 1024
    """Most tokens of one completion."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Sag:
    """Self-consistent action generation: several actions are sampled for each step, and their outcomes vote."""

    n: int = 8
    """Actions that compete for a step."""
    vote: VoteRule = "outcome"


@dataclass(frozen=True)
class Setup:
    """Everything that the rollouts of one run share."""

    llm: LLM
    dialect: CodeDialect
    """How agents speak."""
    chain: ChainOfThought
    """How chains of thought are asked for."""
    kind: TrajectoryKind = "agent"
    role: Role = "teacher"
    sampling: Sampling = field(default_factory=Sampling)
    sag: Sag | None = None
    """How an agent's actions are chosen. None: greedily, the one that was sampled."""
    max_steps: int = 5
    """Most actions of an agent; a chain of thought is one step."""
    tools: dict[str, Tool] = field(default_factory=dict)
    modules: frozenset[str] = frozenset()
    """Packages that code may import besides the usual ones."""
    sandbox: Sandbox | None = None
    """None: for chains of thought, which run nothing."""
    retriever: Retriever | None = None
    """The index behind `web_search` or the passages of `cot_rag`. None: nothing is searched."""
    n_passages: int = USUAL_PASSAGES
    """Passages that `web_search` or the prompt of `cot_rag` shows."""
    prompt: Role | None = None
    """Whose system prompt an agent is given. None: that of its role."""
    first_thoughts: Setup | None = None
    """Setup of the chains of thought whose first paragraph is forced on the agent. None: no ftp."""
    ftp_mode: FtpMode = "prefix"

    @cached_property
    def system_prompt(self) -> str:
        """The system prompt, as every rollout of this setup gets it."""
        if self.kind != "agent":
            return self.chain.system_prompt(with_passages=self.kind == "cot_rag")
        prompt = self.dialect.teacher_prompt if self._prompt_role == "teacher" else self.dialect.student_prompt
        return prompt(list(self.tools.values()))

    @cached_property
    def identity(self) -> Identity:
        """What the ids derive from; what a greedy agent has no use for is left out."""
        sag = {"sag": {**asdict(self.sag), "version": VOTE_VERSION}} if self.sag else {}
        tools = [{"signature": tool.signature, "effect": tool.effect} for tool in self.tools.values()]
        # Named only where it is not the usual one, so that ids made before there was a choice stay.
        instructed = {"ftp_mode": self.ftp_mode} if self.first_thoughts and self.ftp_mode != "prefix" else {}
        imported = {"modules": sorted(self.modules)} if self.modules and self.kind == "agent" else {}
        return {
            **instructed,
            **imported,
            "kind": self.kind,
            "role": self.role,
            "model": self.llm.identity,
            "dialect": self._dialect_identity(),
            "system_prompt": prompt_hash(self.system_prompt),
            "tools": tools if self.kind == "agent" else [],
            "index": self.retriever.identity if self.retriever and self.kind != "cot" else None,
            "passages": self._passages_identity(),
            "sampling": asdict(self.sampling),
            "max_steps": self.max_steps if self.kind == "agent" else 1,
            "first_thoughts": self.first_thoughts.identity_hash if self.first_thoughts else None,
            **sag,
        }

    @property
    def continues_prefix(self) -> bool:
        """Whether the model must be able to continue a prefix."""
        return self.first_thoughts is not None and self.ftp_mode == "prefix"

    @property
    def dialect_name(self) -> str:
        """The `dialect` column."""
        return self.dialect.name if self.kind == "agent" else self.chain.name

    @property
    def _prompt_role(self) -> Role:
        return self.prompt or self.role

    def _passages_identity(self) -> int | None:
        """For agents named only where it is not the usual one, so that ids made before there was a choice stay."""
        searches = self.kind == "agent" and self.retriever is not None and self.n_passages != USUAL_PASSAGES
        return self.n_passages if self.kind == "cot_rag" or searches else None

    def _dialect_identity(self) -> Identity:
        if self.kind == "agent":
            return self.dialect.identity(self._prompt_role)
        return self.chain.identity(with_passages=self.kind == "cot_rag")

    @cached_property
    def identity_hash(self) -> str:
        """Hash of the identity."""
        return derive_id("identity", self.identity)

    def trajectory_id(self, task_id: str, sample_index: int) -> str:
        """Id of a rollout: the same whenever and wherever it is run."""
        return derive_id("rollout", self.identity_hash, task_id, sample_index)

    def request_seed(self, task_id: str, sample_index: int, step_index: int) -> int:
        """Seed of one request, below 2**31: different for every sample and step, equal for equal runs."""
        return int(derive_id("seed", self.sampling.seed, task_id, sample_index, step_index)[:8], 16) % 2**31

    @cached_property
    def model_row(self) -> Model:
        """The model as the lake names it."""
        revision = self.llm.identity.get("revision")
        text = str(revision) if revision is not None else None
        return Model(model_id=model_id(self.llm.name, text), name=self.llm.name, revision=text)

    @cached_property
    def prompt_row(self) -> Prompt:
        """The system prompt as the lake keeps it."""
        return Prompt(prompt_hash=prompt_hash(self.system_prompt), text=self.system_prompt)

    @cached_property
    def tools_row(self) -> Prompt | None:
        """The tools as the lake keeps them, so that a student's prompt can name the same ones. None: not an agent."""
        if self.kind != "agent":
            return None
        text = tools_json(self.tools.values())
        return Prompt(prompt_hash=prompt_hash(text), text=text)

    def sampling_json(self) -> str:
        """The `sampling` column."""
        policy: dict[str, object] = {}
        if self.kind == "agent":
            policy = {"policy": "sag", **asdict(self.sag)} if self.sag else {"policy": "greedy"}
        return canonical_json(asdict(self.sampling) | policy)
