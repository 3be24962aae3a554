"""Tokenizers and chat templates in the style of well-known model families, small and made on the spot.

The templates are written for these tests; what they share with the families is what makes masks hard: where turns
end, what is stripped, dropped or refused, and how a tokenizer treats beginnings and special tokens.
"""

from __future__ import annotations

from typing import Any

CORPUS = [
    "Thought: I need the founder first.\nCode:\n```py\nprint(web_search('founder of Suna Works'))\n```\n",
    "Observation:\n[1] Suna Works\nSuna Works was founded by Ada Birk.\n\nThe town is Arnfeld.",
    "system user assistant model end_header_id Answer the question with Python. Be brief.\n\n\n\n  \n",
    "Who founded Suna Works? final_answer('Ada Birk') <think>\nLet me see.\n</think>\n\n",
]

WORDS = r" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s*[\r\n]+|\s+(?!\S)|\s+"
"""Newlines in a row are one word, whatever follows, as in Qwen's and Llama-3's."""

QWEN25 = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are a model.<|im_end|>\n{% endif %}"
    "{% for m in messages %}{% if m.role in ('system', 'user', 'assistant') %}"
    "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Brings a system turn of its own, and leaves out turns of unknown roles."""

QWEN3 = (
    "{% set at = namespace(user=-1) %}"
    "{% for m in messages %}{% if m.role == 'user' %}{% set at.user = loop.index0 %}{% endif %}{% endfor %}"
    "{% for m in messages %}"
    "{% if m.role != 'assistant' %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
    "{% else %}"
    "{% set said = m.content.split('</think>')[-1].lstrip('\n') %}"
    "{% set thought = m.content.split('</think>')[0].split('<think>')[-1] if '</think>' in m.content else '' %}"
    "<|im_start|>assistant\n"
    "{% if loop.index0 > at.user %}<think>\n{{ thought.strip('\n') }}\n</think>\n\n{% endif %}{{ said }}<|im_end|>\n"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Drops reasoning from turns that users have answered, and puts an empty one into the last turn."""

LLAMA3 = (
    "<|begin_of_text|>{% for m in messages %}"
    "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
"""Strips every text."""

GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}<end_of_turn>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
"""Refuses system turns, and turns that do not alternate; calls the assistant otherwise."""

PHI = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
"""Its special tokens swallow the white space behind them, and its tokenizer marks where text begins."""

_STYLES: dict[str, tuple[str, list[str], str]] = {
    "qwen2.5": (QWEN25, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], "bytes"),
    "qwen3": (QWEN3, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], "bytes"),
    "llama-3": (
        LLAMA3,
        ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
        "bytes",
    ),
    "gemma": (GEMMA, ["<bos>", "<start_of_turn>", "<end_of_turn>"], "pieces"),
    "phi": (PHI, ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"], "marked pieces"),
}
STYLES = tuple(_STYLES)


def make_tokenizer(style: str, template: str | None = None) -> Any:
    """A tokenizer of that style, with its own template or another one."""
    own, special, kind = _STYLES[style]
    return _tokenizer(template or own, special, kind, thinks=style == "qwen3")


def _tokenizer(template: str, special: list[str], kind: str, *, thinks: bool) -> Any:
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(unk_token=None if kind == "bytes" else "<unk>"))
    letters: list[str] = []
    if kind == "bytes":
        words = pre_tokenizers.Split(Regex(WORDS), behavior="isolated")
        letters_of_words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, letters_of_words])
        tokenizer.decoder = decoders.ByteLevel()
        letters = pre_tokenizers.ByteLevel.alphabet()
    else:
        marked = [normalizers.Prepend("▁")] if kind == "marked pieces" else []
        tokenizer.normalizer = normalizers.Sequence([*marked, normalizers.Replace(" ", "▁")])
        tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse()])
        letters = ["▁", *map(chr, range(33, 127)), "\n"]
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=[*special, "<unk>"], initial_alphabet=letters, show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    if kind == "marked pieces":
        tokenizer.add_special_tokens([AddedToken(token, rstrip=True, special=True) for token in special])
    if thinks:
        tokenizer.add_tokens([AddedToken("<think>", special=False), AddedToken("</think>", special=False)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=special[0], eos_token=special[-1], chat_template=template
    )
