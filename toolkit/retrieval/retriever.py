"""Search in an index: the retriever of real runs.

Invariants: a result depends on the index, the query and k alone, not on who else
searches; equal scores are ordered by passage id. The index is opened at the first
search, in the thread that searches, so that a sandbox can be forked before.
Not covered: an index that another process replaces meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from toolkit.contracts import Identity, Passage
from toolkit.retrieval.batching import Batcher
from toolkit.retrieval.embedder import Embedder
from toolkit.retrieval.index import CHROMA_DIRECTORY, check_embedder, embedder_of, open_info

if TYPE_CHECKING:
    from toolkit.retrieval.chroma import ChromaStore

MAX_BATCH = 64
"""Queries embedded and searched at once."""
MAX_WAIT_S = 0.002
"""How long the first query of a batch waits for others; a search takes five times as long."""
CACHE_SIZE = 50_000
"""Queries whose results are kept: about 100 MB at three passages each."""
MAX_QUERY_CHARS = 4_000
"""What is read of a query; embedders read fewer tokens, but would first cut all of it into tokens."""
_SPARE = 8
"""Results beyond `k` that are asked for, so that equal scores at its edge can be ordered by id."""

_Key = tuple[str, int]


class ChromaRetriever:
    """Implements `contracts.Retriever` over an index in a directory; also an asynchronous context manager."""

    def __init__(
        self,
        directory: Path,
        embedder: Embedder | None = None,
        *,
        max_batch: int = MAX_BATCH,
        max_wait_s: float = MAX_WAIT_S,
        cache_size: int = CACHE_SIZE,
    ) -> None:
        """Check the index; `embedder` None takes the one that the index names.

        Raises:
            InputError: no index, one that is not complete, or one made by another embedder.
            MissingExtraError: Chroma or the embedder's libraries are not installed.
        """
        info = open_info(directory)
        if embedder is None:
            embedder = embedder_of(directory, info)
        check_embedder(directory, info, embedder.identity)
        self.identity: Identity = info.identity
        self._path = directory / CHROMA_DIRECTORY
        self._embedder = embedder
        self._store: ChromaStore | None = None
        self._batcher: Batcher[_Key, tuple[Passage, ...]] = Batcher(
            self._search, max_batch=max_batch, max_wait_s=max_wait_s, cache_size=cache_size
        )

    async def search(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        """The `k` best passages of each query, best first; fewer if the index holds fewer.

        Raises:
            ValueError: `k` is below 1.
            RunError: the index is damaged, or this is closed.
        """
        if k < 1:
            raise ValueError(f"expected k to be at least 1, got {k}")
        found = await self._batcher.get([(_readable(query), k) for query in queries])
        return [list(passages) for passages in found]

    async def close(self) -> None:
        """Finish the searches under way, then let go of files and the thread."""
        await self._batcher.close(self._close_store)

    async def __aenter__(self) -> Self:
        """The retriever itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await self.close()

    def _search(self, batch: list[_Key]) -> list[tuple[Passage, ...]]:
        if self._store is None:
            from toolkit.retrieval.chroma import ChromaStore

            self._store = ChromaStore.open(self._path)
        vectors = self._embedder.embed_queries([query for query, _ in batch])
        results: list[tuple[Passage, ...]] = [()] * len(batch)
        # One k at a time: how far the graph is searched depends on it, and so might the result.
        for k in {k for _, k in batch}:
            places = [place for place, key in enumerate(batch) if key[1] == k]
            for place, passages in zip(places, self._store.nearest(vectors[places], k + _SPARE), strict=True):
                results[place] = tuple(passages[:k])
        return results

    def _close_store(self) -> None:
        if self._store is not None:
            self._store.close()


def _readable(query: str) -> str:
    """The part of a query that is read, as valid Unicode; model-written code may search for anything."""
    return query[:MAX_QUERY_CHARS].encode("utf-8", "replace").decode()
