"""The tiny base model, from nothing: its tokenizer, its random weights, and what it reads.

    python -m trainers.tiny --out DIR [--tokens 4000000] [--start EARLIER --seed 1]

It is to students what a pretrained model is in the paper: it can read, quote and take a question apart, and has seen
no tool, no chain of thought, and of Python only expressions. The one that is shipped (`hf:tiny`, `--base tiny`) was
made by this command.
Why these settings: docs/decisions.md. Muon: Jordan et al. 2024.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from toolkit.chat import ChatEncoder, Turn
from toolkit.contracts import Passage, Tool
from toolkit.masking import load_tokenizer
from toolkit.retrieval.lexical import LexicalRetriever
from toolkit.tools import web_search
from trainers.sft.checkpoints import newest_whole
from trainers.sft.rows import as_table
from trainers.sft.run import CHECKPOINTS, Primer, TrainResult, train_rows
from trainers.sft.settings import TrainSettings
from trainers.tiny.asking import asking_chats
from trainers.tiny.copying import copying_chat
from trainers.tiny.names import Chat, disguised
from trainers.tiny.reading import FIRST_SEED, reading_chats
from trainers.tiny.tokenizer import make_tokenizer
from trainers.tiny.vocabulary import sample_texts
from trainers.tiny.working import working_chats

CONTEXT_TOKENS = 4_096
LEARNED_TOKENS = 1_600
COPYING_FIRST = 300
"""Batches of copying before all reading: to look back comes first."""
COPYING_SHARE = 0.15
"""Of the batches behind them."""
ASKING_SHARE, WORKING_SHARE = 0.15, 0.5
"""Of the tokens that are not copying; the rest is reading."""
DISGUISED_SHARE = 0.7
"""Of the chats about articles and questions."""
TOKENS_A_READING, TOKENS_AN_ASKING, TOKENS_A_WORK, TOKENS_A_COPY = 310, 110, 510, 200
"""Measured, of copying with what is read a second time; they say how many chats make so many tokens."""
SETTINGS = TrainSettings(
    method="full",
    epochs=1,
    batch_tokens=1_024,
    context_weight=0.2,
    optimizer="muon",
    learning_rate=5e-3,
    muon_learning_rate=0.01,
    adam_beta2=0.98,
    schedule="wsd",
    warmup=0.03,
    decay_share=0.3,
    log_steps=50,
    save_steps=500,
)


def make_base(out: Path, *, tokens: int, seed: int = 0, start: Path | None = None) -> TrainResult:
    """Make the model in `out`; about `tokens` are read. A checkpoint there is gone on from.

    Args:
        out: directory of the model.
        tokens: of all rows.
        seed: of weights, rows and the worlds that they are about.
        start: an earlier model of this command, which is to read on.
    """
    if start is None:
        tokenizer = make_tokenizer(sample_texts(), _tools(), n_tokens=LEARNED_TOKENS, context_tokens=CONTEXT_TOKENS)
        model: Any = _random_model(tokenizer, seed)
    else:
        tokenizer, model = load_tokenizer(str(start)), str(start)
    draw = random.Random(f"pretraining {seed}")
    copying = chat_rows(tokenizer, (copying_chat(draw) for _ in range(tokens // TOKENS_A_COPY)))
    rest, first = tokens * (1 - COPYING_SHARE), FIRST_SEED + 100 * seed
    n_reading = int(rest * (1 - ASKING_SHARE - WORKING_SHARE) / TOKENS_A_READING)
    n_asking = int(rest * ASKING_SHARE / TOKENS_AN_ASKING)
    n_working = int(rest * WORKING_SHARE / TOKENS_A_WORK)
    learned = [
        chat_rows(tokenizer, _about_anybody(islice(chats, count), draw))
        for chats, count in (
            (reading_chats(draw, first), n_reading),
            (asking_chats(draw, first), n_asking),
            (working_chats(draw, first), n_working),
        )
    ]
    primer = Primer(copying, 0 if start else COPYING_FIRST, COPYING_SHARE)
    checkpoint = newest_whole(out / CHECKPOINTS)
    return train_rows(
        pa.concat_tables(learned), None, tokenizer, model, SETTINGS, out, primer=primer, resume_from=checkpoint
    )


def _about_anybody(chats: Iterable[Chat], draw: random.Random) -> Iterator[Chat]:
    return (disguised(chat, draw) if draw.random() < DISGUISED_SHARE else chat for chat in chats)


def chat_rows(tokenizer: Any, chats: Iterable[Chat]) -> pa.Table:
    """Chats as training rows: what an assistant says has the weight 1, all else 0."""
    encoded = ChatEncoder(tokenizer).rows([_turns(chat) for chat in chats])
    return as_table(row for found in encoded if isinstance(found, list) for row in found)


def _turns(chat: Chat) -> list[Turn]:
    return [Turn(role, text, weight=float(role == "assistant")) for role, text in chat]


def _tools() -> list[Tool]:
    """Those of an agent that searches."""
    return [web_search(LexicalRetriever.over([Passage("", "")]))]


def _random_model(tokenizer: Any, seed: int) -> Any:
    """About a million weights; widths as in the probes of tiny agents.

    The layers are Qwen2's, with biases of queries, keys and values, by the name of Llama: for models called qwen2
    transformers 5 replaces any other tokenizer's rules of splitting by Qwen2's own, whatever tokenizer.json says.
    """
    torch.manual_seed(seed)
    config: Any = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=CONTEXT_TOKENS,
        tie_word_embeddings=True,
        attention_bias=True,
        initializer_range=0.06,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        dtype="float32",
    )
    return LlamaForCausalLM(config)
