"""What a rollout asks of models and tools goes through here: answered from the journal, or asked and recorded first.

    setup = Setup(RecordedLLM(llm), …, tools={name: recorded_tool(tool)})
    with recording(recorder):             # one rollout; everything it asks in here finds its recorder
        recorder.begin_step(0)
        await policy.step(setup, session, request)

Invariant: an answer is used only after it is recorded, and one that was recorded is never asked for again. The
n-th equal question of a step gets the n-th answer, so that replaying needs no more than the same questions; those
of concurrent candidates are alike, for they start from the same state.

A call of a `write` tool is announced before it is made. If its answer was never recorded, the tool is not called a
second time: the action gets an error that says so. Tools that are `pure` are not recorded, only run again.
Not covered: the search for the passages of `cot_rag`, which is repeated.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import inspect
import json
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Literal

import orjson

from schemas.identity import canonical_json
from schemas.rollups import total
from toolkit.agent.budget import Meter
from toolkit.contracts import LLM, Completion, CompletionRequest, Tool
from toolkit.errors import RunError
from toolkit.lake.journal import Entry, Journal

TOOL_TIMEOUT_S = 120.0
"""Longest one call of a recorded tool may take; the failure is recorded like any other."""
LOST = "LostCallError"
"""Name of the error of a call that was announced and never answered."""

_Question = tuple[int, Literal["reply", "tool"], bytes]
"""Step, kind and digest."""
_current: ContextVar[Recorder] = ContextVar("recorder")


class Recorder:
    """The answers of one rollout.

    Args:
        trajectory_id: Whose answers these are.
        place: Of the question, see `journals`.
        journal: Where they are recorded. None: nowhere.
        recorded: What the journal holds of this trajectory.
        meter: Counts, and stops, what is paid for.
    """

    def __init__(
        self,
        trajectory_id: str,
        place: int = 0,
        journal: Journal | None = None,
        recorded: Iterable[Entry] = (),
        meter: Meter | None = None,
    ) -> None:
        self._trajectory_id, self._place, self._journal = trajectory_id, place, journal
        self._meter = meter or Meter()
        self._step = 0
        self._left: dict[_Question, list[Entry]] = defaultdict(list)
        self._ordinals: dict[_Question, int] = defaultdict(int)
        for entry in recorded:
            question: _Question = (entry.step, entry.kind, entry.digest)
            self._left[question].append(entry)
            self._ordinals[question] = entry.ordinal + 1
        self._broken: RunError | None = None
        self.replayed = 0
        """Replies of the model that came from the journal."""
        self.replayed_ms = 0.0
        """The longest that one of this step's replayed replies took when it was asked for."""
        self.prompt_tokens = 0
        """Tokens read for this rollout, replayed ones and those of all candidates included."""
        self.completion_tokens = 0

    @property
    def cost_usd(self) -> float | None:
        """What the model's replies to this rollout cost. None: prices are not known."""
        prices = self._meter.prices
        return prices.cost_usd(self.prompt_tokens, self.completion_tokens) if prices else None

    def begin_step(self, step_index: int) -> None:
        """What is asked from now on belongs to this step."""
        self._step, self.replayed_ms = step_index, 0.0

    def end_step(self) -> None:
        """See that all of the step was recorded; a tool's failure to record it would look like the tool's own.

        Raises:
            RunError: the journal cannot be written.
        """
        if self._broken is not None:
            raise self._broken

    async def reply(self, llm: LLM, request: CompletionRequest, model: bytes) -> list[Completion]:
        """The samples of a request, from the journal or from the model.

        Raises:
            ModelError: no answer after all retries.
            BudgetError: nothing more may be asked.
            RunError: the journal cannot be written.
        """
        question: _Question = (self._step, "reply", _digest(model, orjson.dumps(request)))
        saved = self._claim(question)
        if saved is None or saved.value is None:
            completions = await self._ask(llm, request, question)
        else:
            content = orjson.loads(saved.value)
            completions = [_completion(values) for values in content["completions"]]
            self.replayed += 1
            self.replayed_ms = max(self.replayed_ms, content["ms"])
        read, written = _tokens(completions)
        self.prompt_tokens += read or 0
        self.completion_tokens += written or 0
        return completions

    async def _ask(self, llm: LLM, request: CompletionRequest, question: _Question) -> list[Completion]:
        self._meter.check()
        asked = time.perf_counter()
        completions = await llm.complete(request)
        ms = (time.perf_counter() - asked) * 1000
        read, written = _tokens(completions)
        value = orjson.dumps({"ms": ms, "completions": completions})
        await self._record(question, self._next(question), value, read, written)
        # After it is recorded: if it cannot be counted, this one at least is not lost.
        self._meter.add(read, written)
        return completions

    async def result(self, tool: Tool, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        """What a tool returns, from the journal or from the tool.

        Raises:
            Exception: whatever the tool raises, or raised when it was recorded, by name and message.
        """
        asked = json.dumps([tool.name, args, kwargs], sort_keys=True, default=repr)
        question: _Question = (self._step, "tool", _digest(asked.encode(errors="surrogatepass")))
        saved = self._claim(question)
        if saved is None:
            return await self._call(tool, args, kwargs, question)
        content = orjson.loads(saved.value) if saved.value is not None else None
        if content is None:
            message = f"{tool.name} was called and the run was cut off; whether the call took effect is not known"
            content = {"error": [LOST, message]}
            await self._record(question, saved.ordinal, orjson.dumps(content))
        if "error" in content:
            name, message = content["error"]
            raise type(name, (Exception,), {})(message)
        return json.loads(content["result"])

    async def _call(
        self, tool: Tool, args: tuple[object, ...], kwargs: dict[str, object], question: _Question
    ) -> object:
        ordinal = self._next(question)
        if tool.effect == "write":
            await self._record(question, ordinal, None)
        try:
            text = await _called(tool, args, kwargs)
        except Exception as error:
            failure = {"error": [type(error).__name__, str(error).encode(errors="replace").decode()]}
            await self._record(question, ordinal, orjson.dumps(failure))
            raise
        await self._record(question, ordinal, orjson.dumps({"result": text}))
        return json.loads(text)

    def _claim(self, question: _Question) -> Entry | None:
        left = self._left.get(question)
        return left.pop(0) if left else None

    def _next(self, question: _Question) -> int:
        ordinal = self._ordinals[question]
        self._ordinals[question] = ordinal + 1
        return ordinal

    async def _record(
        self,
        question: _Question,
        ordinal: int,
        value: bytes | None,
        read: int | None = None,
        written: int | None = None,
    ) -> None:
        if self._journal is None:
            return
        step, kind, digest = question
        try:
            await self._journal.put(
                Entry(self._trajectory_id, self._place, step, kind, digest, ordinal, value, read, written)
            )
        except RunError as error:
            self._broken = error
            raise


@contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """A block in which models and tools answer through `recorder`; tasks that start in it inherit that."""
    token = _current.set(recorder)
    try:
        yield
    finally:
        _current.reset(token)


class RecordedLLM:
    """A model whose replies go through the recorder of the rollout that asks."""

    def __init__(self, llm: LLM) -> None:
        self.name, self.identity = llm.name, llm.identity
        self._llm = llm
        self._model = canonical_json([llm.name, llm.identity]).encode()

    async def prepare(self, *, prefix: bool) -> None:
        """As the model does.

        Raises:
            InputError: the model will not do.
        """
        await self._llm.prepare(prefix=prefix)

    async def complete(self, request: CompletionRequest) -> list[Completion]:
        """The samples of a request, from the journal or from the model.

        Raises:
            ModelError: no answer after all retries.
            BudgetError: nothing more may be asked.
            RunError: the journal cannot be written.
        """
        return await _current.get().reply(self._llm, request, self._model)

    async def close(self) -> None:
        """Close the model."""
        await self._llm.close()


def recorded_tool(tool: Tool) -> Tool:
    """`tool`, its results going through the recorder of the rollout that calls it."""
    if tool.effect == "pure":
        return tool

    signature = inspect.signature(tool.call)

    @functools.wraps(tool.call)
    async def call(*args: object, **kwargs: object) -> object:
        # In one spelling: of candidates that ask the same by position and by name, any may come first.
        bound = signature.bind(*args, **kwargs)
        return await _current.get().result(tool, bound.args, bound.kwargs)

    return replace(tool, call=call)


async def _called(tool: Tool, args: tuple[object, ...], kwargs: dict[str, object]) -> str:
    """What the tool returns, as JSON: the first time it is read back from there, as every later time."""
    try:
        async with asyncio.timeout(TOOL_TIMEOUT_S) as limit:
            result = await tool.call(*args, **kwargs)
    except TimeoutError:
        if limit.expired():
            raise TimeoutError(f"{tool.name} gave no answer within {TOOL_TIMEOUT_S:g} s") from None
        raise
    try:
        return json.dumps(result, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"{tool.name} returned a {type(result).__name__} that is not a JSON value: {error}") from error


def _digest(*parts: bytes) -> bytes:
    return hashlib.blake2b(b"\0".join(parts), digest_size=16).digest()


def _completion(values: dict[str, object]) -> Completion:
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return Completion(**{**values, **lists})  # type: ignore[arg-type]


def _tokens(completions: list[Completion]) -> tuple[int | None, int | None]:
    """Tokens read and written of one request; None where the server does not count them."""
    first = completions[0]
    if first.sampled_tokens is not None:
        return first.prompt_tokens, first.sampled_tokens
    return first.prompt_tokens, total(completion.completion_tokens for completion in completions)
