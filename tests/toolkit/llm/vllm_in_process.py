"""Run in the environment with vLLM: the contract against the engine in process. Arguments: base, adapter.

Prints one line a check, `ok NAME` or `failed NAME` with the error.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from pathlib import Path

from llm_contract import CONTRACT, Subject, name_of
from tiny_model import CONTEXT_TOKENS
from transformers import AutoTokenizer

from toolkit.llm.local_weights import LocalModel
from toolkit.llm.vllm_local import VLLMLocal


async def main(base: str, adapter: Path) -> None:
    models = [
        VLLMLocal(LocalModel(base), dtype="float32", logprobs=True),
        VLLMLocal(LocalModel(base, adapter), dtype="float32"),
    ]
    try:
        for llm in models:
            await llm.prepare(prefix=True)
        tokenizer = AutoTokenizer.from_pretrained(base)
        subject = Subject(
            models[0], models[1], lambda ids: tokenizer.decode(list(ids), skip_special_tokens=True), CONTEXT_TOKENS
        )
        for check in CONTRACT:
            try:
                await check(subject)
            except Exception:
                sys.stdout.write(f"failed {name_of(check)}\n{traceback.format_exc()}\n")
            else:
                sys.stdout.write(f"ok {name_of(check)}\n")
    finally:
        for llm in models:
            await llm.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
