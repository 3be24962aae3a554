"""The candidates of a step as rows: what each said, what it came to, and how the vote went.

Invariant: the vote can be counted again from the rows alone. Votes are the rows of a step with
an equal `outcome_key`; chosen is the one with most votes and, among those, the lowest index.
"""

from __future__ import annotations

from collections.abc import Iterator

from schemas import Candidate, CandidateStatus, ErrorKind
from toolkit.agent.draft import Draft
from toolkit.agent.policies import Contender

_FAILED: dict[ErrorKind, CandidateStatus] = {
    "execution": "execution_error",
    "tool": "execution_error",
    "timeout": "timeout",
    "denied": "denied",
    "sandbox": "sandbox_error",
}


def candidate_rows(draft: Draft, step_index: int, prefix: str, contenders: list[Contender]) -> Iterator[Candidate]:
    """One row each; `prefix` is what was injected before the text of all of them."""
    for index, contender in enumerate(contenders):
        outcome, completion = contender.outcome, contender.completion
        ran = outcome if outcome is not None and outcome.held is None else None
        yield Candidate(
            trajectory_id=draft.trajectory_id,
            attempt=draft.attempt,
            step_index=step_index,
            candidate_index=index,
            completion=prefix + completion.text,
            thought=contender.action.thought,
            code=contender.action.code,
            status=_status(contender),
            observation=draft.setup.dialect.observation(ran)[0] if ran is not None else None,
            final_answer=ran.final_answer if ran is not None else None,
            error=contender.action.error if outcome is None else outcome.error,
            outcome_key=contender.key,
            votes=contender.votes,
            chosen=contender.chosen,
            completion_tokens=completion.completion_tokens,
            token_ids=list(completion.token_ids) if completion.token_ids is not None else None,
            logprobs=list(completion.logprobs) if completion.logprobs is not None else None,
        )


def _status(contender: Contender) -> CandidateStatus:
    if contender.outcome is None:
        return "parse_error"
    if contender.outcome.held is not None:
        return "held"
    return "ok" if contender.outcome.ok else _FAILED[contender.outcome.error_kind]
