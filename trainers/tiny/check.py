"""What a tiny base has learned, on a world it has not read: `python -m trainers.tiny.check [MODEL] [--chats 150]`.

An answer counts if each of its tokens is the likeliest one behind those before it, the turn's end included.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from toolkit.cli.output import print_table
from toolkit.llm.local_weights import SHIPPED
from toolkit.masking import load_tokenizer
from trainers.tiny.asking import asking_chats
from trainers.tiny.copying import copying_chat
from trainers.tiny.make import chat_rows
from trainers.tiny.names import Chat
from trainers.tiny.reading import FIRST_SEED, reading_chats
from trainers.tiny.working import working_chats

UNREAD_SEED = FIRST_SEED - 100


def exact_answers(model: Path, chats: int) -> dict[str, tuple[int, int]]:
    """Right and all answers, by what is asked for."""
    tokenizer = load_tokenizer(str(model))
    network: Any = AutoModelForCausalLM.from_pretrained(model)
    network.eval()
    draw = random.Random(0)
    return {
        name: _count(network, chat_rows(tokenizer, islice(found, chats)).to_pylist())
        for name, found in _kinds(draw).items()
    }


def _kinds(draw: random.Random) -> dict[str, Iterator[Chat]]:
    return {
        "reading": reading_chats(draw, UNREAD_SEED),
        "asking": asking_chats(draw, UNREAD_SEED),
        "working": working_chats(draw, UNREAD_SEED),
        "copying": iter(lambda: copying_chat(draw), None),
    }


def _count(network: Any, rows: Iterable[dict[str, Any]]) -> tuple[int, int]:
    right = total = 0
    for row in rows:
        ids = torch.tensor(row["input_ids"])
        answered = torch.tensor(row["loss_weights"])[1:] > 0
        with torch.no_grad():
            hit = network(ids[None]).logits[0, :-1].argmax(-1) == ids[1:]
        # An answer is a run of weighted tokens; cumulating what is between them numbers the runs.
        runs = torch.cumsum(~answered, 0)[answered].tolist()
        missed = {run for run, one in zip(runs, hit[answered].tolist(), strict=True) if not one}
        total += len(set(runs))
        right += len(set(runs) - missed)
    return right, total


def main() -> None:
    """Print a line for each kind of rows."""
    parser = argparse.ArgumentParser(prog="python -m trainers.tiny.check", description="What a tiny base has learned.")
    parser.add_argument("model", type=Path, nargs="?", default=SHIPPED, help="default: the one that is shipped")
    parser.add_argument("--chats", type=int, default=150)
    options = parser.parse_args()
    found = exact_answers(options.model, options.chats)
    rows = [[name, total, f"{100 * right / total:.1f}"] for name, (right, total) in found.items()]
    print_table(["rows", "answers", "exact %"], rows, title=str(options.model))


if __name__ == "__main__":
    main()
