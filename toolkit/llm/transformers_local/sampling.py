"""One token for each row of a batch, each row with a temperature, a nucleus and a stream of draws of its own.

A row is sampled by inverting its cumulative distribution at a number drawn beforehand from the
row's seed. Invariant: which token is chosen depends on the row's logits and its own draws only,
never on its neighbours; ties are decided by token id. What the batch can still change is the last
bits of the logits: in float32 that never mattered in tests, in bfloat16 it can.
Source of the nucleus: Holtzman et al. 2020, arXiv 1904.09751.
"""

from __future__ import annotations

import hashlib

import torch

WIDE_NUCLEUS = 1024
"""Tokens that are sorted first; all are, where these do not reach top_p."""


def draws(seed: int, sample: int, n: int) -> torch.Tensor:
    """`n` numbers from [0, 1) for one sample of a request: float64, equal on every device."""
    word = hashlib.sha256(f"{seed}:{sample}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(word[:8], "big") >> 1)
    return torch.rand(n, generator=generator, dtype=torch.float64)


def choose(
    logits: torch.Tensor, temperature: torch.Tensor, top_p: torch.Tensor, drawn: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token and its log-probability, each of shape [rows]; `logits` is [rows, vocabulary], the rest [rows].

    The log-probabilities are the model's own, before temperature and nucleus. Temperature 0 is greedy.
    """
    tokens = logits.argmax(-1)
    warm = temperature > 0
    if bool(warm.any()):
        scaled = logits[warm].double() / temperature[warm, None].double()
        probabilities = _nucleus(scaled.softmax(-1), top_p[warm].double())
        cumulative = probabilities.cumsum(-1)
        target = drawn[warm, None] * cumulative[:, -1:]
        # right: the first token whose sum is above the target, so that impossible ones are never met.
        found = torch.searchsorted(cumulative, target, right=True).squeeze(-1)
        tokens[warm] = found.clamp(max=logits.shape[-1] - 1)
    logprobs = logits.float().log_softmax(-1).gather(-1, tokens[:, None]).squeeze(-1)
    return tokens, logprobs


def _nucleus(probabilities: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """`probabilities` without those below the least likely token of each row's nucleus; equally likely ones stay."""
    if bool((top_p >= 1).all()):
        return probabilities
    size = probabilities.shape[-1]
    for width in (min(WIDE_NUCLEUS, size), size):
        values = probabilities.topk(width).values
        sums = values.cumsum(-1)
        if width == size or bool((sums[:, -1] >= top_p).all()):
            break
    last = (sums < top_p[:, None]).sum(-1, keepdim=True).clamp(max=values.shape[-1] - 1)
    least = values.gather(-1, last)
    least[top_p >= 1] = 0
    return torch.where(probabilities >= least, probabilities, 0.0)
