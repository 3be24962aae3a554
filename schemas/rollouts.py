"""What was asked, who answered, and what happened: the facts that rollouts leave behind.

Invariant: rows are written once and never changed. A retry is a new `attempt` of the same
`trajectory_id`; the lake's views show the newest.
"""

from __future__ import annotations

from pydantic import Field

from schemas.row import Count, Id, Instant, Json, LogProb, NonNegative, Row, TokenId
from schemas.vocabulary import (
    CandidateStatus,
    Domain,
    ErrorKind,
    FinishReason,
    Role,
    RunKind,
    Source,
    StopReason,
    TrajectoryKind,
)


class Task(Row):
    """A question."""

    task_id: Id
    """Derived from dataset, split, the dataset's own id (or the position) and the question."""
    dataset: str = Field(min_length=1)
    """Name of the question set."""
    split: str | None = None
    """Part of the question set, such as `train`. Null: the set has no parts."""
    source_id: str | None = None
    """The set's own id of the question. Null: it has none."""
    question: str = Field(min_length=1)
    """The question as put to the model."""
    answers: list[str]
    """Gold answer first, then its aliases; empty when no gold answer is known."""
    domain: Domain
    """How answers are compared."""
    plan: Json | None = None
    """Steps that lead to the answer, for the oracle teacher. Null: no plan is known."""
    evidence: list[str] | None = None
    """Titles of the passages that hold the answer. Null: not annotated."""
    license: str | None = None
    """SPDX name of the licence of the question set. Null: not stated."""
    metadata: Json | None = None
    """The set's other fields as one JSON object. Null: there are none."""


class Run(Row):
    """One call of generate, evaluate, import, train or review pull; the newest row of a run_id counts."""

    run_id: Id
    """Derived from the identity, the start and the process."""
    kind: RunKind
    """Which stage ran."""
    identity: Json
    """The settings that enter trajectory ids, as one JSON object."""
    identity_hash: Id
    """Hash of `identity`; equal for runs that produce equal ids."""
    settings: Json
    """All resolved settings, also those outside the identity (endpoints, concurrency, limits)."""
    environment: Json
    """Versions, operating system, cores, sandbox level."""
    input_commit: Count
    """Number of the newest commit that the run read; 0 for an empty lake."""
    source: str | None = None
    """Where imported rows come from: a file name or address. Null: the run imported nothing."""
    license: str | None = None
    """SPDX name of the licence of imported trajectories. Null: not stated, or nothing imported."""
    started_at: Instant
    """Start of the run."""
    finished_at: Instant | None = None
    """End of the run. Null: in progress, or cut off."""


class Model(Row):
    """A model or an adapter."""

    model_id: Id
    """Derived from name, revision and adapter."""
    name: str = Field(min_length=1)
    """Name as a server or a loader takes it, such as `Qwen/Qwen2.5-0.5B-Instruct`."""
    base: str | None = None
    """Name of the model that the adapter or fine-tuned model starts from. Null: not derived, or not known."""
    revision: str | None = None
    """Commit or digest of the weights. Null: not known, as with most hosted endpoints."""
    adapter: str | None = None
    """Path or repository of the adapter. Null: full weights."""
    trained_from: str | None = None
    """Name of the selection it was trained on. Null: not trained here."""
    trained_from_hash: str | None = None
    """Content hash of that selection. Null: not trained here."""
    training_run_id: Id | None = None
    """The run that trained it. Null: not trained here."""
    metadata: Json | None = None
    """Training settings and metrics as one JSON object. Null: none recorded."""


class Prompt(Row):
    """A text that many rows refer to: system prompts, templates, tool definitions."""

    prompt_hash: Id
    """Derived from the text."""
    text: str
    """The text itself."""


class Trajectory(Row):
    """The record of one rollout, with roll-ups of its steps."""

    trajectory_id: Id
    """Generated: from the run's identity, task_id and sample_index. Imported: from dataset, position and content."""
    attempt: Count = 0
    """Number of earlier tries under the same id."""
    run_id: Id
    """The run that wrote this row."""
    task_id: Id
    """The question."""
    dataset: str = Field(min_length=1)
    """Name of the question set (repeated from the task, because most filters need it)."""
    sample_index: Count = 0
    """Number of this sample among those of the same question and identity, from 0."""
    source_position: Count | None = None
    """Line or record number in the imported file, from 1. Null: generated."""
    kind: TrajectoryKind
    """Agent, chain of thought, or chain of thought with passages."""
    role: Role
    """Teacher or student."""
    source: Source
    """Generated here, imported, or edited by a reviewer."""
    parent_id: Id | None = None
    """The trajectory that this one continues or corrects. Null: it stands alone."""
    parent_step: Count | None = None
    """Steps taken over from the parent. Null: there is no parent."""
    model_id: Id | None = None
    """The model that wrote it. Null: the imported record does not say."""
    dialect: str = Field(min_length=1)
    """How it is spoken: `codeact`, `smolagents`, `react-text`, `tool-calls`."""
    system_prompt_hash: Id | None = None
    """System prompt, in `prompts`. Null: there was none, or it is not known."""
    tools_hash: Id | None = None
    """Tool definitions (a JSON array), in `prompts`. Null: none, or not known."""
    first_thought: str | None = None
    """Text that was forced as the beginning of the first thought (ftp). Null: nothing was forced."""
    first_thought_source: Id | None = None
    """trajectory_id of the chain of thought that the first thought was taken from. Null: no ftp."""
    sampling: Json | None = None
    """Temperature, top_p, max_tokens, seed, policy (with sag: n, vote) as one JSON object. Null: not known."""
    stop_reason: StopReason
    """Why the rollout ended."""
    final_answer: str | None = None
    """The answer as text. Null: none was given."""
    error: str | None = None
    """What broke the rollout. Null: nothing did."""
    n_steps: Count
    """Number of steps."""
    n_tool_calls: Count
    """Number of tool calls over all steps."""
    parse_errors: Count
    """Steps whose completion could not be parsed."""
    execution_errors: Count
    """Steps whose code raised an exception."""
    other_errors: Count
    """Steps that failed otherwise: timeout, tool, denied, sandbox."""
    prompt_tokens: Count | None = None
    """Tokens read, summed over the calls. Null: not counted."""
    completion_tokens: Count | None = None
    """Tokens written, summed over the calls, candidates that were not chosen included. Null: not counted."""
    cost_usd: NonNegative | None = None
    """Price of the calls in US dollars. Null: not known."""
    latency_ms: NonNegative | None = None
    """Wall-clock time of the rollout in milliseconds. Null: not measured."""
    started_at: Instant | None = None
    """Start of the rollout. Null: not known."""
    finished_at: Instant | None = None
    """End of the rollout. Null: not known."""
    content_hash: Id
    """Hash of what was said and observed: question, completions, actions, observations, final answer."""
    metadata: Json | None = None
    """Fields of an imported record that fit no column, as one JSON object. Null: there are none."""


class Step(Row):
    """One Thought, Action, Observation turn."""

    trajectory_id: Id
    """The trajectory."""
    attempt: Count = 0
    """The trajectory's attempt."""
    step_index: Count
    """Position in the trajectory, from 0, without gaps."""
    model_id: Id | None = None
    """The model that wrote this step. Null: as in the trajectory."""
    completion: str
    """The model's exact text, injected prefix included; empty when the turn held only structured tool calls."""
    prefix_chars: Count = 0
    """Leading characters of `completion` that were injected, not written by the model."""
    thought: str | None = None
    """The thought. Null: none was stated or it could not be parsed."""
    code: str | None = None
    """The action: Python, `search[…]`, or tool calls as `name(argument=value)` lines. Null: no action."""
    observation: str | None = None
    """What the agent was shown, without the dialect's label. Null: nothing came back."""
    observation_cut_chars: Count = 0
    """Characters left out of `observation` by truncation."""
    error_kind: ErrorKind = "none"
    """Why the step failed."""
    error: str | None = None
    """The error message. Null: no error."""
    is_final: bool = False
    """Whether this step gave the final answer."""
    finish_reason: FinishReason | None = None
    """Why the model stopped writing. Null: not reported."""
    prompt_tokens: Count | None = None
    """Tokens read for this step. Null: not counted."""
    completion_tokens: Count | None = None
    """Tokens of `completion` that the model wrote. Null: not counted."""
    token_ids: list[TokenId] | None = None
    """Ids of the written tokens. Null: the server does not give them."""
    logprobs: list[LogProb] | None = None
    """Natural-log probability of each of `token_ids`. Null: the server does not give them."""
    latency_ms: NonNegative | None = None
    """Wall-clock time of the model call in milliseconds. Null: not measured."""
    action_ms: NonNegative | None = None
    """Wall-clock time of running the action in milliseconds. Null: not measured, or nothing ran."""


class ToolCall(Row):
    """One tool call that an action made."""

    trajectory_id: Id
    """The trajectory."""
    attempt: Count = 0
    """The trajectory's attempt."""
    step_index: Count
    """The step."""
    ordinal: Count
    """Position among the calls of the step, from 0."""
    call_id: str | None = None
    """The model's own id of the call (OpenAI tool calls). Null: the dialect has none."""
    name: str = Field(min_length=1)
    """Name of the tool."""
    arguments: Json
    """Arguments as one JSON object."""
    result: Json | None = None
    """What the tool returned, as JSON. Null: it failed, or the record does not say."""
    error: str | None = None
    """The tool's error message. Null: it did not fail."""
    latency_ms: NonNegative | None = None
    """Wall-clock time in milliseconds. Null: not measured."""
    cached: bool = False
    """Whether the result was answered from a cache."""


class Candidate(Row):
    """One sampled action of self-consistent action generation (sag)."""

    trajectory_id: Id
    """The trajectory."""
    attempt: Count = 0
    """The trajectory's attempt."""
    step_index: Count
    """The step that the candidates competed for."""
    candidate_index: Count
    """Position among the samples, from 0."""
    completion: str
    """The model's exact text, injected prefix included, as in `steps`."""
    thought: str | None = None
    """The thought. Null: none, or not parsed."""
    code: str | None = None
    """The action. Null: it could not be parsed."""
    status: CandidateStatus
    """What had become of it when the vote was held."""
    observation: str | None = None
    """What the agent would be shown of it. Null: it did not run, or not to its end."""
    final_answer: str | None = None
    """The answer it gave. Null: it gave none."""
    error: str | None = None
    """The error message. Null: no error."""
    outcome_key: str | None = None
    """What the vote groups by, as JSON text: the normalized outcome or, if held, the calls it made and waits to make.
    Null: it failed and had no vote."""
    votes: Count
    """Candidates with the same outcome_key, itself included; 0 without a vote."""
    chosen: bool
    """Whether the trajectory went on from it: the earliest of those with most votes."""
    completion_tokens: Count | None = None
    """Tokens written. Null: not counted."""
    token_ids: list[TokenId] | None = None
    """Ids of the written tokens. Null: the server does not give them."""
    logprobs: list[LogProb] | None = None
    """Natural-log probability of each of `token_ids`. Null: the server does not give them."""
