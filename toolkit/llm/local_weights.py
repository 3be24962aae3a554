"""A model by path or name, for backends that load it in process: what it is called and what it is.

A directory is known by a digest of the files that decide its answers, wherever it lies; a name of
the Hub by its commit. Invariant: equal revision, equal weights, tokenizer and template. The digest
reads all weights once, at about the speed of the disk.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from schemas.identity import model_id
from toolkit.contracts import Identity
from toolkit.errors import InputError

GENERATION_SETTINGS = "generation_config.json"
"""Of a model; beside an adapter, those that training gave it: which tokens end its texts."""
DECIDING = (
    "config.json",
    "adapter_config.json",
    "*.safetensors",
    "pytorch_model*.bin",
    "adapter_model.bin",
    "tokenizer*",
    "vocab.*",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    GENERATION_SETTINGS,
    "chat_template*",
)
PLACES = ("_name_or_path", "base_model_name_or_path")
"""Keys of configurations that say where something lay, not what it is."""


TINY = "tiny"
"""Name of the model that comes with the toolkit: a Llama of a million weights that can read and quote (made by
`python -m trainers.tiny`, in `docs/tiny-students.md`)."""
SHIPPED = Path(__file__).parent / "tiny"


@dataclass(frozen=True)
class LocalModel:
    """A base model and, perhaps, an adapter for it.

    Raises:
        InputError: a directory is missing or does not hold what it should.
    """

    base: str
    """A directory, a name of the Hub with or without `@REVISION`, or `tiny`, which is shipped."""
    adapter: Path | None = None
    """Directory that peft wrote. None: the base as it is."""

    def __post_init__(self) -> None:
        """Check what can be checked without loading anything."""
        if self.directory is None and self.base.startswith((".", "/", "~")):
            raise InputError(f"there is no directory {self.base} with a model")
        if self.directory is not None and not (self.directory / "config.json").is_file():
            raise InputError(f"{self.directory} holds no model: config.json is missing")
        if self.adapter is not None and not self.adapter.is_dir():
            raise InputError(f"there is no directory {self.adapter} with an adapter")
        if self.adapter is not None and not (self.adapter / "adapter_config.json").is_file():
            raise InputError(f"{self.adapter} holds no adapter: adapter_config.json is missing")

    def check_tokenizer(self, tokenizer: Any) -> None:
        """See that the adapter, where a tokenizer lies beside it, was trained with the base's `tokenizer`.

        Raises:
            InputError: a token has two numbers.
        """
        if self.adapter is None or not (self.adapter / "tokenizer.json").is_file():
            return
        from transformers import AutoTokenizer

        beside: Any = AutoTokenizer.from_pretrained(self.adapter)
        trained, known = beside.get_vocab(), tokenizer.get_vocab()
        other = [token for token, number in trained.items() if known.get(token, number) != number]
        if other:
            token = min(other, key=lambda token: trained[token])
            raise InputError(
                f"{self.adapter} was trained with another tokenizer than that of {self.base}: {len(other):,} tokens "
                f"differ, such as {token!r}, which is {trained[token]:,} there and {known[token]:,} here"
            )

    @property
    def directory(self) -> Path | None:
        """Where the base lies. None: on the Hub, or in its cache."""
        return local_directory(self.base)

    @property
    def source(self) -> str:
        """What loaders are given: the directory, or the name without revision."""
        return str(self.directory) if self.directory else self.base.partition("@")[0]

    @property
    def hub_revision(self) -> str | None:
        """What stands behind the `@`. None: the newest, or a directory."""
        return None if self.directory else self.base.partition("@")[2] or None

    @property
    def name(self) -> str:
        """As recorded: the last part of a path, the whole name of the Hub, the adapter behind a plus."""
        base = self.directory.resolve().name if self.directory else self.source
        return f"{base}+{self.adapter.resolve().name}" if self.adapter else base

    @cached_property
    def revision(self) -> str:
        """What the weights are; reads them all, or asks the Hub.

        Raises:
            InputError: the Hub does not know the model, or cannot be reached.
        """
        base = digest(self.directory) if self.directory else self._hub_commit()
        return f"{base}+{digest(self.adapter)}" if self.adapter else base

    @property
    def model_id(self) -> str:
        """Its id in the lake: of rollouts that it writes as of the row that training leaves of it."""
        return model_id(self.name, self.revision)

    def identity(self, dtype: str) -> Identity:
        """Name and revision, and `dtype` if it was chosen, that is, not `auto`."""
        chosen = {} if dtype == "auto" else {"dtype": dtype}
        return {"model": self.name, "revision": self.revision, **chosen}

    def _hub_commit(self) -> str:
        from transformers import AutoConfig

        try:
            config = AutoConfig.from_pretrained(self.source, revision=self.hub_revision)
        except (OSError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise InputError(
                f"cannot find the model {self.base}: {reason}; a directory may be named instead"
            ) from error
        return str(getattr(config, "_commit_hash", None) or self.hub_revision or "unknown")


def local_directory(source: str) -> Path | None:
    """The directory that `source` names, or that of the shipped model. None: neither, so a name of the Hub."""
    # Not by `Path.expanduser`, which raises where there is no such user.
    path = SHIPPED if source == TINY else Path(os.path.expanduser(source))
    return path if path.is_dir() else None


def digest(directory: Path) -> str:
    """24 hexadecimal digits over the deciding files of a directory."""
    total = hashlib.sha256()
    for path in sorted({path for pattern in DECIDING for path in directory.glob(pattern) if path.is_file()}):
        total.update(path.name.encode() + b"\0")
        for part in _parts(path):
            total.update(part)
    return total.hexdigest()[:24]


def _parts(path: Path) -> Iterator[bytes]:
    if path.name in ("config.json", "adapter_config.json"):
        found = orjson.loads(path.read_bytes())
        known = {key: value for key, value in found.items() if key not in PLACES}
        yield orjson.dumps(known, option=orjson.OPT_SORT_KEYS)
        return
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            yield part
