"""Models to train, and as they are saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import torch
from peft import LoraConfig
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, GenerationConfig

from toolkit.errors import InputError
from toolkit.llm.local_weights import GENERATION_SETTINGS, LocalModel
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
    # Only which tokens end a text. Sampling habits of the base would be applied to the student by servers, behind a
    # request's back, and transformers refuses to save some that were published.
    settings_of: Any = GenerationConfig
    known = model.generation_config
    model.generation_config = settings_of(eos_token_id=known.eos_token_id, pad_token_id=known.pad_token_id)
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


def write_end_tokens(directory: Path, known: int | list[int] | None, turn_end: int) -> None:
    """Let the generation settings in `directory` name `turn_end` beside the end tokens `known` of the model.

    Servers end texts there without being told; a base that was never a chat model ends them elsewhere.
    """
    path = directory / GENERATION_SETTINGS
    found = orjson.loads(path.read_bytes()) if path.is_file() else {}
    listed = known if isinstance(known, list) else [] if known is None else [known]
    found["eos_token_id"] = list(dict.fromkeys([*listed, turn_end]))
    path.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
