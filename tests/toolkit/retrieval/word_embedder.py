"""A real embedder of a few lines: a text is the sum of a direction for each word; it records what it is asked."""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from toolkit.contracts import Identity
from toolkit.errors import RunError

DIMENSIONS = 32


class WordEmbedder:
    """Refuses the text `unreadable`, so that failures can be seen."""

    source = "words"
    dimensions = DIMENSIONS

    def __init__(self, revision: str = "1", *, delay_s: float = 0.0) -> None:
        self.identity: Identity = {"name": "words", "revision": revision, "dimensions": DIMENSIONS}
        self.batches: list[list[str]] = []
        """Texts of each call, passages and queries alike."""
        self._delay_s = delay_s

    def embed_passages(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        self.batches.append(list(texts))
        time.sleep(self._delay_s * len(texts))
        if "unreadable" in texts:
            raise RunError("cannot embed this")
        return np.stack([_vector(text) for text in texts])

    def embed_queries(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return self.embed_passages(texts)


def _vector(text: str) -> npt.NDArray[np.float32]:
    vector = np.sum([_direction(word) for word in re.findall(r"\w+", text.casefold()) or [""]], axis=0)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@cache
def _direction(word: str) -> npt.NDArray[np.float64]:
    return np.random.default_rng(zlib.crc32(word.encode())).normal(size=DIMENSIONS)
