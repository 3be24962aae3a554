import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from llm_contract import ASKED, CONTRACT, Check, Subject, name_of, one
from tiny_model import CONTEXT_TOKENS, make_tiny_adapter, make_tiny_model

from toolkit.contracts import Completion
from toolkit.errors import InputError, ModelError
from toolkit.llm.chat_prompt import encoder_of, prompt_ids
from toolkit.llm.local_weights import LocalModel, local_directory
from toolkit.llm.transformers_local import TransformersLLM
from toolkit.llm.transformers_local.sampling import choose, draws


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture(scope="module")
def adapter(base: Path) -> Path:
    return make_tiny_adapter(base.parent / "adapter", base)


def with_model(llm: TransformersLLM, use: Callable[[TransformersLLM], Awaitable[object]]) -> object:
    async def run() -> object:
        try:
            await llm.prepare(prefix=True)
            return await use(llm)
        finally:
            await llm.close()

    return asyncio.run(run())


async def only_prepared(llm: TransformersLLM) -> None:
    """Loading is all."""


@pytest.mark.parametrize("check", CONTRACT, ids=name_of)
def test_transformers_in_process_meets_the_contract(check: Check, base: Path, adapter: Path) -> None:
    if name_of(check) == "an_adapter_changes_the_answers":
        pytest.importorskip("peft", reason="adapters need the extra `local`")
        adapted = TransformersLLM(LocalModel(str(base), adapter))
    else:
        adapted = TransformersLLM(LocalModel(str(base)))

    async def use(llm: TransformersLLM) -> None:
        try:
            tokenizer = llm._load().tokenizer
            await check(
                Subject(llm, adapted, lambda ids: tokenizer.decode(ids, skip_special_tokens=True), CONTEXT_TOKENS)
            )
        finally:
            await adapted.close()

    with_model(TransformersLLM(LocalModel(str(base)), logprobs=True), use)


def test_a_sample_does_not_depend_on_batches_or_on_how_many_are_drawn(base: Path) -> None:
    request = replace(ASKED, temperature=1.0, top_p=0.8, seed=5)

    async def use(llm: TransformersLLM) -> list[str]:
        eight = [completion.text for completion in await llm.complete(replace(request, n=8))]
        three = [completion.text for completion in await llm.complete(replace(request, n=3))]
        assert three == eight[:3]
        return eight

    together = with_model(TransformersLLM(LocalModel(str(base))), use)
    assert together == with_model(TransformersLLM(LocalModel(str(base)), max_rows=3), use)
    assert together == with_model(TransformersLLM(LocalModel(str(base)), max_rows=1), use)


def test_each_request_of_a_batch_keeps_its_own_settings(base: Path) -> None:
    requests = [
        replace(ASKED, max_tokens=3),
        replace(ASKED, max_tokens=40, temperature=1.3, seed=1),
        replace(ASKED, prefix="a"),
        replace(ASKED, temperature=0.5, top_p=0.3, seed=1, stop=("e", "A")),
        replace(ASKED, messages=ASKED.messages[1:], stop=("?",)),
    ]

    async def use(llm: TransformersLLM) -> None:
        alone = [await one(llm, request) for request in requests]
        assert await asyncio.gather(*(one(llm, request) for request in requests)) == alone
        assert len({completion.text for completion in alone}) == len(alone)

    with_model(TransformersLLM(LocalModel(str(base)), dtype="float32"), use)


def test_samples_follow_the_models_probabilities() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0]]).log_softmax(-1)
    n = 20_000
    drawn = draws(seed=1, sample=0, n=n)
    for temperature, top_p, kept in ((1.0, 1.0, 4), (0.5, 1.0, 4), (1.0, 0.8, 2), (1.0, 0.6, 1)):
        tokens, logprobs = choose(logits.expand(n, 4), torch.full((n,), temperature), torch.full((n,), top_p), drawn)
        expected = (logits[0] / temperature).softmax(-1)
        expected[kept:] = 0
        shares = torch.bincount(tokens, minlength=4) / n
        assert torch.allclose(shares, expected / expected.sum(), atol=0.012), (temperature, top_p)
        assert torch.allclose(logprobs, logits[0][tokens])


def test_a_nucleus_wider_than_what_is_sorted_first_is_kept_whole() -> None:
    logits, n = torch.zeros(1, 5000), 2000
    tokens, _ = choose(logits.expand(n, 5000), torch.ones(n), torch.full((n,), 0.9), draws(1, 0, n))
    # All are equally likely, so all stay, and draws spread over the whole range.
    assert int(tokens.max()) > 4900
    assert int(tokens.min()) < 100


def test_draws_of_samples_and_seeds_differ_and_come_again() -> None:
    assert torch.equal(draws(3, 0, 50), draws(3, 0, 60)[:50])
    streams = [draws(seed, sample, 50) for seed in (0, 1, 2**62) for sample in range(3)]
    assert len({tuple(stream.tolist()) for stream in streams}) == 9


def test_an_end_token_ends_the_text_and_is_counted_but_not_shown(base: Path, tmp_path: Path) -> None:
    async def greedy(llm: TransformersLLM) -> Completion:
        return await one(llm, ASKED)

    whole = with_model(TransformersLLM(LocalModel(str(base)), logprobs=True), greedy)
    assert isinstance(whole, Completion)
    assert whole.token_ids
    copied = shutil.copytree(base, tmp_path / "ends")
    settings = json.loads((copied / "generation_config.json").read_text())
    # Greedy settings that would change the text if they were applied.
    settings |= {"eos_token_id": [0, whole.token_ids[6]], "repetition_penalty": 9.0, "top_k": 1}
    (copied / "generation_config.json").write_text(json.dumps(settings))
    ended = with_model(TransformersLLM(LocalModel(str(copied)), logprobs=True), greedy)
    assert isinstance(ended, Completion)
    position = whole.token_ids.index(whole.token_ids[6])
    assert ended.token_ids == whole.token_ids[: position + 1]
    assert (ended.finish_reason, ended.completion_tokens) == ("stop", position + 1)


def test_a_stop_string_of_the_prompt_ends_nothing(base: Path) -> None:
    async def use(llm: TransformersLLM) -> None:
        whole = await one(llm, replace(ASKED, prefix="stop here"))
        for stop in ("here", "e" + whole.text[0]):
            assert (await one(llm, replace(ASKED, prefix="stop here", stop=(stop,)))).text == whole.text

    with_model(TransformersLLM(LocalModel(str(base))), use)


def test_logprobs_are_those_that_the_model_gives(base: Path) -> None:
    async def use(llm: TransformersLLM) -> None:
        found = await one(llm, replace(ASKED, temperature=0.7, seed=2, prefix="I "))
        loaded = llm._load()
        prompt = prompt_ids(encoder_of("tiny", loaded.tokenizer), ASKED.messages, "I ")
        assert found.token_ids
        assert found.logprobs
        with torch.inference_mode():
            logits = loaded.model(torch.tensor([[*prompt, *found.token_ids]])).logits[0]
        expected = logits.log_softmax(-1)[len(prompt) - 1 : -1]
        chosen = expected.gather(-1, torch.tensor(found.token_ids)[:, None]).squeeze(-1)
        assert torch.allclose(torch.tensor(found.logprobs), chosen, atol=1e-4)

    with_model(TransformersLLM(LocalModel(str(base)), logprobs=True), use)


def test_the_event_loop_is_free_while_the_model_writes(base: Path) -> None:
    async def use(llm: TransformersLLM) -> int:
        writing = asyncio.create_task(llm.complete(replace(ASKED, max_tokens=300)))
        turns = 0
        while not writing.done():
            await asyncio.sleep(0.001)
            turns += 1
        return turns

    turns = with_model(TransformersLLM(LocalModel(str(base))), use)
    assert isinstance(turns, int)
    assert turns > 10


def test_closing_ends_what_is_being_written(base: Path) -> None:
    async def run() -> BaseException | list[Completion]:
        llm = TransformersLLM(LocalModel(str(base)), max_rows=1)
        await llm.prepare(prefix=False)
        asked = [asyncio.create_task(llm.complete(replace(ASKED, max_tokens=400))) for _ in range(50)]
        await asyncio.sleep(0.1)
        await llm.close()
        await llm.close()
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes) > 40
        (late,) = await asyncio.gather(llm.complete(ASKED), return_exceptions=True)
        return late

    assert isinstance(asyncio.run(run()), ModelError)


def test_a_model_is_known_by_what_it_is_and_not_by_where_it_lies(base: Path, adapter: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(base, tmp_path / "base")
    (moved / "training_args.bin").write_bytes(b"not part of the model")
    here, there = LocalModel(str(base)), LocalModel(str(moved))
    assert (here.name, here.revision) == (there.name, there.revision)
    other = make_tiny_model(tmp_path / "other" / "base", seed=1)
    assert LocalModel(str(other)).revision != here.revision
    adapted = LocalModel(str(base), adapter)
    assert adapted.name == "base+adapter"
    assert adapted.revision != here.revision
    again = make_tiny_adapter(tmp_path / "adapter", moved)
    assert LocalModel(str(moved), again).revision == adapted.revision


def test_what_does_not_load_is_named_with_what_is_missing(base: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no directory"):
        LocalModel(str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="config.json is missing"):
        LocalModel(str(tmp_path))
    with pytest.raises(InputError, match="adapter_config.json is missing"):
        LocalModel(str(base), tmp_path)
    for options, finding in (({"dtype": "int8"}, "dtype"), ({"device": "toaster"}, "device")):
        with pytest.raises(InputError, match=finding):
            with_model(TransformersLLM(LocalModel(str(base)), **options), only_prepared)
    torn = shutil.copytree(base, tmp_path / "torn")
    (torn / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(InputError, match="cannot load"):
        with_model(TransformersLLM(LocalModel(str(torn))), only_prepared)


@pytest.mark.parametrize(
    ("template", "finding"),
    [
        (None, "has no chat template"),
        ("{{ raise_exception('no system turn') }}", "no system turn"),
        ("{% for m in messages %}{{ m.content }}{% if m.role == 'assistant' %}!{% endif %}{% endfor %}", None),
        ("{% for m in messages %}{{ m.content | upper }}{% endfor %}", "the chat template"),
    ],
)
def test_a_template_that_will_not_do_is_named_before_anything_is_written(
    template: str | None, finding: str | None, base: Path, tmp_path: Path
) -> None:
    copied = shutil.copytree(base, tmp_path / "base")
    (copied / "chat_template.jinja").unlink()
    if template is not None:
        (copied / "chat_template.jinja").write_text(template)
    llm = TransformersLLM(LocalModel(str(copied)))
    if finding is None:
        with_model(llm, only_prepared)
        return
    with pytest.raises(InputError, match=finding):
        with_model(llm, only_prepared)


def test_a_home_of_nobody_is_no_directory() -> None:
    assert local_directory("~nobody-of-that-name/model") is None
