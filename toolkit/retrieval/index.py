"""An index on disk: what it holds, whether it is complete, and who may search it.

    index.json        format, corpus, embedder, complete or not
    vectors.f32       vectors so far, while it is being built
    chroma/           the passages, once it is complete
    passages.parquet  in their place, if words are compared and nothing is embedded
    lock              held by the process that builds

Invariant: an index answers only with the embedder that made it, and only when it is complete.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from toolkit.contracts import Identity, Retriever
from toolkit.errors import InputError, MissingExtraError
from toolkit.retrieval.corpus import Corpus
from toolkit.retrieval.embedder import Embedder, load_embedder

FORMAT = 1
INFO_FILE = "index.json"
VECTORS_FILE = "vectors.f32"
PASSAGES_FILE = "passages.parquet"
LEXICAL = "lexical"
"""What stands for an embedder where there is none."""
CHROMA_DIRECTORY = "chroma"
_ANEW = "remove the directory and run `toolkit index` again"


class CorpusInfo(BaseModel):
    """What was indexed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """For people."""
    digest: str
    """24 hexadecimal digits over all passages in their order."""
    n_passages: int
    """Distinct passages."""


class IndexInfo(BaseModel):
    """Content of `index.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int
    complete: bool
    """Whether every passage is in and can be searched."""
    corpus: CorpusInfo
    embedder_source: str
    """What loads the embedder here: `minilm`, `lexical`, a name or a path."""
    embedder: dict[str, object]
    """The embedder's identity."""

    @property
    def is_lexical(self) -> bool:
        """Whether words are compared, and not vectors."""
        return self.embedder_source == LEXICAL

    @property
    def identity(self) -> Identity:
        """What a search result depends on; enters the identity of runs."""
        return {
            "retriever": "lexical" if self.is_lexical else "chroma",
            "format": self.format,
            "corpus": self.corpus.digest,
            "n_passages": self.corpus.n_passages,
            "embedder": self.embedder,
        }


def read_info(directory: Path) -> IndexInfo:
    """What `directory` holds.

    Raises:
        InputError: no index, a damaged one, or one of another format version.
    """
    path = directory / INFO_FILE
    try:
        info = IndexInfo.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(
            f"{directory}: there is no index; make one with `toolkit index PASSAGES --index {directory}`"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise InputError(f"{path}: not written by this toolkit: {place}: {first['msg']}; {_ANEW}") from error
    if info.format != FORMAT:
        raise InputError(f"{path}: this toolkit reads format {FORMAT}, the index has format {info.format}; {_ANEW}")
    return info


def open_retriever(directory: Path) -> Retriever:
    """What searches the index in `directory`.

    Raises:
        InputError: no index, one that is not complete, or its embedder is not what it was.
        MissingExtraError: what it needs is not installed.
    """
    if read_info(directory).is_lexical:
        from toolkit.retrieval.lexical_index import open_lexical

        return open_lexical(directory)
    from toolkit.retrieval.retriever import ChromaRetriever

    return ChromaRetriever(directory)


def open_info(directory: Path) -> IndexInfo:
    """What `directory` holds, if it can be searched.

    Raises:
        InputError: no index, or one that is not complete.
        MissingExtraError: Chroma is not installed.
    """
    info = read_info(directory)
    if not info.complete:
        raise InputError(
            f"{directory}: the index of {info.corpus.name} is not complete; run `toolkit index` with the same "
            f"passages and --index again, it goes on where it stopped"
        )
    if not info.is_lexical:
        require_chroma()
    return info


def require_chroma() -> None:
    """Check that Chroma is installed, without importing it (1.2 s).

    Raises:
        MissingExtraError: it is not.
    """
    if find_spec("chromadb") is None:
        raise MissingExtraError("chromadb", "retrieval", "an index")


def embedder_of(directory: Path, info: IndexInfo) -> Embedder:
    """The embedder that made an index, loaded by the name it was given then.

    Raises:
        InputError: that name now means another model or revision.
        MissingExtraError: its libraries are not installed.
    """
    embedder = load_embedder(info.embedder_source)
    check_embedder(directory, info, embedder.identity)
    return embedder


def check_corpus(directory: Path, info: IndexInfo, corpus: Corpus) -> None:
    """Check that `corpus` is what the index holds.

    Raises:
        InputError: it is not.
    """
    if info.corpus.digest != corpus.digest:
        raise InputError(
            f"{directory}: holds an index of {info.corpus.name} ({info.corpus.n_passages:,} passages, "
            f"digest {info.corpus.digest}), these are {corpus.name} ({corpus.n_passages:,} passages, "
            f"digest {corpus.digest}); give each corpus an --index of its own"
        )


def check_embedder(directory: Path, info: IndexInfo, embedder: Identity) -> None:
    """Check that the embedder of that identity is the one that made the index.

    Raises:
        InputError: it is not; the message describes both.
    """
    if info.embedder != embedder:
        raise InputError(
            f"{directory}: made with the embedder {describe(info.embedder)}, this is {describe(embedder)}; "
            f"use the first (--embedder {info.embedder_source}), or index the passages into another directory"
        )


def describe(embedder: Identity) -> str:
    """An embedder's identity in one line."""
    rest = [f"{k} {v}" for k, v in embedder.items() if k not in ("name", "revision") and v != ""]
    return f"{embedder.get('name')} ({'; '.join([str(embedder.get('revision')), *rest])})"
