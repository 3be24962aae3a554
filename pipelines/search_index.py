"""Which index a run searches: the one that is named, or, for Minipedia, one made on the spot.

An index of a Minipedia is kept in the user's cache (`TRAJECTORY_TOOLKIT_CACHE`, else
`XDG_CACHE_HOME`, else `~/.cache`), because the same spec always gives the same articles.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from schemas.identity import derive_id
from toolkit.cli.output import note
from toolkit.contracts import Identity, Passage, Retriever
from toolkit.errors import RunError
from toolkit.tasks.source import is_minipedia


class IndexToCome:
    """Stands for an index that is not built yet, in a dry run: it has an identity of its own and finds nothing."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.identity: Identity = {"to_come": str(directory)}

    async def search(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        """Nothing can be found.

        Raises:
            RunError: always.
        """
        raise RunError(f"{self.directory}: there is no index yet; `toolkit index` makes it")

    async def close(self) -> None:
        """Nothing is held."""


def open_index(spec: str, index: Path | None, *, may_come: bool = False) -> Retriever | None:
    """The retriever for questions `spec`: over `index`, or over the Minipedia that `spec` names, or none.

    With `may_come`, an `index` that is not built yet is an `IndexToCome`, and a note says so.

    Raises:
        InputError: the index is missing, incomplete, or made by another embedder.
        MissingExtraError: the extra `retrieval` is not installed.
    """
    if index is None and not is_minipedia(spec):
        return None
    # Only here: a run without search starts in half the time.
    from pipelines.index import index_corpus, minipedia_corpus
    from toolkit.retrieval.embedder import load_embedder
    from toolkit.retrieval.index import INFO_FILE, open_retriever, read_info
    from toolkit.retrieval.retriever import ChromaRetriever

    if index is not None:
        if may_come and not ((index / INFO_FILE).exists() and read_info(index).complete):
            note(f"the index {index} is not there yet, so that every rollout that searches counts as new")
            return IndexToCome(index)
        return open_retriever(index)
    corpus = minipedia_corpus(spec)
    embedder = load_embedder()
    directory = cache_directory() / "indexes" / f"{corpus.digest}-{derive_id('embedder', embedder.identity)[:8]}"
    if not (directory / "index.json").exists():
        note(f"indexing {corpus.n_passages:,} articles of {corpus.name} (once; --index DIR names an index of your own)")
    index_corpus(corpus, directory, embedder)
    return ChromaRetriever(directory, embedder)


def cache_directory() -> Path:
    """Where things are kept that can be made again."""
    own = os.environ.get("TRAJECTORY_TOOLKIT_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "trajectory-toolkit"
