"""Negative log-likelihood of each token, computed where it has a weight."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

IGNORED = -100
"""Label of a token that is not predicted, as torch and transformers take it."""
SMALL_LOGITS = 2**25
"""Numbers that may be held at once: below, the plain way is faster; above, memory decides."""


def token_nll(model: Any, inputs: dict[str, Any], vocabulary: int) -> torch.Tensor:
    """Of shape (rows, tokens - 1): of token i + 1 at i, zero where its `loss_weights` is zero.

    Either way the call goes through the whole model, so that wrappers of several processes see it.
    """
    known = {name: value for name, value in inputs.items() if name != "loss_weights"}
    if inputs["input_ids"].numel() * vocabulary <= SMALL_LOGITS:
        return _from_logits(model, known, inputs["loss_weights"][:, 1:] > 0)
    # TRL gives every model of an SFTTrainer an output layer that works in tiles and keeps no logits.
    labels = inputs["input_ids"].masked_fill(inputs["loss_weights"] == 0, IGNORED)
    nll: torch.Tensor = -model(**known, labels=labels, use_cache=False, fused_lm_head=True).log_probs
    return nll


def _from_logits(model: Any, known: dict[str, Any], is_counted: torch.Tensor) -> torch.Tensor:
    logits = model(**known, use_cache=False).logits[:, :-1][is_counted]
    nll = functional.cross_entropy(logits.float(), known["input_ids"][:, 1:][is_counted], reduction="none")
    return nll.new_zeros(is_counted.shape).masked_scatter(is_counted, nll)
