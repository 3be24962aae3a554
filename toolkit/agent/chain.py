"""Chains of thought: one completion, with or without passages in the prompt, and its answer.

They are the source of first thoughts (ftp) and the baselines that agents are compared with.
The passages of `cot_rag` are found by the question and recorded as the step's tool call, so
that training can put the same prompt.
"""

from __future__ import annotations

import time

from schemas import Step
from toolkit.agent.draft import Draft, Finished
from toolkit.agent.recorder import recording
from toolkit.contracts import ChatMessage, CompletionRequest, Passage, ToolUse
from toolkit.dialects.chain_of_thought import final_answer
from toolkit.errors import ModelError

SEARCH = "web_search"


async def run_chain(draft: Draft) -> Finished:
    """Run one chain of thought to its end."""
    setup = draft.setup
    passages = await _passages(draft) if setup.kind == "cot_rag" else None
    turn = setup.chain.task_turn(draft.task.question, passages)
    sampling = setup.sampling
    request = CompletionRequest(
        messages=(ChatMessage("system", setup.system_prompt), ChatMessage("user", turn)),
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        max_tokens=sampling.max_tokens,
        seed=setup.request_seed(draft.task.task_id, draft.sample_index, 0),
    )
    asked = time.perf_counter()
    try:
        with recording(draft.recorder):
            (completion,) = await setup.llm.complete(request)
    except ModelError as error:
        return draft.fail(error)
    answer = final_answer(completion.text)
    draft.add(
        Step(
            trajectory_id=draft.trajectory_id,
            attempt=draft.attempt,
            step_index=0,
            completion=completion.text,
            thought=completion.text,
            is_final=answer is not None,
            finish_reason=completion.finish_reason,
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            token_ids=list(completion.token_ids) if completion.token_ids is not None else None,
            logprobs=list(completion.logprobs) if completion.logprobs is not None else None,
            latency_ms=(time.perf_counter() - asked) * 1000 + draft.recorder.replayed_ms,
        ),
        written=completion.completion_tokens,
    )
    return draft.finish("max_steps" if answer is None else "final_answer", final_answer=answer)


async def _passages(draft: Draft) -> list[Passage]:
    """The passages found by the question, recorded as the step's tool call."""
    setup = draft.setup
    if setup.retriever is None:
        raise ValueError("cot_rag needs a retriever")
    started = time.perf_counter()
    (found,) = await setup.retriever.search([draft.task.question], setup.n_passages)
    latency_ms = (time.perf_counter() - started) * 1000
    arguments: dict[str, object] = {"query": draft.task.question}
    result = [{"title": passage.title, "text": passage.text} for passage in found]
    draft.add_tool_uses(0, (ToolUse(SEARCH, arguments, result=result, latency_ms=latency_ms),))
    return found
