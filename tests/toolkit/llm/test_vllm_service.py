import asyncio
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from llm_contract import ASKED, CONTRACT, Check, Subject, name_of, one
from tiny_model import CONTEXT_TOKENS, make_tiny_adapter, make_tiny_model
from vllm_service import cpu_settings, vllm_python, vllm_server

from toolkit.contracts import Completion
from toolkit.llm.local_weights import LocalModel
from toolkit.llm.openai_server import Endpoint, OpenAIServer
from toolkit.llm.transformers_local import TransformersLLM

pytestmark = pytest.mark.service

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    base = make_tiny_model(tmp_path_factory.mktemp("tiny") / "base")
    return base, make_tiny_adapter(base.parent / "adapter", base)


@pytest.fixture(scope="module")
def url(weights: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with vllm_server(*weights, tmp_path_factory.mktemp("log") / "vllm.log") as base_url:
        yield base_url


@pytest.mark.parametrize("check", CONTRACT, ids=name_of)
def test_a_real_vllm_server_meets_the_contract(check: Check, url: str, weights: tuple[Path, Path]) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(weights[0])

    async def run() -> None:
        models = [OpenAIServer(name, Endpoint(url), logprobs=True) for name in ("tiny", "tiny-adapted")]
        try:
            for llm in models:
                await llm.prepare(prefix=True)
            await check(Subject(*models, lambda ids: tokenizer.decode(ids, skip_special_tokens=True), CONTEXT_TOKENS))
        finally:
            for llm in models:
                await llm.close()

    asyncio.run(run())


def test_server_and_transformers_write_the_same_with_the_same_probabilities(
    url: str, weights: tuple[Path, Path]
) -> None:
    base, adapter = weights
    pairs = [
        (OpenAIServer("tiny", Endpoint(url), logprobs=True), TransformersLLM(LocalModel(str(base)), logprobs=True)),
        (
            OpenAIServer("tiny-adapted", Endpoint(url), logprobs=True),
            TransformersLLM(LocalModel(str(base), adapter), logprobs=True),
        ),
    ]

    async def both(pair: tuple[OpenAIServer, TransformersLLM]) -> tuple[list[Completion], list[Completion]]:
        try:
            for llm in pair:
                await llm.prepare(prefix=True)
            asked = [ASKED, replace(ASKED, prefix="Thought: "), replace(ASKED, stop=("e",))]
            return [await one(pair[0], request) for request in asked], [
                await one(pair[1], request) for request in asked
            ]
        finally:
            for llm in pair:
                await llm.close()

    for pair in pairs:
        served, local = asyncio.run(both(pair))
        for there, here in zip(served, local, strict=True):
            assert (there.text, there.token_ids, there.finish_reason) == (here.text, here.token_ids, here.finish_reason)
            assert (there.prompt_tokens, there.completion_tokens) == (here.prompt_tokens, here.completion_tokens)
            assert there.logprobs == pytest.approx(here.logprobs, abs=1e-3)


def test_vllm_in_process_meets_the_contract(weights: tuple[Path, Path]) -> None:
    environment = cpu_settings() | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests"), str(HERE)]),
        "PYTHONWARNINGS": "",
    }
    command = [str(vllm_python()), str(HERE / "vllm_in_process.py"), *map(str, weights)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    said = [line for line in done.stdout.splitlines() if line.startswith(("ok ", "failed "))]
    assert said == [f"ok {name_of(check)}" for check in CONTRACT], done.stdout + done.stderr[-3000:]
    assert done.returncode == 0
