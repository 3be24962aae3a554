"""The seams of the toolkit: value types and protocols that its parts meet at.

Each protocol has a shipped implementation that tests use as it is (`toolkit.llm.scripted`,
the exact-title retriever, the process sandbox), so that no part is ever mocked.
Invariant: everything asynchronous may be called concurrently from one event loop.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, Self

from schemas import ErrorKind, FinishReason, Role

Identity = dict[str, object]
"""What makes two parts interchangeable: JSON values that enter the run's identity, hence ids."""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One turn of a prompt."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """One call of a model."""

    messages: tuple[ChatMessage, ...]
    n: int = 1
    """Samples to draw."""
    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 1024
    """Most tokens to write, a sample."""
    stop: tuple[str, ...] = ()
    """The model stops after writing one of these; the string stays in the text."""
    seed: int | None = None
    """None: the server's choice."""
    prefix: str | None = None
    """Beginning of the assistant turn that the model must continue. None: it begins the turn itself."""


@dataclass(frozen=True, slots=True)
class Completion:
    """One sample."""

    text: str
    """What the model wrote, without the prefix."""
    finish_reason: FinishReason = "stop"
    prompt_tokens: int | None = None
    """Tokens read; of several samples of one request only the first one states them. None: not counted."""
    completion_tokens: int | None = None
    """Tokens written; 0 for copies of a greedy sample. None: not counted."""
    sampled_tokens: int | None = None
    """Tokens written by all samples of the request, stated by the first one where the server counts only those.
    None: the sum of what each one wrote."""
    token_ids: tuple[int, ...] | None = None
    """Tokens written, the end token included. None: not asked for, or not given."""
    logprobs: tuple[float, ...] | None = None
    """Natural logarithms, the model's own before temperature, one a token. None: not asked for, or not given."""


class LLM(Protocol):
    """A model."""

    @property
    def name(self) -> str:
        """Model name as recorded."""
        ...

    @property
    def identity(self) -> Identity:
        """Model, revision and whatever else changes its answers; no endpoints, no keys."""
        ...

    async def prepare(self, *, prefix: bool) -> None:
        """Check, before anything is paid for, that the model answers and, with `prefix`, that it can continue one.

        Raises:
            InputError: unreachable, refused, unknown model, or no prefix continuation; the message says which.
        """
        ...

    async def complete(self, request: CompletionRequest) -> list[Completion]:
        """`request.n` samples, or fewer, at least one, where the server cannot draw as many at once.

        Raises:
            ModelError: no answer after all retries, or this request is refused.
            InputError: no request can be answered any more, because a key was revoked or the model is gone.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True, slots=True)
class Passage:
    """A retrievable text."""

    title: str
    text: str
    passage_id: str = ""
    score: float | None = None
    """Cosine similarity to the query, where it was searched for. None: not searched for."""


class Retriever(Protocol):
    """A search over passages."""

    @property
    def identity(self) -> Identity:
        """Corpus digest, embedder and its revision, number of passages."""
        ...

    async def search(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        """The `k` best passages of each query, best first; concurrent calls may share one batch."""
        ...

    async def close(self) -> None:
        """Let go of files and threads."""
        ...


Effect = Literal["pure", "read", "write"]
"""`pure`: depends on its arguments only. `read`: looks at the world. `write`: changes it, and never runs in a
sag candidate that has not won."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that model-written code may call by name."""

    name: str
    signature: str
    """As shown in the prompt, for example `web_search(query: str) -> str`."""
    description: str
    """As shown in the prompt."""
    call: Callable[..., Awaitable[object]]
    """Runs in the host process; arguments and result are JSON values."""
    effect: Effect = "read"


@dataclass(frozen=True, slots=True)
class ToolUse:
    """One call of a tool, as it happened."""

    name: str
    arguments: dict[str, object]
    """By parameter name."""
    result: object = None
    error: str | None = None
    """None: it did not fail."""
    latency_ms: float = 0.0
    cached: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What one session may use."""

    step_timeout_s: float = 10.0
    """Wall-clock time of one action, tool calls not counted."""
    memory_mb: int = 1024
    output_chars: int = 20_000
    """Characters of printed output that are kept, a step."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What running one action came to."""

    ok: bool
    stdout: str = ""
    stdout_cut_chars: int = 0
    """Printed characters that were not kept."""
    value: str | None = None
    """`repr` of the last expression, as an interactive interpreter shows it. None: the code ends otherwise."""
    is_final: bool = False
    """Whether `final_answer` was called."""
    final_answer: str | None = None
    """The answer as text; numbers and strings as `str` gives them."""
    error_kind: ErrorKind = "none"
    error: str | None = None
    """The last lines of the traceback, or why the sandbox ended it. None: no error."""
    tool_uses: tuple[ToolUse, ...] = ()
    duration_ms: float = 0.0
    held: ToolUse | None = None
    """The call of a `write` tool at which the action waits for `Session.resume`. None: the action has ended."""


@dataclass(slots=True)
class Trial:
    """What the candidates of one sag step have in common, while nobody knows which of them will win.

    Each `read` or `pure` call is made once and answered to all; a call of a `write` tool waits.
    """

    answers: dict[str, Future[object]] = field(default_factory=dict)
    """Kept by the sandbox: what each call, as JSON, was answered or will be."""


class Session(Protocol):
    """One interpreter whose state lasts from action to action."""

    async def run(self, code: str, trial: Trial | None = None) -> Outcome:
        """Run one action; never raises for what the code does.

        With `trial` it is run as a candidate: read tools are shared, and at a call of a `write` tool it stops with
        `Outcome.held` set.
        """
        ...

    async def resume(self) -> Outcome:
        """Go on with the action that is held, for it has won: its tool is called now, and later ones too."""
        ...

    async def fork(self, n: int) -> list[Session]:
        """`n` sessions that start from this one's state and do not see each other; this one can go on as well."""
        ...

    async def close(self) -> None:
        """End the session's process."""
        ...


class Sandbox(Protocol):
    """A place to run model-written code; an asynchronous context manager."""

    level: int
    """3: namespaces, Landlock, seccomp. 2: without namespaces. 1: a separate process with resource limits."""

    async def __aenter__(self) -> Self:
        """Start workers."""
        ...

    async def __aexit__(self, *error: object) -> None:
        """End every process."""
        ...

    async def open(self) -> Session:
        """A fresh session."""
        ...


@dataclass(frozen=True, slots=True)
class ParsedAction:
    """What a completion says."""

    thought: str | None
    """None: no thought was written."""
    code: str | None
    """The action. None: it could not be parsed, see `error`."""
    error: str | None = None
    """Why there is no action, as advice to the model. None: there is one."""


class Dialect(Protocol):
    """How a trajectory is spoken; training and inference use the same object."""

    name: str
    version: str
    stop: tuple[str, ...]
    """Strings at which the model stops writing an action."""

    def identity(self, role: Role | None = None) -> Identity:
        """What changes the turns of `role`, or of both."""
        ...

    def teacher_prompt(self, tools: Sequence[Tool]) -> str:
        """System prompt with worked examples."""
        ...

    def student_prompt(self, tools: Sequence[Tool]) -> str:
        """Short system prompt."""
        ...

    def task_turn(self, question: str) -> str:
        """User turn that puts the question."""
        ...

    def prefix(self, first_thought: str) -> str:
        """Beginning of the assistant turn that forces `first_thought`."""
        ...

    def parse(self, completion: str) -> ParsedAction:
        """Thought and action of a completion, or advice on what is wrong with it."""
        ...

    def observation(self, outcome: Outcome) -> tuple[str, int]:
        """What the model is shown of an outcome, and how many characters were cut."""
        ...

    def parse_error(self, action: ParsedAction) -> str:
        """What the model is shown when its completion could not be parsed."""
        ...

    def observation_turn(self, observation: str) -> str:
        """User turn that shows an observation."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """One scorer's word on a trajectory or a step."""

    value: float | None
    passed: bool | None
    step_index: int | None = None
    """None: about the whole trajectory."""
    details: dict[str, object] = field(default_factory=dict)
