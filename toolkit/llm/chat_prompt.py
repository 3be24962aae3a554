"""A request as the token ids that a model in process reads, by the chat template of its tokenizer.

Invariant: with a prefix the prompt ends with exactly that text, inside the assistant's turn; a
template that puts it otherwise is refused. Not covered: templates with tools or documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError

from toolkit.contracts import ChatMessage
from toolkit.errors import InputError, ModelError

TRIED = (ChatMessage("system", "Be brief."), ChatMessage("user", "Who?"))
TRIED_PREFIX = "Thought: First I need"


def prompt_ids(tokenizer: Any, messages: Sequence[ChatMessage], prefix: str | None) -> list[int]:
    """Token ids of the prompt; `tokenizer` is one of transformers.

    Raises:
        ModelError: the template refuses the messages, or does not let the assistant's turn end with `prefix`.
    """
    turns = [{"role": message.role, "content": message.content} for message in messages]
    try:
        if prefix is None:
            text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        else:
            turns.append({"role": "assistant", "content": prefix})
            text = tokenizer.apply_chat_template(turns, tokenize=False, continue_final_message=True)
    except (TemplateError, ValueError) as error:
        raise ModelError(f"the chat template refuses the messages: {error}") from error
    if prefix is not None and not text.endswith(prefix):
        raise ModelError(f"the chat template changes the prefix: the prompt ends with {text[-60:]!r}")
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def check_template(name: str, tokenizer: Any, *, prefix: bool) -> None:
    """Put a small conversation, and with `prefix` one that goes on in the assistant's turn.

    Raises:
        InputError: there is no template, or it will not do.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise InputError(f"the tokenizer of {name} has no chat template; one stands in chat_template.jinja beside it")
    try:
        prompt_ids(tokenizer, TRIED, None)
    except ModelError as error:
        raise InputError(f"{name}: {error}") from error
    if prefix:
        try:
            prompt_ids(tokenizer, TRIED, TRIED_PREFIX)
        except ModelError as error:
            raise InputError(f"{name}: {error}; --ftp-mode instruct or --no-ftp need no prefix") from error
