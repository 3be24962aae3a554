r"""A tokenizer that makes copying easy: what is the same text is the same tokens, wherever it stands.

A space before a capital or a digit is a token of its own, so that a name looks alike behind a space and behind a
quote; names fall into syllables, numbers into pairs of digits; what prompts and dialects always say alike
(`\nCode:\n```py\n`) is one token. Words are learned by byte pairs from text without names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from toolkit.contracts import Tool
from toolkit.dialects import load_dialect
from toolkit.dialects.chain_of_thought import ChainOfThought
from toolkit.tasks.minipedia import SYLLABLES

PAD, TURN, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
HABITS = (
    "Thought: ", "\nCode:\n```py\n", "\n```", "Observation:\n", "Observation:\n[1] ", "\n\nFinal answer: ",
    "print(web_search('", "'))\n```", "for query in ('", "', '", "'):\n    print(web_search(query))\n```",
    "final_answer(", "final_answer('", "')\n```", ")\n```",
)  # fmt: skip
"""What turns have in common, in the dialect `codeact` and in chains of thought."""

_ANY = "|".join(sorted(SYLLABLES, key=len, reverse=True))
_FIRST = "|".join(syllable.capitalize() for syllable in sorted(SYLLABLES, key=len, reverse=True))
_ON = rf"(?=(?:{_ANY})*\b)"
"""What follows a syllable of a name: more of them, and the name's end."""
_PIECES = rf"(?:{_FIRST}){_ON}|(?<=[A-Za-z])(?:{_ANY}){_ON}|\d{{1,2}}|[A-Z][a-z]*| ?[a-z]+|\n+|[^\sA-Za-z\d]|\s"
_NAME = re.compile(rf"\b(?:{_FIRST})(?:{_ANY})*\b")
_SHORT_LINE = 12
_SHOWN = 2_000
"""How often each syllable and each pair of digits is shown: as often as common words are."""


def make_tokenizer(texts: Iterable[str], tools: Iterable[Tool], *, n_tokens: int, context_tokens: int) -> Any:
    """A tokenizer of transformers with `n_tokens` learned tokens, and those for prompts with `tools`.

    Args:
        texts: what words are learned from.
        tools: those of the agents' prompt.
        n_tokens: learned tokens.
        context_tokens: most tokens that its model reads.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    fixed = sorted({*HABITS, *_prompt_lines(tools)}, key=lambda text: (-len(text), text))
    trainer = trainers.BpeTrainer(
        vocab_size=n_tokens,
        special_tokens=[PAD, TURN, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_words(texts, fixed), trainer)
    tokenizer.add_tokens([AddedToken(text, normalized=False, special=False) for text in fixed])
    fast: Any = PreTrainedTokenizerFast
    return fast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[TURN],
        chat_template=CHAT_TEMPLATE,
        model_max_length=context_tokens,
    )


def _prompt_lines(tools: Iterable[Tool]) -> Iterator[str]:
    """Lines of the prompts that students get."""
    chain = ChainOfThought()
    prompts = [load_dialect("codeact").student_prompt(list(tools))]
    prompts += [chain.system_prompt(with_passages=with_passages) for with_passages in (False, True)]
    return (line for prompt in prompts for line in prompt.splitlines() if len(line) > _SHORT_LINE)


def _words(texts: Iterable[str], fixed: Iterable[str]) -> Iterator[str]:
    """`texts` without names and fixed strings; then syllables, as they begin a name and go on in it, and numbers."""
    known = list(fixed)
    for text in texts:
        for string in known:
            text = text.replace(string, "\n")
        yield _NAME.sub("", text)
    for syllable in SYLLABLES:
        yield f"{syllable.capitalize()}{syllable}\n" * _SHOWN
    for number in [*map(str, range(10)), *(f"{pair:02}" for pair in range(100))]:
        yield f"{number}\n" * _SHOWN
