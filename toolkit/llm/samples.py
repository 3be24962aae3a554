"""What backends have in common about the samples of a request."""

from __future__ import annotations

from dataclasses import replace

from toolkit.contracts import Completion, CompletionRequest


def asks_for_copies(request: CompletionRequest) -> bool:
    """Whether all samples would be the same greedy text; vLLM refuses such a request."""
    return request.n > 1 and request.temperature == 0


def copies(completion: Completion, n: int) -> list[Completion]:
    """The completion, and `n` - 1 copies for which nothing was read or written."""
    return [completion, *[replace(completion, prompt_tokens=None, completion_tokens=0)] * (n - 1)]


def first_stop(text: str, stop: tuple[str, ...]) -> int | None:
    """Where `text` ends if it stops after the first of `stop` in it. None: there is none."""
    found = [(start, len(string)) for string in stop if (start := text.find(string)) >= 0]
    return sum(min(found)) if found else None
