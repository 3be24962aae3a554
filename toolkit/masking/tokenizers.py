"""Tokenizers of transformers by name or path."""

from __future__ import annotations

from typing import Any

from toolkit.errors import InputError, MissingExtraError
from toolkit.llm.local_weights import local_directory


def load_tokenizer(source: str) -> Any:
    """The tokenizer of a model: a directory, or a name of the Hub with or without `@REVISION`.

    Raises:
        InputError: it cannot be loaded, or has no chat template.
        MissingExtraError: transformers is not installed.
    """
    path = local_directory(source)
    if path is None and source.startswith((".", "/", "~")):
        raise InputError(f"there is no directory {source} with a tokenizer")
    name, _, revision = (str(path), "", "") if path else source.partition("@")
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise MissingExtraError("transformers", "local", f"the tokenizer of {source}") from error
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision or "main")
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"cannot load the tokenizer of {source}: {reason}; a directory may be named instead"
        ) from error
    except Exception as error:
        # A damaged tokenizer.json: tokenizers raises a bare Exception.
        if type(error) is not Exception:
            raise
        raise InputError(f"cannot load the tokenizer of {source}: {error}") from error
    if not getattr(tokenizer, "chat_template", None):
        raise InputError(
            f"the tokenizer of {source} has no chat template; expected one in chat_template.jinja beside it"
        )
    return tokenizer


def tokenizer_name(source: str) -> str:
    """As recorded: the last part of a path, or the whole name of the Hub."""
    path = local_directory(source)
    return path.resolve().name if path else source
