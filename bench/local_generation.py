"""Agents' requests to a model in process: `OMP_NUM_THREADS=1 python -m bench.local_generation`.

A conversation is three requests; each sends everything before it again, and an observation. The toolkit's
rows join and leave at any token; the peer is plain `generate` on the same model, all conversations of
a wave in one batch padded on the left, step after step, as a script would. Both write as many tokens for each
request; `generate` cannot end rows by length, so it writes as many as the longest of the batch needs.
The model is random, 1 M parameters, made on the spot. Rounds are interleaved; medians of processor and wall time.
Not covered: templates, tokenizers, sandboxes.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig, Qwen2Config

from toolkit.llm.transformers_local.batching import RowBatcher
from toolkit.llm.transformers_local.model import Loaded
from toolkit.llm.transformers_local.rolling import Rolling
from toolkit.llm.transformers_local.rows import Row, Writing

VOCABULARY = 1414
STEPS = 3


@dataclass(frozen=True)
class Conversation:
    """Tokens of the first prompt and the observations, and how many are written each time."""

    seen: list[list[int]]
    written: list[int]


class _Numbers:
    """Stands in for a tokenizer: no text is looked at."""

    def decode(self, ids: list[int], **options: object) -> str:
        """The numbers."""
        return " ".join(map(str, ids))


def conversations(count: int, seed: int) -> list[Conversation]:
    """About as a small student's: prompts of 40 to 1,000 tokens, 15 to 90 written a step."""
    draw = random.Random(seed)

    def tokens(most: int) -> list[int]:
        return [draw.randrange(VOCABULARY) for _ in range(draw.randint(40, most))]

    return [
        Conversation(
            [tokens(80), *(tokens(400) for _ in range(STEPS - 1))], [draw.randint(15, 90) for _ in range(STEPS)]
        )
        for _ in range(count)
    ]


def model() -> Loaded:
    """Of the size of a small student."""
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        tie_word_embeddings=True,
        initializer_range=0.06,
    )
    made: Any = AutoModelForCausalLM.from_config(config)
    return Loaded(made.eval(), _Numbers(), 4096, frozenset())


def by_toolkit(loaded: Loaded, asked: list[Conversation], in_flight: int, n: int) -> None:
    """All conversations, `in_flight` of them at once."""

    async def one(batcher: RowBatcher, gate: asyncio.Semaphore, number: int, asked: Conversation) -> None:
        async with gate:
            prompt: list[int] = []
            for seen, most in zip(asked.seen, asked.written, strict=True):
                prompt = prompt + seen
                warm = (1.0, 0.8) if n > 1 else (0.0, 1.0)
                rows = [Row(prompt, most, *warm, seed=number, sample=sample, stop=()) for sample in range(n)]
                found = await batcher.add([Writing(row, loaded.tokenizer, loaded.end_tokens) for row in rows])
                prompt = prompt + found[0].token_ids

    async def run() -> None:
        batcher = RowBatcher(lambda: Rolling(loaded), max_rows=64)
        gate = asyncio.Semaphore(in_flight)
        await asyncio.gather(*(one(batcher, gate, number, each) for number, each in enumerate(asked)))
        await batcher.close()

    asyncio.run(run())


def by_generate(loaded: Loaded, asked: list[Conversation], in_flight: int, n: int) -> None:
    """The same in waves of `in_flight`, or of fewer conversations with `n` samples, 64 rows at once."""
    wave = max(1, min(in_flight, 64 // n))
    for start in range(0, len(asked), wave):
        prompts: list[list[int]] = [[] for _ in asked[start : start + wave]]
        for step in range(STEPS):
            prompts = [prompt + each.seen[step] for prompt, each in zip(prompts, asked[start:], strict=False)]
            most = [each.written[step] for each in asked[start : start + wave]]
            width = max(map(len, prompts))
            ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in prompts])
            mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
            settings: Any = GenerationConfig
            config = settings(
                max_new_tokens=max(most), do_sample=n > 1, top_p=0.8 if n > 1 else None, top_k=0 if n > 1 else None,
                num_return_sequences=n, pad_token_id=0,
            )  # fmt: skip
            with torch.inference_mode():
                found = loaded.model.generate(ids, attention_mask=mask, generation_config=config)[::n, width:]
            prompts = [prompt + line[:k].tolist() for prompt, line, k in zip(prompts, found, most, strict=True)]


def timed(work: Callable[[], None]) -> tuple[float, float]:
    """Processor and wall seconds."""
    processor, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - processor, time.perf_counter() - wall


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=128)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--samples", type=int, default=1, help="n of each request; above 1 they are sampled")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    loaded, asked = model(), conversations(options.conversations, seed=0)
    ways = {"toolkit": by_toolkit, "static batches of `generate`": by_generate}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, way in ways.items():
            times[name].append(timed(lambda way=way: way(loaded, asked, options.in_flight, options.samples)))  # type: ignore[misc]
    print("| | conversations / CPU-s | conversations / s |\n|---|---|---|")
    for name, found in times.items():
        processor, wall = (options.conversations / statistics.median(column) for column in zip(*found, strict=True))
        print(f"| {name} | {processor:.1f} | {wall:.1f} |")


if __name__ == "__main__":
    main()
