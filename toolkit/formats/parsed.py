"""What a foreign file says about one rollout, before the toolkit gives it ids.

A parser turns one record of one file into one `ParsedTrajectory`. It never guesses:
what the format does not say stays None, and what the format says but our tables cannot
hold is named in `losses`, so that the end of an import can list it.

Not covered here: reading files (`records`), ids and roll-ups (`pipelines.ingest`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from schemas import Domain, ErrorKind, StopReason, TrajectoryKind


@dataclass(slots=True)
class ParsedCall:
    """One tool call that the record states."""

    name: str
    arguments: str
    """JSON object text."""
    result: str | None = None
    """JSON text of what the tool returned. None: the record does not say."""
    call_id: str | None = None
    """The record's own id of the call. None: the format has none."""
    error: str | None = None
    """The tool's error message. None: it did not fail, or the record does not say."""


@dataclass(slots=True)
class ParsedStep:
    """One thought, action, observation turn."""

    completion: str
    """The assistant's text exactly as recorded; empty when the turn held only structured tool calls."""
    thought: str | None = None
    """None: the turn states no thought."""
    code: str | None = None
    """The action as text: Python, `search[query]`, or tool calls rendered as `name(argument=value)` lines.
    None: the turn has no action."""
    observation: str | None = None
    """What came back, without the dialect's "Observation:" label. None: nothing came back."""
    error_kind: ErrorKind = "none"
    error: str | None = None
    """Error message. None: no error."""
    is_final: bool = False
    tool_calls: list[ParsedCall] = field(default_factory=list)
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    latency_ms: float | None = None
    """Milliseconds of the model call; of formats that time only whole steps, of the step with its action."""


@dataclass(slots=True)
class ParsedTrajectory:
    """One rollout as a foreign record tells it."""

    question: str
    steps: list[ParsedStep]
    dialect: str
    """How the steps speak: `react-text`, `tool-calls`, `smolagents` (1.2x, `<code>` tags),
    `smolagents-1.13` (```` ```py … ```<end_code> ````) or `plain` (text without actions)."""
    answers: list[str] = field(default_factory=list)
    """Gold answer and aliases; empty when the record has none."""
    domain: Domain | None = None
    kind: TrajectoryKind = "agent"
    system_prompt: str | None = None
    tools: str | None = None
    """JSON array of OpenAI tool definitions. None: the record lists none."""
    model: str | None = None
    final_answer: str | None = None
    stop_reason: StopReason = "unknown"
    error: str | None = None
    reward: float | None = None
    """The environment's own verdict. None: the record states none."""
    source_id: str | None = None
    """The record's own id. None: it has none."""
    cost_usd: float | None = None
    metadata: dict[str, object] = field(default_factory=dict)
    """Fields of the record that fit no column and are kept as JSON."""
    losses: list[str] = field(default_factory=list)
    """What the record holds and our tables cannot, one phrase a kind, for example "image content part"."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A format's word on whether a record is its own."""

    because: str
    """The finding, for example `assistant turns end in "Action: name[…]"`."""
    strength: int
    """1–100; the strongest claim wins, a tie is an error that names both. Below 50 the record only could be
    of this format; from 50 on it shows marks that are the format's own."""


class TrajectoryFormat(Protocol):
    """One foreign format."""

    name: str
    """As given to `--format`."""

    def claim(self, record: dict[str, object]) -> Claim | None:
        """Say why `record` looks like this format, or None."""
        ...

    def parse(self, record: dict[str, object]) -> ParsedTrajectory:
        """Read one record.

        Raises:
            RecordError: what was expected and what came (without a place; the caller adds it).
        """
        ...


def claims(formats: Sequence[TrajectoryFormat], record: dict[str, object]) -> list[tuple[TrajectoryFormat, Claim]]:
    """All formats that claim `record`, strongest first."""
    found = [(candidate, claim) for candidate in formats if (claim := candidate.claim(record)) is not None]
    return sorted(found, key=lambda pair: -pair[1].strength)
