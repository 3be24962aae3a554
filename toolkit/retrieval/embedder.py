"""What turns texts into vectors, and how one is chosen by name.

Invariants: rows are unit vectors in float32, aligned with the texts; an identity says
everything that changes a vector, so that an index refuses the wrong embedder.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from toolkit.contracts import Identity, Passage

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]
    """One row a text."""

BUNDLED = "minilm"


class Embedder(Protocol):
    """Embeds passages and queries into one space; may be called from one thread at a time."""

    @property
    def source(self) -> str:
        """What `load_embedder` takes to load this one again."""
        ...

    @property
    def identity(self) -> Identity:
        """Name, revision, dimensions, tokens read at most, query and passage prefix."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        ...

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Vectors of texts that will be found."""
        ...

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of texts that will be searched for."""
        ...


def load_embedder(source: str = BUNDLED) -> Embedder:
    """The embedder `minilm`, or the E5 model of that name or path; weights are read at the first use.

    Raises:
        MissingExtraError: its libraries are not installed.
        InputError: there is no such model.
    """
    if source == BUNDLED:
        from toolkit.retrieval.minilm import MiniLM

        return MiniLM()
    from toolkit.retrieval.e5 import E5

    return E5(source)


def passage_text(passage: Passage) -> str:
    """What is embedded of a passage: the title in quotes, then the text, as in the paper's index of Wikipedia."""
    return f'"{passage.title}"\n{passage.text}' if passage.title else passage.text
