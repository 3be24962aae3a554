"""A request as the token ids that a model in process reads, by the chat template of its tokenizer.

The same encoder makes training rows, so that a student is asked with the ids that it was trained behind. Invariant:
with a prefix the prompt ends with exactly that text, inside the assistant's turn. Not covered: templates with tools
or documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from toolkit.chat import ChatEncoder, Turn
from toolkit.contracts import ChatMessage
from toolkit.errors import InputError, ModelError


def encoder_of(name: str, tokenizer: Any) -> ChatEncoder:
    """The encoder of the model `name`, its template tried out on a small conversation.

    Raises:
        InputError: there is no template, or it will not do.
    """
    try:
        return ChatEncoder(tokenizer)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def prompt_ids(encoder: ChatEncoder, messages: Sequence[ChatMessage], prefix: str | None) -> list[int]:
    """Token ids of the prompt; with `prefix` the assistant's turn has begun with it.

    Raises:
        ModelError: the template refuses the messages, or changes one.
    """
    try:
        return encoder.prompt_ids([Turn(message.role, message.content) for message in messages], prefix)
    except InputError as error:
        raise ModelError(str(error)) from error
