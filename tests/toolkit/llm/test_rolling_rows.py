"""Rows that join and leave against plain `generate` of the same model."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from llm_contract import ASKED, one
from tiny_model import make_tiny_model
from transformers import AutoModelForCausalLM, GPT2Config, MistralConfig, Qwen2Config

from toolkit.contracts import ChatMessage, Completion, CompletionRequest
from toolkit.errors import ModelError
from toolkit.llm.local_weights import LocalModel
from toolkit.llm.transformers_local import TransformersLLM, rolling
from toolkit.llm.transformers_local.generation import Generation
from toolkit.llm.transformers_local.kept import Kept
from toolkit.llm.transformers_local.model import Loaded, load
from toolkit.llm.transformers_local.rolling import Rolling, fits
from toolkit.llm.transformers_local.rows import Row, Writing

SPECIAL = 3
"""Tokens of the tiny model below this are not letters."""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    base = make_tiny_model(tmp_path_factory.mktemp("tiny") / "base")
    return load(LocalModel(str(base)), dtype="auto", device="cpu")


def writing(loaded: Loaded, prompt: list[int], max_tokens: int = 20, **changes: Any) -> Writing:
    row = Row(prompt, max_tokens, temperature=0.0, top_p=1.0, seed=0, sample=0, stop=())
    return Writing(replace(row, **changes), loaded.tokenizer, loaded.end_tokens)


def drawn_prompt(draw: random.Random, loaded: Loaded, n_tokens: int) -> list[int]:
    return [draw.randrange(SPECIAL, loaded.model.config.vocab_size) for _ in range(n_tokens)]


def generated(loaded: Loaded, prompt: list[int], max_tokens: int) -> list[int]:
    """What plain `generate` writes for the prompt alone."""
    with torch.inference_mode():
        found = loaded.model.generate(
            torch.tensor([prompt]), do_sample=False, max_new_tokens=max_tokens, eos_token_id=0, pad_token_id=0
        )
    ids: list[int] = found[0, len(prompt) :].tolist()
    return ids


def test_greedy_rows_are_those_of_plain_generate_whatever_joins_or_leaves(loaded: Loaded) -> None:
    draw = random.Random(1)
    roll = Rolling(loaded)
    rows = [
        writing(loaded, drawn_prompt(draw, loaded, draw.choice((1, 2, 9, 60, 200))), draw.randint(1, 40))
        for _ in range(24)
    ]
    coming = list(rows)
    while coming or roll.rows:
        joining = [coming.pop() for _ in range(min(len(coming), draw.choice((0, 0, 1, 3))))]
        if joining:
            roll.add(joining)
        if roll.rows:
            roll.step()
    for row in rows:
        assert row.written.token_ids == generated(loaded, list(row.row.prompt), row.row.max_tokens)


def test_a_conversation_that_goes_on_reads_only_what_is_new(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    forward = loaded.model.forward

    def counted(*args: Any, **options: Any) -> Any:
        read.append(options["input_ids"].numel())
        return forward(*args, **options)

    draw, roll = random.Random(2), Rolling(loaded)
    prompt = drawn_prompt(draw, loaded, 300)
    for _ in range(3):
        row = writing(loaded, prompt, 15)
        monkeypatch.setattr(loaded.model, "forward", counted)
        roll.add([row])
        while roll.rows:
            roll.step()
        monkeypatch.undo()
        assert row.written.token_ids == generated(loaded, prompt, 15)
        prompt = [*prompt, *row.written.token_ids, *drawn_prompt(draw, loaded, 30)]
    # The first prompt, twice what was new (and the last token written before), and the tokens written.
    assert sum(read) == 299 + 2 * 30 + 3 * 15


def test_a_prompt_is_read_once_for_all_samples(loaded: Loaded) -> None:
    prompt = drawn_prompt(random.Random(3), loaded, 120)
    roll = Rolling(loaded)
    rows = [writing(loaded, prompt, 25, temperature=1.0, top_p=0.9, seed=4, sample=number) for number in range(5)]
    roll.add(rows[:3])
    roll.step()
    roll.add(rows[3:])
    while roll.rows:
        roll.step()
    for number, row in enumerate(rows):
        alone = writing(loaded, prompt, 25, temperature=1.0, top_p=0.9, seed=4, sample=number)
        fresh = Rolling(loaded, kept_bytes=0)
        fresh.add([alone])
        while fresh.rows:
            fresh.step()
        assert row.written.token_ids == alone.written.token_ids
        assert row.written.logprobs == pytest.approx(alone.written.logprobs, abs=1e-4)
    assert len({tuple(row.written.token_ids) for row in rows}) == 5


def test_the_writer_for_other_models_writes_the_same(loaded: Loaded) -> None:
    import threading

    draw = random.Random(5)
    prompts = [drawn_prompt(draw, loaded, n) for n in (4, 50, 17)]
    texts = []
    for writer in (Rolling(loaded), Generation(loaded, threading.Event())):
        rows = [
            writing(loaded, prompt, 10 + 5 * number, temperature=0.5 * number, stop=("e",))
            for number, prompt in enumerate(prompts)
        ]
        writer.add(rows)
        while writer.rows:
            writer.step()
        texts.append([(row.finished().text, row.written.finish_reason, row.written.token_ids) for row in rows])
    assert texts[0] == texts[1]


def test_a_stop_string_that_ends_inside_a_token_ends_the_text_there(loaded: Loaded) -> None:
    class Words:
        """Decodes as a tokenizer whose tokens are whole words would."""

        words = ("", "Code:", "\n```py\nx", "```\nObs", "é", "rve")

        def decode(self, ids: list[int], **options: object) -> str:
            return "".join(self.words[number] for number in ids)

    row = Writing(Row([1, 1, 1], 9, 0.0, 1.0, 0, 0, ("```\nO", "zz")), Words(), frozenset())
    for token in (2, 4, 4, 3, 5):
        row.take(token, -0.5)
    assert row.finished().text == "\n```py\nxéé```\nO"
    assert (row.written.finish_reason, row.written.token_ids) == ("stop", [2, 4, 4, 3])


def test_kept_beginnings_stay_within_their_bytes_and_the_least_used_leave() -> None:
    def states(n: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        return [(torch.zeros(1, n, 2), torch.zeros(1, n, 2))]  # 16 bytes a token

    kept = Kept(16 * 20)
    first, second = np.arange(10), np.arange(100, 110)
    kept.add(first, states(10))
    kept.add(second, states(10))
    assert kept.best(np.array([0, 1, 2, 9]))[0] == 3
    kept.add(np.arange(200, 205), states(5))
    assert kept.best(second)[0] == 0
    assert kept.best(first)[0] == 10
    kept.add(np.arange(300, 321), states(21))
    assert kept.best(np.arange(300, 321))[0] == 0


def small(config: Any) -> Loaded:
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(config)
    return Loaded(model.eval(), None, 128, frozenset())


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Qwen2Config(**SMALL), True),
        (lambda: GPT2Config(vocab_size=50, n_embd=32, n_layer=2, n_head=2, n_positions=128), True),
        (lambda: MistralConfig(**SMALL, sliding_window=4), False),
    ],
)
def test_models_that_see_a_window_are_written_with_otherwise(make: Callable[[], Any], *, expected: bool) -> None:
    assert fits(small(make())) is expected


SMALL = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "initializer_range": 0.2,
}


def test_a_short_request_does_not_wait_for_a_long_one(tmp_path: Path) -> None:
    async def run() -> tuple[list[str], Completion]:
        llm = TransformersLLM(LocalModel(str(make_tiny_model(tmp_path / "base"))))
        await llm.prepare(prefix=False)
        ended: list[str] = []

        async def ask(name: str, max_tokens: int) -> Completion:
            found = await one(llm, replace(ASKED, max_tokens=max_tokens))
            ended.append(name)
            return found

        long = asyncio.create_task(ask("long", 1500))
        await asyncio.sleep(0.05)
        await asyncio.gather(*(ask("short", 3) for _ in range(3)))
        found = await long
        await llm.close()
        return ended, found

    ended, found = asyncio.run(run())
    assert ended == ["short"] * 3 + ["long"]
    assert found.completion_tokens == 1500


def test_a_cancelled_request_is_dropped_and_others_go_on(tmp_path: Path) -> None:
    async def run() -> None:
        llm = TransformersLLM(LocalModel(str(make_tiny_model(tmp_path / "base"))), max_rows=2)
        alone = await one(llm, ASKED)
        endless = [asyncio.create_task(one(llm, replace(ASKED, max_tokens=15_000))) for _ in range(2)]
        await asyncio.sleep(0.1)
        waiting = asyncio.create_task(one(llm, ASKED))
        for task in endless:
            task.cancel()
        # There is room for it only because the two were given up.
        assert (await waiting).text == alone.text
        await llm.close()

    asyncio.run(run())


def test_an_error_of_the_model_reaches_who_was_written_for_and_the_next_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        llm = TransformersLLM(LocalModel(str(make_tiny_model(tmp_path / "base"))))
        alone = await one(llm, ASKED)
        model = llm._load().model

        def exhausted(**options: object) -> None:
            raise torch.OutOfMemoryError("planted")

        monkeypatch.setattr(model, "forward", exhausted)
        found = await asyncio.gather(one(llm, ASKED), one(llm, asked("else")), return_exceptions=True)
        assert all(isinstance(error, ModelError) and "planted" in str(error) for error in found), found
        monkeypatch.undo()
        assert (await one(llm, ASKED)).text == alone.text
        await llm.close()

    asyncio.run(run())


def asked(text: str) -> CompletionRequest:
    return CompletionRequest((ChatMessage("user", text),), max_tokens=5)


def test_prompts_are_read_in_passes_without_much_padding() -> None:
    assert rolling._passes([500, 480, 60, 50, 0]) == [(0, 2), (2, 5)]
    assert rolling._passes([rolling.READ_TOGETHER] * 2) == [(0, 1), (1, 2)]
