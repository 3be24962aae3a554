"""Options of a model that every command with a model has, said once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

SPECS = "oracle, oracle:recall=SHARE, openai:MODEL, hf:PATH_OR_NAME, vllm:PATH_OR_NAME or scripted:FILE"


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFlags:
    """Where the model is, and how it is loaded."""

    base_url: Annotated[
        str | None, Parameter(help="Of an OpenAI-compatible server, such as http://127.0.0.1:8000/v1.")
    ] = None
    api_key_env: Annotated[str, Parameter(help="Environment variable that holds the API key.")] = "OPENAI_API_KEY"
    endpoint: Annotated[
        tuple[str, ...],
        Parameter(
            help="A server: URL[,weight=2][,in_flight=64][,timeout_s=600][,key_env=NAME]; may be given several times.",
            negative="",
        ),
    ] = ()
    timeout: Annotated[float, Parameter(help="Seconds for one request to a server before it is tried again.")] = 600.0
    adapter: Annotated[Path | None, Parameter(help="Adapter (LoRA) for an hf: or vllm: model, as peft wrote it.")] = (
        None
    )
    dtype: Annotated[str, Parameter(help="Of an hf: or vllm: model: auto, float32, bfloat16 or float16.")] = "auto"
    device: Annotated[str, Parameter(help="Of an hf: model: auto, cpu or cuda:N.")] = "auto"
    logprobs: Annotated[
        bool, Parameter(help="Record log-probabilities, and token ids where the model gives them.", negative="")
    ] = False


NO_FLAGS = ModelFlags()
