"""`web_search` over any retriever."""

import asyncio
from collections.abc import Sequence

import pytest

from toolkit.contracts import Identity, Passage
from toolkit.sandbox import Sandbox
from toolkit.tools import web_search

PASSAGES = [
    Passage("Paris\n", "Paris is the capital\nof France.", "p1", 0.9),
    Passage("Seine", "  The Seine flows through Paris. ", "p2", 0.5),
    Passage("Rouen", "Rouen lies on the Seine.", "p3", 0.4),
]


class WordRetriever:
    """Passages that hold a word of the query."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[str], int]] = []

    @property
    def identity(self) -> Identity:
        return {"corpus": "three passages"}

    async def search(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        self.asked.append((list(queries), k))
        return [[p for p in PASSAGES if any(w in p.text for w in query.split())][:k] for query in queries]

    async def close(self) -> None:
        pass


def searched(query: str, k: int = 3) -> object:
    async def main() -> object:
        return await web_search(WordRetriever(), k=k).call(query)

    return asyncio.run(main())


def test_passages_are_numbered_with_title_and_text() -> None:
    assert searched("Seine") == "[1] Seine\nThe Seine flows through Paris.\n[2] Rouen\nRouen lies on the Seine."
    assert searched("capital") == "[1] Paris\nParis is the capital\nof France."


def test_k_passages_are_asked_for() -> None:
    retriever = WordRetriever()

    async def main() -> object:
        return await web_search(retriever, k=1).call("Paris")

    assert str(asyncio.run(main())).count("[") == 1
    assert retriever.asked == [(["Paris"], 1)]


def test_no_passage_is_said_in_words() -> None:
    assert searched("Loire") == "No passage was found for 'Loire'. Try other words."


def test_the_prompt_shows_one_parameter() -> None:
    search = web_search(WordRetriever())
    assert (search.name, search.signature, search.effect) == ("web_search", "web_search(query: str) -> str", "read")
    assert "query: What to look for" in search.description


@pytest.mark.parametrize(
    ("code", "error"), [("web_search('  ')", "the query is empty"), ("web_search()", "web_search(query: str)")]
)
def test_a_bad_query_is_told_to_the_model(code: str, error: str) -> None:
    async def main() -> str:
        search = web_search(WordRetriever())
        async with Sandbox({search.name: search}, modules=["math"]) as sandbox:
            return str((await (await sandbox.open()).run(code)).error)

    assert error in asyncio.run(main())
