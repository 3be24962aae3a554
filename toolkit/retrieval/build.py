"""Building an index so that nothing is embedded twice, whenever the build is killed.

First every passage is embedded, and each batch of vectors is on disk before the next is
begun; then the Chroma collection is made of them in one go and put in its place. Why not
add each batch to Chroma: 1.5.9 writes its graph in place, and of 25 builds killed while
they added, one could not be opened again. Embedding is what takes the time.
Invariant: an index is complete and whole, or it says that it is not; a rerun ends with
the same passages and the same vectors as a build without a kill.
Not covered: adding passages to a complete index.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from toolkit.contracts import Identity, Passage
from toolkit.errors import InputError, RunError
from toolkit.lake.layout import sync_directory, sync_file
from toolkit.retrieval.corpus import Corpus
from toolkit.retrieval.embedder import Embedder, passage_text
from toolkit.retrieval.index import (
    CHROMA_DIRECTORY,
    FORMAT,
    INFO_FILE,
    VECTORS_FILE,
    CorpusInfo,
    IndexInfo,
    check_corpus,
    check_embedder,
    read_info,
    require_chroma,
)
from toolkit.retrieval.vectors import VectorFile

DEFAULT_BATCH = 64
"""Passages embedded between two writes: about two seconds of work that a kill can lose."""

Progress = Callable[[int], None]
"""Called with the number of passages done."""


class IndexBuild:
    """A build in a directory, closed to other builds until the block ends.

    with IndexBuild(directory, corpus, embedder) as build:
        build.embed()
        build.store()
    """

    def __init__(self, directory: Path, corpus: Corpus, embedder: Embedder) -> None:
        self.directory = directory
        self.info = IndexInfo(
            format=FORMAT,
            complete=False,
            corpus=CorpusInfo(name=corpus.name, digest=corpus.digest, n_passages=corpus.n_passages),
            embedder_source=embedder.source,
            embedder=embedder.identity,
        )
        self._corpus = corpus
        self._embedder = embedder
        self._vectors = VectorFile(directory / VECTORS_FILE, embedder.dimensions)
        self._until_exit = ExitStack()

    def __enter__(self) -> Self:
        """Take the directory, or what an earlier build has left in it.

        Raises:
            InputError: it holds other files, another corpus, vectors of another embedder, or is being built.
            MissingExtraError: Chroma is not installed.
        """
        require_chroma()
        check_directory(self.directory, self._embedder.identity)
        self.directory.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.enter_context(lock(self.directory))
            if (self.directory / INFO_FILE).exists():
                self.info = self._continued(read_info(self.directory))
            else:
                self._write_info(self.info)
            self._until_exit = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the directory to others."""
        self._until_exit.close()

    @property
    def n_embedded(self) -> int:
        """Passages whose vectors are on disk."""
        return self._corpus.n_passages if self.info.complete else min(len(self._vectors), self._corpus.n_passages)

    def embed(self, *, batch_size: int = DEFAULT_BATCH, progress: Progress | None = None) -> None:
        """Embed what is not yet embedded.

        Raises:
            InputError: the passages are not what they were when they were surveyed.
        """
        if self.info.complete:
            return
        done = self.n_embedded
        for batch in _batches(islice(self._corpus.passages(), done, None), batch_size):
            self._vectors.append(self._embedder.embed_passages([passage_text(passage) for passage in batch]))
            done += len(batch)
            if progress is not None:
                progress(done)

    def store(self, *, progress: Progress | None = None) -> None:
        """Make the collection of all vectors, put it in its place and call the index complete.

        Raises:
            RunError: vectors are missing or damaged, or Chroma failed.
        """
        if not self.info.complete:
            if len(self._vectors) != self._corpus.n_passages:
                raise RunError(
                    f"{self._vectors.path}: expected {self._corpus.n_passages:,} vectors, there are "
                    f"{len(self._vectors):,}; run `toolkit index` again"
                )
            self._make_collection(self.directory / f"{CHROMA_DIRECTORY}.building", progress)
            self._write_info(self.info.model_copy(update={"complete": True}))
        self._vectors.path.unlink(missing_ok=True)

    def _make_collection(self, building: Path, progress: Progress | None) -> None:
        from toolkit.retrieval.chroma import MAX_BATCH, ChromaStore

        final = self.directory / CHROMA_DIRECTORY
        for leftover in (building, final):
            shutil.rmtree(leftover, ignore_errors=True)
        store = ChromaStore.create(building, self._corpus.n_passages)
        try:
            done = 0
            for batch in _batches(self._corpus.passages(), MAX_BATCH):
                store.add(batch, self._vectors.read(done, done + len(batch)))
                done += len(batch)
                if progress is not None:
                    progress(done)
            if store.count() != self._corpus.n_passages:
                raise RunError(f"{building}: Chroma holds {store.count():,} of {self._corpus.n_passages:,} passages")
        finally:
            store.close()
        _sync_tree(building)
        building.rename(final)
        sync_directory(self.directory)

    def _continued(self, found: IndexInfo) -> IndexInfo:
        check_embedder(self.directory, found, self._embedder.identity)
        check_corpus(self.directory, found, self._corpus)
        return found

    def _write_info(self, info: IndexInfo) -> None:
        write_info(self.directory, info)
        self.info = info


def write_info(directory: Path, info: IndexInfo) -> None:
    """Make `info` what the directory says of itself, at once or not at all."""
    temporary = directory / f".{INFO_FILE}.tmp"
    temporary.write_text(info.model_dump_json(indent=2) + "\n")
    sync_file(temporary)
    temporary.replace(directory / INFO_FILE)
    sync_directory(directory)


def check_directory(directory: Path, embedder: Identity) -> None:
    """Check, before any passage is read, that an index can be built or continued in `directory`.

    Raises:
        InputError: it holds other files, or vectors of another embedder.
    """
    if directory.is_dir() and (directory / INFO_FILE).exists():
        check_embedder(directory, read_info(directory), embedder)
    elif directory.exists() and (not directory.is_dir() or set(os.listdir(directory)) - _OURS):
        raise InputError(f"{directory}: expected an index, an empty directory or nothing; name another --index")


def build_index(
    directory: Path,
    corpus: Corpus,
    embedder: Embedder,
    *,
    batch_size: int = DEFAULT_BATCH,
    progress: Progress | None = None,
) -> IndexInfo:
    """Build or finish an index; `progress` counts embedded passages. An index that is complete is left as it is.

    Raises:
        InputError: the directory holds something else, another corpus, or vectors of another embedder.
    """
    with IndexBuild(directory, corpus, embedder) as build:
        build.embed(batch_size=batch_size, progress=progress)
        build.store()
        return build.info


_OURS = frozenset({"lock", f".{INFO_FILE}.tmp"})
"""What a build leaves that was killed before it wrote `index.json`."""


def lock(directory: Path) -> IO[bytes]:
    """Keep other builds out of `directory` until the file is closed.

    Raises:
        InputError: another build is in there.
    """
    file = (directory / "lock").open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise InputError(f"{directory}: another process is building this index; wait until it has ended") from error
    return file


def _batches(passages: Iterator[Passage], size: int) -> Iterator[list[Passage]]:
    while batch := list(islice(passages, size)):
        yield batch


def _sync_tree(directory: Path) -> None:
    for parent, _, names in os.walk(directory):
        for name in names:
            sync_file(Path(parent, name))
        sync_directory(Path(parent))
