"""An index of words: the passages on disk, and a table of their words made when they are first searched.

Made in a second where embedding takes minutes, and it finds what is called by its name. Invariant: as for
every index: it is complete or says that it is not, and it answers for one corpus only.
"""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from toolkit.contracts import Identity, Passage
from toolkit.errors import RunError
from toolkit.lake.layout import sync_file
from toolkit.retrieval.build import check_directory, lock, write_info
from toolkit.retrieval.corpus import Corpus
from toolkit.retrieval.index import (
    FORMAT,
    INFO_FILE,
    LEXICAL,
    PASSAGES_FILE,
    CorpusInfo,
    IndexInfo,
    check_corpus,
    open_info,
    read_info,
)
from toolkit.retrieval.lexical import VERSION, LexicalRetriever

SCHEMA = pa.schema([("passage_id", pa.string()), ("title", pa.string()), ("text", pa.string())])
IDENTITY: Identity = {"name": LEXICAL, "revision": VERSION}
_BATCH = 10_000


def build_lexical(directory: Path, corpus: Corpus) -> IndexInfo:
    """Make the index of `corpus` in `directory`; a complete one is left as it is, one that was cut off is made anew.

    Raises:
        InputError: the directory holds something else, another corpus, or an index with an embedder.
    """
    check_directory(directory, IDENTITY)
    directory.mkdir(parents=True, exist_ok=True)
    info = IndexInfo(
        format=FORMAT,
        complete=False,
        corpus=CorpusInfo(name=corpus.name, digest=corpus.digest, n_passages=corpus.n_passages),
        embedder_source=LEXICAL,
        embedder=IDENTITY,
    )
    with lock(directory):
        if (directory / INFO_FILE).exists():
            info = read_info(directory)
            check_corpus(directory, info, corpus)
            if info.complete:
                return info
        else:
            # First of all: by this the next call knows what a kill has left.
            write_info(directory, info)
        building = directory / f".{PASSAGES_FILE}.tmp"
        passages = corpus.passages()
        with pq.ParquetWriter(building, SCHEMA, compression="zstd") as table:
            while batch := list(islice(passages, _BATCH)):
                table.write_table(pa.Table.from_pylist([_row(passage) for passage in batch], schema=SCHEMA))
        sync_file(building)
        building.replace(directory / PASSAGES_FILE)
        info = info.model_copy(update={"complete": True})
        write_info(directory, info)
        return info


def open_lexical(directory: Path) -> LexicalRetriever:
    """A retriever over the index in `directory`; its passages are read at the first search.

    Raises:
        InputError: no index, or one that is not complete.
    """
    info = open_info(directory)

    def load() -> list[Passage]:
        try:
            rows = pq.read_table(directory / PASSAGES_FILE, schema=SCHEMA).to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise RunError(f"{directory / PASSAGES_FILE}: cannot be read: {error}") from error
        return [Passage(row["title"], row["text"], row["passage_id"]) for row in rows]

    return LexicalRetriever(load, info.identity)


def _row(passage: Passage) -> dict[str, object]:
    values = asdict(passage)
    return {name: values[name] for name in SCHEMA.names}
