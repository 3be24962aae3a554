"""Samples of one request, whichever way they come about."""

from __future__ import annotations

from dataclasses import replace

from toolkit.contracts import Completion, CompletionRequest


def asks_for_copies(request: CompletionRequest) -> bool:
    """Whether all samples would be the same greedy text; vLLM refuses such a request."""
    return request.n > 1 and request.temperature == 0


def copies(completion: Completion, n: int) -> list[Completion]:
    """The completion, and `n` - 1 copies for which nothing was read or written."""
    return [completion, *[replace(completion, prompt_tokens=None, completion_tokens=0)] * (n - 1)]
