"""Weights, tokenizer and adapter, loaded."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from toolkit.errors import InputError, MissingExtraError
from toolkit.llm.local_weights import GENERATION_SETTINGS, LocalModel


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to write."""

    model: Any
    tokenizer: Any
    context_tokens: int
    """Most tokens of prompt and text together."""
    end_tokens: frozenset[int]
    """Each ends a turn."""


def load(local: LocalModel, *, dtype: str, device: str) -> Loaded:
    """Load in evaluation mode.

    `dtype`: auto (float32 on a CPU, else the model's own) or a name of torch, such as bfloat16.
    `device`: auto (a GPU if there is one) or a name of torch, such as cuda:1.

    Raises:
        InputError: the model, the adapter, the dtype or the device will not do.
        MissingExtraError: there is an adapter, and peft is not installed.
    """
    place = _device(device)
    quiet: Any = transformers.utils.logging
    quiet.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(local.source, revision=local.hub_revision)
        local.check_tokenizer(tokenizer)
        model: Any = AutoModelForCausalLM.from_pretrained(
            local.source, revision=local.hub_revision, dtype=_dtype(dtype, place)
        )
        end_tokens = _end_tokens(model, tokenizer, local.adapter)
        # What a model brings along (repetition penalty, top_k) would be applied behind the request's back.
        settings: Any = GenerationConfig
        model.generation_config = settings()
        if local.adapter is not None:
            model = _with_adapter(model, local)
        model.to(place).eval()
    except (InputError, MissingExtraError):
        raise
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"cannot load {local.base}{f' with {local.adapter}' if local.adapter else ''}: {reason}"
        ) from error
    context_tokens = int(getattr(model.config, "max_position_embeddings", None) or 1 << 30)
    return Loaded(model, tokenizer, context_tokens, end_tokens)


def _end_tokens(model: Any, tokenizer: Any, adapter: Path | None) -> frozenset[int]:
    """Those of the generation settings of model and adapter, and the tokenizer's."""
    settings = [model.generation_config]
    if adapter is not None and (adapter / GENERATION_SETTINGS).is_file():
        settings.append(GenerationConfig.from_pretrained(adapter))
    found = {tokenizer.eos_token_id}
    for one in settings:
        found |= set(one.eos_token_id) if isinstance(one.eos_token_id, list) else {one.eos_token_id}
    return frozenset(found - {None})


def _with_adapter(model: Any, local: LocalModel) -> Any:
    try:
        from peft import PeftModel
    except ImportError as error:
        raise MissingExtraError("peft", "local", "an --adapter") from error
    with warnings.catch_warnings():
        # peft 0.21 asks transformers 5.23 by an old name.
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        # Not merged into the base: in bfloat16 that would round the adapter away in part.
        return PeftModel.from_pretrained(model, str(local.adapter))


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise InputError(f"expected auto, cpu or cuda:N as the device, got {name!r}") from error


def _dtype(name: str, device: torch.device) -> torch.dtype | str:
    if name == "auto":
        return torch.float32 if device.type == "cpu" else "auto"
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise InputError(f"expected auto, float32, bfloat16 or float16 as the dtype, got {name!r}")
    return found
