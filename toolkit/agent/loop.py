"""The agent loop: Thought, Action, Observation, until `final_answer` or the last step.

Invariant: errors of the model's code become observations and the loop goes on; only a model
that gives no answer at all ends a rollout early, and that is a row too. With a first thought
(ftp) the first completion is asked as a continuation of `Thought: ` + its text, or, of a model
that cannot continue, by an instruction in the task turn.
Source: Kang et al. 2025 (arXiv 2505.17612), sections 3 and 4.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from schemas import Candidate, Step
from toolkit.agent.candidates import candidate_rows
from toolkit.agent.draft import Draft, Finished
from toolkit.agent.late_session import LateSession
from toolkit.agent.policies import Taken, policy_of
from toolkit.agent.recorder import recording
from toolkit.contracts import ChatMessage, CompletionRequest, Session
from toolkit.errors import ModelError

OnStep = Callable[[Step, list[Candidate]], None]
"""Sees a step and, with sag, the candidates that competed for it."""


def unseen(step: Step, candidates: list[Candidate]) -> None:
    """Nobody looks on."""


async def run_agent(draft: Draft, *, on_step: OnStep = unseen) -> Finished:
    """Run one rollout to its end; `on_step` sees every step as it happens."""
    setup, recorder = draft.setup, draft.recorder
    take_step = policy_of(setup)
    if setup.sandbox is None:
        raise ValueError("an agent needs a sandbox")
    # It starts while the model thinks about its first action.
    session: Session = LateSession(setup.sandbox)
    try:
        for step_index in range(setup.max_steps):
            request = _request(draft, step_index)
            recorder.begin_step(step_index)
            try:
                with recording(recorder):
                    taken = await take_step(setup, session, request)
            except ModelError as error:
                return draft.fail(error)
            recorder.end_step()
            session = taken.session
            prefix = request.prefix or ""
            candidates = list(candidate_rows(draft, step_index, prefix, taken.contenders))
            step = _record(draft, step_index, prefix, taken)
            draft.candidates += candidates
            on_step(step, candidates)
            if step.is_final and taken.outcome is not None:
                return draft.finish("final_answer", final_answer=taken.outcome.final_answer)
        return draft.finish("max_steps")
    finally:
        await _let_go(session)


_CLOSING: set[asyncio.Task[None]] = set()
"""Sessions on their way out; the event loop itself keeps no task alive."""
_MOST_CLOSING = 64


async def _let_go(session: Session) -> None:
    """Close a session; unless many are closing, without waiting for its process, to whose end the sandbox will see."""
    closing = asyncio.create_task(session.close())
    _CLOSING.add(closing)
    closing.add_done_callback(_CLOSING.discard)
    if len(_CLOSING) > _MOST_CLOSING:
        await asyncio.wait([closing])


def _request(draft: Draft, step_index: int) -> CompletionRequest:
    setup, sampling = draft.setup, draft.setup.sampling
    continued = draft.first_thought if step_index == 0 and setup.ftp_mode == "prefix" else None
    return CompletionRequest(
        messages=tuple(_messages(draft)),
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        max_tokens=sampling.max_tokens,
        stop=setup.dialect.stop,
        seed=setup.request_seed(draft.task.task_id, draft.sample_index, step_index),
        prefix=setup.dialect.prefix(continued.text) if continued else None,
    )


def _messages(draft: Draft) -> list[ChatMessage]:
    dialect = draft.setup.dialect
    messages = [ChatMessage("system", draft.setup.system_prompt)]
    messages.append(ChatMessage("user", _task_turn(draft)))
    for step in draft.steps:
        messages.append(ChatMessage("assistant", step.completion))
        messages.append(ChatMessage("user", dialect.observation_turn(step.observation or "")))
    return messages


def _task_turn(draft: Draft) -> str:
    dialect, question, thought = draft.setup.dialect, draft.task.question, draft.first_thought
    if thought is not None and draft.setup.ftp_mode == "instruct":
        return dialect.instructed_task_turn(question, thought.text)
    return dialect.task_turn(question)


def _record(draft: Draft, step_index: int, prefix: str, taken: Taken) -> Step:
    dialect, outcome, completion = draft.setup.dialect, taken.outcome, taken.completion
    final = outcome is not None and outcome.is_final
    if outcome is None:
        observation, cut = dialect.parse_error(taken.action), 0
    else:
        observation, cut = dialect.observation(outcome)
        draft.add_tool_uses(step_index, outcome.tool_uses)
    step = Step(
        trajectory_id=draft.trajectory_id,
        attempt=draft.attempt,
        step_index=step_index,
        completion=prefix + completion.text,
        prefix_chars=len(prefix),
        thought=taken.action.thought,
        code=taken.action.code,
        observation=None if final else observation,
        observation_cut_chars=0 if final else cut,
        error_kind="parse" if outcome is None else outcome.error_kind,
        error=taken.action.error if outcome is None else outcome.error,
        is_final=final,
        finish_reason=completion.finish_reason,
        prompt_tokens=taken.samples.prompt_tokens,
        completion_tokens=completion.completion_tokens,
        token_ids=list(completion.token_ids) if completion.token_ids is not None else None,
        logprobs=list(completion.logprobs) if completion.logprobs is not None else None,
        latency_ms=taken.latency_ms + draft.recorder.replayed_ms,
        action_ms=outcome.duration_ms if outcome is not None else None,
    )
    draft.add(step, written=taken.samples.completion_tokens)
    return step
