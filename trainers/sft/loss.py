"""Negative log-likelihood of each token, computed where it has a weight."""

from __future__ import annotations

from typing import Any

import torch

IGNORED = -100
"""Label of a token that is not predicted, as torch and transformers take it."""


def token_nll(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    """Of shape (rows, tokens - 1): of token i + 1 at i, zero where its `loss_weights` is zero.

    `model` has TRL's fused output layer (`trl.trainer.utils.add_fused_lm_head`), which every SFTTrainer gives it:
    the call goes through the whole model, so that wrappers of several processes see it.
    """
    weights = inputs["loss_weights"]
    labels = inputs["input_ids"].masked_fill(weights == 0, IGNORED)
    known = {name: value for name, value in inputs.items() if name != "loss_weights"}
    return -model(**known, labels=labels, use_cache=False, fused_lm_head=True).log_probs
