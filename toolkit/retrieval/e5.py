"""E5 embedders by name or path, through sentence-transformers; the paper's is `intfloat/e5-base-v2`.

E5 was trained with `query: ` and `passage: ` before its texts and is poor without them.
Invariant: the identity is known without loading the model. Not covered: checkpoints
without safetensors; vectors may differ in their last bits with the batch they were in.
Source: Wang et al. 2022, arXiv 2212.03533.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.contracts import Identity
from toolkit.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from toolkit.retrieval.embedder import Vectors

QUERY_PREFIX = "query: "
PASSAGE_PREFIX = "passage: "
MAX_TOKENS = 512
BATCH = 32
_UNUSED = ["*.bin", "*.h5", "*.ot", "*.msgpack", "onnx/*", "openvino/*"]
"""Copies of the weights for other libraries."""


class E5:
    """An E5 model; its weights are read at the first use, onto a GPU if there is one."""

    def __init__(self, source: str) -> None:
        """`source` is a directory or a name on the Hugging Face Hub, which is downloaded unless it is in the cache.

        Raises:
            MissingExtraError: sentence-transformers is not installed.
            InputError: there is no such model, or the directory holds none.
        """
        if find_spec("sentence_transformers") is None:
            raise MissingExtraError("sentence-transformers", "retrieval", f"the embedder {source}")
        self.source = source
        is_local = Path(source).is_dir()
        self._directory = Path(source) if is_local else _fetch(source)
        self.dimensions = _dimensions(self._directory)
        self.identity: Identity = {
            "name": self._directory.resolve().name if is_local else source,
            "revision": _weights_digest(self._directory) if is_local else self._directory.name,
            "dimensions": self.dimensions,
            "max_tokens": MAX_TOKENS,
            "query_prefix": QUERY_PREFIX,
            "passage_prefix": PASSAGE_PREFIX,
        }
        self._model: Any = None

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Vectors of texts that will be found."""
        return self._encode([PASSAGE_PREFIX + text for text in texts])

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of texts that will be searched for."""
        return self._encode([QUERY_PREFIX + text for text in texts])

    def _encode(self, texts: list[str]) -> Vectors:
        if self._model is None:
            from sentence_transformers import SentenceTransformer

            self._model = SentenceTransformer(str(self._directory))
            self._model.max_seq_length = min(MAX_TOKENS, self._model.max_seq_length or MAX_TOKENS)
        vectors: Vectors = self._model.encode(
            texts, batch_size=BATCH, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
        return vectors


def _fetch(name: str) -> Path:
    """The snapshot of a Hub model, a directory named after its commit."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, ignore_patterns=_UNUSED))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise InputError(
            f"the embedder {name!r} is neither `minilm` nor `lexical`, nor a directory, nor a model that could be had "
            f"from the Hugging Face Hub: {error}"
        ) from error


def _dimensions(directory: Path) -> int:
    try:
        return int(json.loads((directory / "config.json").read_text())["hidden_size"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{directory}: expected the directory of a model with a config.json: {error}") from error


def _weights_digest(directory: Path) -> str:
    digest = hashlib.sha256()
    files = sorted(directory.glob("*.safetensors"))
    if not files:
        raise InputError(f"{directory}: expected weights in *.safetensors, there are none")
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"sha256:{digest.hexdigest()}"
