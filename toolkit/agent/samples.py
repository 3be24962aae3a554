"""The samples of one request, in as many requests as the server needs.

Not every server draws several samples at once: some answer `n=8` with fewer choices. What is
missing is asked for again with other seeds, all at once. Invariant: the same request leads to
the same further requests, in the same order, and no sample is thrown away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace

from schemas.identity import derive_id
from schemas.rollups import total
from toolkit.contracts import LLM, Completion, CompletionRequest


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples, and what they took together."""

    completions: list[Completion]
    prompt_tokens: int | None
    """Tokens read, over all requests. None: not counted."""
    completion_tokens: int | None
    """Tokens written, over all samples. None: not counted."""


async def draw(llm: LLM, request: CompletionRequest) -> Samples:
    """`request.n` samples.

    Raises:
        ModelError: a request got no answer, or no sample.
    """
    answers = [await llm.complete(request)]
    while missing := request.n - sum(map(len, answers)):
        further = list(_further(request, len(answers), missing, at_once=len(answers[0])))
        # To the end even if one fails: what the others were answered is paid for, and recorded for the next attempt.
        for answer in await asyncio.gather(*map(llm.complete, further), return_exceptions=True):
            if isinstance(answer, BaseException):
                raise answer
            answers.append(answer)
    return Samples(
        completions=[completion for answer in answers for completion in answer],
        prompt_tokens=total(answer[0].prompt_tokens for answer in answers),
        completion_tokens=total(_written(answer) for answer in answers),
    )


def _further(request: CompletionRequest, asked: int, missing: int, *, at_once: int) -> Iterator[CompletionRequest]:
    """Requests for what is missing, none larger than what the server gave `at_once`; `asked` went before them."""
    for number, start in enumerate(range(0, missing, at_once), start=asked):
        seed = None if request.seed is None else int(derive_id("samples", request.seed, number)[:8], 16) % 2**31
        yield replace(request, n=min(at_once, missing - start), seed=seed)


def _written(answer: list[Completion]) -> int | None:
    """Tokens of all samples of one request."""
    if answer[0].sampled_tokens is not None:
        return answer[0].sampled_tokens
    return total(completion.completion_tokens for completion in answer)
