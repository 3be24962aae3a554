"""`toolkit index`: passages into a directory that `generate`, `ask` and `evaluate` search.

The road of the data: passages of a source → a check of every one → vectors, batch by
batch → one Chroma collection. Invariant: a bad passage is found before anything is
embedded; whatever ends the command, the same command goes on where it stopped.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from toolkit.cli.option_checks import check_counts
from toolkit.cli.options import AsJson
from toolkit.cli.output import note, print_json, print_table, progress
from toolkit.contracts import Identity, Passage
from toolkit.errors import InputError
from toolkit.formats.records import Record, file_name, iter_records
from toolkit.retrieval.build import DEFAULT_BATCH, IndexBuild, check_directory
from toolkit.retrieval.corpus import Corpus, Entry, survey
from toolkit.retrieval.embedder import BUNDLED, Embedder, load_embedder
from toolkit.retrieval.index import LEXICAL
from toolkit.retrieval.lexical_index import IDENTITY, build_lexical
from toolkit.retrieval.passages import read_passages
from toolkit.tasks.minipedia import Minipedia, parse_spec
from toolkit.tasks.source import is_minipedia


@dataclass(frozen=True, slots=True)
class Indexed:
    """What an indexing did."""

    corpus: Corpus
    embedder: Identity
    n_embedded: int
    """Passages embedded by this call; the others were in the directory already."""
    embed_s: float
    store_s: float


def file_corpus(path: Path, *, skip_bad: bool = False) -> Corpus:
    """Check the passages of a file, whose form is told by its content.

    Raises:
        InputError: the file cannot be read, holds no passage, or holds bad ones and `skip_bad` is not given.
    """

    def entries() -> Iterator[Entry]:
        return read_passages(iter_records(path), path)

    def entries_with_progress() -> Iterator[Entry]:
        with progress(f"check {path.name}", path.stat().st_size, unit="bytes") as advance:

            def told() -> Iterator[Record]:
                for record in iter_records(path):
                    advance(record.end_byte)
                    yield record

            yield from read_passages(told(), path)

    if not path.exists():
        raise InputError(f"{path}: no such file")
    corpus = survey(file_name(path), entries_with_progress, skip_bad=skip_bad)
    return replace(corpus, entries=entries)


def minipedia_corpus(spec: str) -> Corpus:
    """The articles of the world that the questions `spec` are about.

    Raises:
        InputError: `spec` names no Minipedia.
    """
    wanted = parse_spec(spec)
    world = Minipedia(wanted.seed, wanted.size)

    def passages() -> Iterator[Entry]:
        return (Passage(article.title, article.text) for article in world.articles(wanted.split))

    return survey(spec, passages)


def index_corpus(corpus: Corpus, directory: Path, embedder: Embedder, *, batch_size: int = DEFAULT_BATCH) -> Indexed:
    """Build the index of `corpus` in `directory`, or finish what an earlier call began there, with progress bars.

    Raises:
        InputError: the directory holds something else, another corpus, or vectors of another embedder.
    """
    with IndexBuild(directory, corpus, embedder) as build:
        before = build.n_embedded
        started = time.monotonic()
        with progress("embed", corpus.n_passages - before, unit="passages") as advance:
            found = f"{before:,} were there" if before else ""
            build.embed(batch_size=batch_size, progress=lambda done: advance(done - before, found))
        embedded = time.monotonic()
        with progress("store", corpus.n_passages, unit="passages") as advance:
            build.store(progress=lambda done: advance(done))
    return Indexed(
        corpus, embedder.identity, corpus.n_passages - before, embedded - started, time.monotonic() - embedded
    )


def index_command(
    passages: str,
    /,
    *,
    index: Annotated[Path, Parameter(help="Directory of the index; made if there is none.")],
    embedder: Annotated[str, Parameter(help="minilm, lexical, or the name or path of an E5 model.")] = BUNDLED,
    skip_bad: Annotated[bool, Parameter(negative="", help="Leave out passages that cannot be read.")] = False,
    batch_size: Annotated[int, Parameter(help="Passages embedded between two writes to disk.")] = DEFAULT_BATCH,
    json: AsJson = False,
) -> None:
    """Make passages searchable; a build that was interrupted goes on where it stopped.

    Args:
        passages: JSONL, a JSON array or Parquet with title and text, {title: [sentences]}, or wiki-18; or a
            Minipedia such as minipedia:train, whose articles are generated.
        index: Directory of the index; made if there is none.
        embedder: minilm (bundled, no download), or the name or path of an E5 model such as intfloat/e5-base-v2; or
            lexical: words are compared and nothing is embedded, which takes seconds and finds what has a name.
        skip_bad: Leave out passages that cannot be read instead of stopping.
        batch_size: Passages embedded between two writes to disk.
        json: Print one JSON document.
    """
    check_counts(batch_size=batch_size)
    loaded = None if embedder == LEXICAL else load_embedder(embedder)
    check_directory(index, loaded.identity if loaded else IDENTITY)
    generated = is_minipedia(passages)
    corpus = minipedia_corpus(passages) if generated else file_corpus(Path(passages), skip_bad=skip_bad)
    if loaded is None:
        started = time.monotonic()
        build_lexical(index, corpus)
        done = Indexed(corpus, IDENTITY, 0, 0.0, time.monotonic() - started)
    else:
        done = index_corpus(corpus, index, loaded, batch_size=batch_size)
    _print(done, index, json)


def _print(done: Indexed, index: Path, json: bool) -> None:
    corpus = done.corpus
    if json:
        print_json(
            {
                "index": str(index),
                "corpus": {"name": corpus.name, "digest": corpus.digest},
                "embedder": done.embedder,
                "passages": corpus.n_passages,
                "duplicates": corpus.n_duplicates,
                "skipped": corpus.n_skipped,
                "embedded_now": done.n_embedded,
                "embed_s": done.embed_s,
                "store_s": done.store_s,
            }
        )
        return
    for fault in corpus.faults:
        note(f"left out: {fault}")
    if corpus.n_skipped > len(corpus.faults):
        note(f"… and {corpus.n_skipped - len(corpus.faults):,} more")
    columns = ["corpus", "passages", "duplicates", "left out", "embedded now", "passages/s", "embedder"]
    rate = done.n_embedded / done.embed_s if done.n_embedded and done.embed_s else None
    counts = [corpus.n_passages, corpus.n_duplicates, corpus.n_skipped, done.n_embedded]
    print_table(columns, [[corpus.name, *counts, rate, done.embedder["name"]]])
    note(f"next: toolkit generate --tasks TASKS --index {index}")
