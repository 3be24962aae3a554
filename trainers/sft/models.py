"""Models to train, and as they are saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM

from toolkit.errors import InputError
from toolkit.llm.local_weights import LocalModel
from trainers.sft.settings import TrainSettings


def compute_dtype(settings: TrainSettings) -> torch.dtype:
    """Of matrix products; `auto` looks at the machine."""
    if settings.dtype == "auto":
        return torch.bfloat16 if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if settings.dtype == "bfloat16" else torch.float32


def load_base(base: str, settings: TrainSettings) -> Any:
    """The causal language model `base`, a directory or a name of the Hub; frozen weights in the dtype of computing.

    Raises:
        InputError: it cannot be loaded.
    """
    local = LocalModel(base)
    # Trained weights need float32: a bfloat16 weight loses updates 256 times smaller than itself.
    dtype = compute_dtype(settings) if settings.method == "lora" else torch.float32
    try:
        model = AutoModelForCausalLM.from_pretrained(local.source, revision=local.hub_revision, dtype=dtype)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise InputError(f"cannot load {base}: {str(error).strip().partition(chr(10))[0]}") from error
    return model


def check_tokens(model: Any, longest_id: int, longest_row: int, base: str) -> None:
    """Raise InputError unless tokens and rows fit into the model."""
    known = model.get_input_embeddings().num_embeddings
    if longest_id >= known:
        raise InputError(f"{base} knows {known:,} tokens, and the rows hold token {longest_id:,}: another tokenizer's")
    room = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if room is not None and longest_row > room:
        raise InputError(f"{base} reads {room:,} tokens, and the longest row has {longest_row:,}: lower --max-tokens")


def adapter_config(settings: TrainSettings) -> LoraConfig | None:
    """The adapter to train. None: all weights are trained."""
    if settings.method == "full":
        return None
    return LoraConfig(
        r=settings.lora_r,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=settings.lora_target,
        task_type="CAUSAL_LM",
    )


def save_merged(model: Any, tokenizer: Any, out: Path) -> None:
    """A model with its adapter folded into its weights, ready to be used as any other."""
    merged = model.merge_and_unload() if hasattr(model, "merge_and_unload") else model
    merged.save_pretrained(out)
    tokenizer.save_pretrained(out)
