"""A tiny random language model, made on the spot, that writes one printable character a token.

A Qwen2 with a tokenizer and a chat template of its own, and an adapter (LoRA) for it. The weights
are drawn wide, so that each character depends on all in front of it and no two are nearly as likely:
greedy texts are then the same in every program that computes them rightly.
"""

from __future__ import annotations

import json
import string
import warnings
from pathlib import Path

CONTEXT_TOKENS = 16384
SPECIAL = ("<|im_end|>", "<|im_start|>", "<unk>")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WIDTH, LAYERS, HEAD = 128, 2, 64
RANK = 8


def make_tiny_model(directory: Path, *, seed: int = 0, teachable: bool = False) -> Path:
    """The model in `directory`.

    A `teachable` one has weights so narrow that it attends to everything and learns in minutes, can write special
    tokens, and ends no text with `<|im_end|>`: as pretrained models, whose end token is another than that of turns.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    shown = {" ": "Ġ", "\n": "Ċ"}  # as byte-level tokenizers spell them
    letters = [shown.get(c, c) for c in string.printable if c.isprintable() or c == "\n"]
    vocabulary = {token: number for number, token in enumerate((*SPECIAL, *letters))}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<unk>" if teachable else "<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<unk>",
        additional_special_tokens=["<|im_start|>"],
        chat_template=TEMPLATE,
        model_max_length=CONTEXT_TOKENS,
    )
    fast.save_pretrained(directory)

    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=len(vocabulary),
        hidden_size=WIDTH,
        intermediate_size=256,
        num_hidden_layers=LAYERS,
        num_attention_heads=WIDTH // HEAD,
        num_key_value_heads=1,
        max_position_embeddings=CONTEXT_TOKENS,
        tie_word_embeddings=False,
        initializer_range=0.05 if teachable else 0.2,
        eos_token_id=SPECIAL.index(fast.eos_token),
        pad_token_id=0,
        bos_token_id=None,
        dtype="float32",
    )
    model = Qwen2ForCausalLM(config)
    if not teachable:
        with torch.no_grad():
            model.lm_head.weight.normal_(0, 0.4)
            # Special tokens have no text of their own; they stay unlikely.
            model.lm_head.weight[: len(SPECIAL)] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(directory)
    return directory


def make_tiny_adapter(directory: Path, base: Path, *, seed: int = 1) -> Path:
    """An adapter in `directory`, as peft writes one, that changes what the model of `base` says."""
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for layer in range(LAYERS):
        for module, out in (("q_proj", WIDTH), ("v_proj", HEAD)):
            name = f"base_model.model.model.layers.{layer}.self_attn.{module}"
            tensors[f"{name}.lora_A.weight"] = torch.randn(RANK, WIDTH, generator=generator) * 0.3
            tensors[f"{name}.lora_B.weight"] = torch.randn(out, RANK, generator=generator) * 0.3
    directory.mkdir(parents=True)
    save_file(tensors, directory / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": str(base),
        "r": RANK,
        "lora_alpha": RANK,
        "lora_dropout": 0.0,
        "target_modules": ["q_proj", "v_proj"],
        "bias": "none",
        "inference_mode": True,
    }
    (directory / "adapter_config.json").write_text(json.dumps(config))
    return directory
