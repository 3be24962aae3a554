"""Requests as one server understands them, and its answers as completions.

Servers differ in how they continue a prefix, in what they do with a stop string that was written,
and in the name of the token limit; `Ways` is what is known of one. The contract is the same for
all: the stop string stays in the text, the prefix does not come back.
Where a server drops stop strings and does not say which it met, none is sent; the text is cut here
instead. That costs the tokens written after it, but a guess could not tell a closed code block from
an unfinished one. Not covered: reasoning that comes beside the content, tool calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from schemas import FinishReason
from toolkit.contracts import Completion, CompletionRequest
from toolkit.llm.openai_server.calls import Failure, Refusal
from toolkit.llm.samples import first_stop

PrefixWay = Literal["flags", "prefill"]
"""`flags`: `add_generation_prompt=false` and `continue_final_message=true`, both; vLLM answers the second alone with
HTTP 400. `prefill`: a last turn of the assistant is continued as it is."""

StopWay = Literal["kept", "named", "cut"]
"""`kept`: `include_stop_str_in_output` is honoured. `named`: dropped, but the answer says which. `cut`: by us."""

_MOST_TOKENS = 1 << 31
"""No text has as many; a greater count is an error of the server, and columns could not hold any."""

SchemaWay = Literal["json_schema", "json_object"]
"""How an answer is asked to keep to a schema, as `response_format`: OpenAI's way (vLLM, SGLang, llama.cpp, too), or an
object with the schema beside it (some hosted servers)."""


@dataclass(frozen=True, slots=True)
class Ways:
    """How one server does things; the defaults are vLLM's."""

    prefix: PrefixWay | None = "flags"
    """None: it does not continue a prefix."""
    repeats_prefix: bool = False
    """Whether its text begins with the prefix that it continued."""
    stop: StopWay = "kept"
    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """Name of the token limit."""
    token_ids: bool = False
    """Whether it knows `return_token_ids`."""
    schema: SchemaWay = "json_schema"
    schema_limits: bool = True
    """Whether it takes schemas that limit the length of a text."""


def write_request(
    model: str,
    request: CompletionRequest,
    ways: Ways,
    *,
    logprobs: bool,
    schema: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The body of a request; with `logprobs` those are asked for, and token ids where there are any.

    With `schema`, a JSON Schema, the answer is to keep to it.

    Token ids are asked for as well where several samples are: the server counts tokens over all of them.
    """
    messages = [{"role": message.role, "content": message.content} for message in request.messages]
    body: dict[str, Any] = {
        "model": model,
        "messages": messages,
        "n": request.n,
        "temperature": request.temperature,
        "top_p": request.top_p,
        ways.limit: request.max_tokens,
    }
    if request.stop and ways.stop != "cut":
        body["stop"] = list(request.stop)
        if ways.stop == "kept":
            body["include_stop_str_in_output"] = True
    if request.seed is not None:
        body["seed"] = request.seed
    if logprobs:
        body["logprobs"] = True
    if ways.token_ids and (logprobs or request.n > 1):
        body["return_token_ids"] = True
    if request.prefix is not None:
        messages.append({"role": "assistant", "content": request.prefix})
        if ways.prefix == "flags":
            body |= {"add_generation_prompt": False, "continue_final_message": True}
    if schema is not None:
        body["response_format"] = _response_format(schema if ways.schema_limits else _without_limits(schema), ways)
    return body


def _response_format(schema: Any, ways: Ways) -> dict[str, Any]:
    if ways.schema == "json_object":
        return {"type": "json_object", "schema": schema}
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}


def _without_limits(schema: Any) -> Any:
    """The schema without `maxLength`, which OpenAI's strict mode refuses."""
    if isinstance(schema, Mapping):
        return {name: _without_limits(value) for name, value in schema.items() if name != "maxLength"}
    return [_without_limits(value) for value in schema] if isinstance(schema, list) else schema


def read_answer(answer: dict[str, Any], request: CompletionRequest, ways: Ways, *, logprobs: bool) -> list[Completion]:
    """The samples of an answer, at least one; a server may give fewer than were asked for, and gets away with it.

    Raises:
        Failure: not an answer, or no sample in it.
        Refusal: every sample was withheld.
    """
    usage = answer.get("usage")
    try:
        choices = sorted(answer["choices"], key=lambda choice: choice.get("index", 0))[: request.n]
        found = [_sample(choice, request, ways, logprobs=logprobs) for choice in choices]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Failure(f"not a chat completion ({type(error).__name__}: {error}): {str(answer)[:200]}") from error
    good = [sample for sample in found if sample.finish_reason != "error"]
    if not good:
        reasons = {str(choice.get("finish_reason")) for choice in choices}
        if "content_filter" in reasons:
            raise Refusal("every sample was withheld (content_filter)")
        raise Failure(f"no sample in the answer (finish reasons: {', '.join(sorted(reasons)) or 'none'})")
    return _with_counts(good, usage if isinstance(usage, dict) else {}, alone=len(choices) == 1)


def _sample(choice: dict[str, Any], request: CompletionRequest, ways: Ways, *, logprobs: bool) -> Completion:
    """One sample, with completion tokens only where they are listed one by one."""
    text: str = choice["message"].get("content") or ""
    finish: FinishReason = _FINISH.get(str(choice.get("finish_reason")), "stop")
    if ways.repeats_prefix and request.prefix is not None and finish != "error":
        if not text.startswith(request.prefix):
            raise ValueError("the text does not begin with the prefix, as this server's texts do")
        text = text[len(request.prefix) :]
    if ways.stop == "named":
        met = choice.get("stop_reason", choice.get("matched_stop"))
        text += met if isinstance(met, str) and met in request.stop else ""
    ids = choice.get("token_ids")
    listed = (choice.get("logprobs") or {}).get("content")
    values = None if listed is None else [float(entry["logprob"]) for entry in listed]
    if ids is not None and not all(_count(token) is not None for token in ids):
        raise ValueError("token ids are numbers from 0 to 2,147,483,647")
    n_tokens = len(ids) if ids is not None else len(values) if values is not None else None
    if ways.stop == "cut" and (end := first_stop(text, request.stop)) is not None:
        # The tokens were written and paid for, but they are no longer those of the text.
        return Completion(text[:end], "stop", completion_tokens=n_tokens)
    return Completion(
        text,
        finish,
        completion_tokens=n_tokens,
        token_ids=tuple(ids) if ids is not None and logprobs else None,
        logprobs=tuple(values) if values is not None else None,
    )


_FINISH: dict[str, FinishReason] = {"length": "length", "content_filter": "error", "abort": "error", "error": "error"}
"""What is not listed (`stop`, `eos`, null) is a stop."""


def _with_counts(samples: list[Completion], usage: dict[str, Any], *, alone: bool) -> list[Completion]:
    """The samples with the server's own counts, which are over all samples of the request."""
    prompt, whole = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    known = all(sample.completion_tokens is not None for sample in samples)
    return [
        replace(
            sample,
            prompt_tokens=prompt if index == 0 else None,
            completion_tokens=whole if alone and whole is not None else sample.completion_tokens,
            sampled_tokens=whole if index == 0 and not alone and not known else None,
        )
        for index, sample in enumerate(samples)
    ]


def _count(value: object) -> int | None:
    """A number of tokens. None: it is none that could be."""
    return value if type(value) is int and 0 <= value < _MOST_TOKENS else None
