"""Passages and their vectors in a Chroma collection on disk.

Invariants: vectors are always passed in, so Chroma never loads or downloads a model; no
telemetry; its errors leave here as ours. Search is approximate, and two builds of one
corpus have different graphs: the effort is chosen such that their best few agree.
Titles and texts are metadata, because what Chroma calls documents gets a full-text index
that nobody here reads (a quarter of the disk).
Not covered: writers of the same directory at the same time; a directory that cannot be
written (SQLite wants to).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import chromadb
from chromadb.config import Settings
from chromadb.errors import ChromaError

from toolkit.contracts import Passage
from toolkit.errors import RunError

if TYPE_CHECKING:
    from toolkit.retrieval.embedder import Vectors

COLLECTION = "passages"
MAX_BATCH = 2_000
"""Passages added at once; Chroma takes at most 5,461."""
SEARCH_EFFORT = 500
"""Candidates that a search keeps in view (`ef_search`); costs 1.5 ms. Of 1,700 searches among 6,119 passages, 10
missed one of the exact best three with 100 candidates, 2 with 200, none with 400."""
SCORE_DIGITS = 6
"""Beyond these, a similarity in float32 is noise."""


class ChromaStore:
    """One collection; used from one thread at a time. `create` or `open` make one."""

    def __init__(self, path: Path, client: Any, collection: Any) -> None:
        self._path = path
        self._client = client
        self._collection = collection

    @classmethod
    def create(cls, path: Path, n_passages: int) -> Self:
        """An empty collection in the new directory `path`, to take `n_passages`.

        Raises:
            RunError: Chroma cannot write there.
        """
        # The graph reaches the disk whenever so many rows have come: here once, with the last one. Chroma's
        # default rewrites all of it every 1,000 rows, and rows since then are inserted anew at each opening.
        graph = {"space": "cosine", "ef_search": SEARCH_EFFORT, "sync_threshold": max(2, n_passages)}
        graph["batch_size"] = max(2, min(100, n_passages))
        with _translated(path):
            client = _client(path)
            collection = client.create_collection(COLLECTION, configuration={"hnsw": graph}, embedding_function=None)
        return cls(path, client, collection)

    @classmethod
    def open(cls, path: Path) -> Self:
        """The collection in directory `path`.

        Raises:
            RunError: there is none, or it is damaged.
        """
        with _translated(path):
            client = _client(path)
            collection = client.get_collection(COLLECTION, embedding_function=None)
        return cls(path, client, collection)

    def add(self, passages: Sequence[Passage], vectors: Vectors) -> None:
        """Add passages with ids; `vectors` has one row each."""
        with _translated(self._path):
            self._collection.add(
                ids=[passage.passage_id for passage in passages],
                embeddings=vectors,
                metadatas=[{"title": passage.title, "text": passage.text} for passage in passages],
            )

    def count(self) -> int:
        """Number of passages."""
        with _translated(self._path):
            return int(self._collection.count())

    def nearest(self, vectors: Vectors, n: int) -> list[list[Passage]]:
        """The `n` nearest passages to each row, most similar first, equal scores by id; fewer if there are fewer."""
        with _translated(self._path):
            found = self._collection.query(query_embeddings=vectors, n_results=n, include=["metadatas", "distances"])
        rows = zip(found["ids"], found["metadatas"], found["distances"], strict=True)
        return [sorted(map(_passage, *row), key=_rank) for row in rows]

    def close(self) -> None:
        """Let go of files."""
        self._client.close()


def _passage(passage_id: str, metadata: dict[str, str], distance: float) -> Passage:
    return Passage(metadata["title"], metadata["text"], passage_id, round(1 - distance, SCORE_DIGITS))


def _rank(passage: Passage) -> tuple[float, str]:
    return -(passage.score or 0.0), passage.passage_id


def _client(path: Path) -> Any:
    return chromadb.PersistentClient(path=str(path), settings=Settings(anonymized_telemetry=False))


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except ChromaError as error:
        raise RunError(f"{path}: Chroma failed: {error}; if this stays, remove the index and make it again") from error
