"""A retriever in memory that needs no model: for tests and tiny corpora.

A passage whose title is the query comes first; the others follow by the cosine of their
TF-IDF vectors. Invariants: as for any retriever, best first, equal scores by passage id.
Not covered: other words for the same thing. Source: Salton and Buckley 1988.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from toolkit.contracts import Identity, Passage
from toolkit.retrieval.corpus import survey

_WORD = re.compile(r"\w+")


class ExactRetriever:
    """Implements `contracts.Retriever`; everything happens in the caller's thread."""

    def __init__(self, passages: Iterable[Passage]) -> None:
        """Take distinct passages.

        Raises:
            InputError: there is none.
        """
        given = list(passages)
        corpus = survey("passages", lambda: given)
        self._passages = list(corpus.passages())
        self.identity: Identity = {
            "retriever": "exact",
            "format": 1,
            "corpus": corpus.digest,
            "n_passages": corpus.n_passages,
        }
        counts = [Counter(_words(f"{passage.title} {passage.text}")) for passage in self._passages]
        self._titles: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for place, passage in enumerate(self._passages):
            self._titles[tuple(_words(passage.title))].append(place)
        self._frequency = Counter(word for count in counts for word in count)
        self._places: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for place, count in enumerate(counts):
            for word, weight in self._weights(count).items():
                self._places[word].append((place, weight))

    async def search(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        """The `k` best passages of each query, best first; passages that share no word with it are left out.

        Raises:
            ValueError: `k` is below 1.
        """
        if k < 1:
            raise ValueError(f"expected k to be at least 1, got {k}")
        return [self._search(query, k) for query in queries]

    async def close(self) -> None:
        """Nothing to let go of."""

    def _search(self, query: str, k: int) -> list[Passage]:
        words = _words(query)
        scores: dict[int, float] = defaultdict(float)
        for word, weight in self._weights(Counter(words)).items():
            for place, other in self._places.get(word, ()):
                scores[place] += weight * other
        scores.update(dict.fromkeys(self._titles.get(tuple(words), ()) if words else (), 1.0))
        found = [(round(score, 6), self._passages[place]) for place, score in scores.items()]
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
