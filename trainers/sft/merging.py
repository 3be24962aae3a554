"""An adapter folded into its base: a model that needs neither peft nor the base beside it.

Made in a directory beside the one it is for, which it replaces when it is whole: what stands there can be used.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from peft import PeftModel
from safetensors import SafetensorError

from toolkit.chat import ChatEncoder
from toolkit.errors import InputError, RunError
from trainers.sft.models import load_base, write_end_tokens
from trainers.sft.settings import TrainSettings

MERGED = "merged"
"""Where in the directory of a student."""


def check_merge(settings: TrainSettings) -> None:
    """Refuse to merge what has no adapter.

    Raises:
        InputError: all weights are trained.
    """
    if settings.method == "full":
        raise InputError("--merge is for method lora; method full leaves a model without adapter, in --out itself")


def merge_saved(out: Path, base: str, settings: TrainSettings, tokenizer: Any) -> Path:
    """Merge the adapter that a training left in `out`; the directory of the merged model.

    Raises:
        InputError: base or adapter cannot be loaded.
        RunError: the model cannot be written.
    """
    model = load_base(base, settings)
    try:
        adapted = PeftModel.from_pretrained(model, str(out))
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise InputError(f"cannot load the adapter in {out}: {str(error).strip().partition(chr(10))[0]}") from error
    return save_merged(adapted, tokenizer, out)


def save_merged(model: Any, tokenizer: Any, out: Path) -> Path:
    """Write `model` with its adapter folded into its weights beside the adapter in `out`; its directory.

    Raises:
        RunError: it cannot be written.
    """
    merged, building = out / MERGED, out / f".{MERGED}.tmp"
    folded = model.merge_and_unload()
    try:
        shutil.rmtree(building, ignore_errors=True)
        folded.save_pretrained(building)
        tokenizer.save_pretrained(building)
        write_end_tokens(building, folded.generation_config.eos_token_id, ChatEncoder(tokenizer).turn_end_id)
        if merged.exists():
            shutil.rmtree(merged)
        building.rename(merged)
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"the student in {out} is whole, but {merged} cannot be written: {error}; the same command merges again"
        ) from error
    return merged
