"""A build of an index that takes its time, to be killed: slow_build.py DIRECTORY PASSAGES DELAY_S BATCH_SIZE."""

from __future__ import annotations

import sys
from pathlib import Path

from word_embedder import WordEmbedder

from toolkit.contracts import Passage
from toolkit.retrieval.build import build_index
from toolkit.retrieval.corpus import Corpus, survey


def town_corpus(n_passages: int) -> Corpus:
    """Towns with a mayor each; always the same."""
    passages = [
        Passage(f"Town {n}", f"Town {n} lies on river {n % 7}. Its mayor is Person {n}.") for n in range(n_passages)
    ]
    return survey("towns", lambda: passages)


if __name__ == "__main__":
    _, directory, size, delay_s, batch = sys.argv
    embedder = WordEmbedder(delay_s=float(delay_s))
    build_index(Path(directory), town_corpus(int(size)), embedder, batch_size=int(batch))
