"""A retriever in memory that needs no model: for worlds without weights, for tests, for exact names.

A passage whose title is the query comes first; the others follow by the cosine of their
TF-IDF vectors. Invariants: as for any retriever, best first, equal scores by passage id.
Not covered: other words for the same thing. Source: Salton and Buckley 1988.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

import numpy as np
from numpy.typing import NDArray

from toolkit.contracts import Identity, Passage
from toolkit.retrieval.corpus import survey

VERSION = 1
_WORD = re.compile(r"\w+")


class LexicalRetriever:
    """Implements `contracts.Retriever`; a search takes well under a millisecond in the caller's thread.

    The table takes seconds where passages are many: the first search has it made in a thread of its own, and only
    searches wait for it.
    """

    def __init__(self, load: Callable[[], list[Passage]], identity: Identity) -> None:
        """Search what `load` gives, distinct passages with ids, from the first search on."""
        self._load = load
        self._making: Future[_Table] | None = None
        self.identity = identity

    @classmethod
    def over(cls, passages: Iterable[Passage]) -> Self:
        """Search `passages`, of which equal ones count once.

        Raises:
            InputError: there is none.
        """
        given = list(passages)
        corpus = survey("passages", lambda: given)
        found = list(corpus.passages())
        identity: Identity = {
            "retriever": "lexical",
            "format": VERSION,
            "corpus": corpus.digest,
            "n_passages": corpus.n_passages,
        }
        return cls(lambda: found, identity)

    async def search(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        """The `k` best passages of each query, best first; passages that share no word with it are left out.

        Raises:
            ValueError: `k` is below 1.
            RunError: the passages cannot be read.
        """
        if k < 1:
            raise ValueError(f"expected k to be at least 1, got {k}")
        if self._making is None:
            self._making = self._make()
        # Shielded: a search that is given up must not take the table from the others.
        table = await asyncio.shield(asyncio.wrap_future(self._making))
        return [table.search(query, k) for query in queries]

    async def close(self) -> None:
        """Nothing to let go of."""

    def _make(self) -> Future[_Table]:
        maker = ThreadPoolExecutor(1, "lexical")
        made = maker.submit(lambda: _Table(self._load()))
        maker.shutdown(wait=False)
        return made


class _Table:
    """Which passages hold a word, and how much it says of each."""

    def __init__(self, passages: list[Passage]) -> None:
        self._passages = passages
        counts = [Counter(_words(f"{passage.title} {passage.text}")) for passage in passages]
        self._frequency = Counter(word for count in counts for word in count)
        self._titles: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for place, passage in enumerate(passages):
            self._titles[tuple(_words(passage.title))].append(place)
        postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for place, count in enumerate(counts):
            for word, weight in self._weights(count).items():
                postings[word].append((place, weight))
        self._places = {word: np.array([place for place, _ in found]) for word, found in postings.items()}
        self._values = {word: np.array([weight for _, weight in found]) for word, found in postings.items()}

    def search(self, query: str, k: int) -> list[Passage]:
        """The `k` best passages of one query."""
        words = _words(query)
        scores: NDArray[np.float64] = np.zeros(len(self._passages))
        for word, weight in self._weights(Counter(words)).items():
            scores[self._places[word]] += weight * self._values[word]
        if words:
            scores[self._titles.get(tuple(words), [])] = 1.0
        scores = scores.round(6)
        # All that reach the k-th best score, so that equal ones at the edge are ordered by id.
        least = np.partition(scores, -k)[-k] if k < len(scores) else 0.0
        found = [(float(scores[place]), self._passages[place]) for place in np.flatnonzero(scores >= max(least, 1e-6))]
        found.sort(key=lambda item: (-item[0], item[1].passage_id))
        return [Passage(passage.title, passage.text, passage.passage_id, score) for score, passage in found[:k]]

    def _weights(self, count: Counter[str]) -> dict[str, float]:
        """Unit vector of a text: (1 + log tf) · log(1 + N / df); words that no passage has weigh nothing."""
        known = {word: n for word, n in count.items() if word in self._frequency}
        weights = {
            word: (1 + math.log(n)) * math.log(1 + len(self._passages) / self._frequency[word])
            for word, n in known.items()
        }
        length = math.sqrt(math.fsum(weight**2 for weight in weights.values()))
        return {word: weight / length for word, weight in weights.items()}


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
