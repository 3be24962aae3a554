"""Searches of many at once: the same results, fewer calls, nobody harmed."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import pytest
from slow_build import town_corpus
from word_embedder import WordEmbedder

from toolkit.contracts import Passage, Retriever
from toolkit.errors import RunError
from toolkit.retrieval.build import build_index
from toolkit.retrieval.corpus import survey
from toolkit.retrieval.retriever import ChromaRetriever

SIZE = 60
QUERIES = [f"Who is the mayor of Town {n}?" for n in range(SIZE)]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("index")
    build_index(directory, town_corpus(SIZE), WordEmbedder())
    return directory


def titles(found: list[list[Passage]]) -> list[list[str]]:
    return [[passage.title for passage in passages] for passages in found]


def test_concurrent_searches_find_what_single_ones_find_with_fewer_calls(index: Path) -> None:
    async def search(embedder: WordEmbedder, *, together: bool) -> list[list[list[Passage]]]:
        async with ChromaRetriever(index, embedder) as retriever:
            if together:
                return list(await asyncio.gather(*(retriever.search([query], 3) for query in QUERIES)))
            return [await retriever.search([query], 3) for query in QUERIES]

    alone, together = WordEmbedder(), WordEmbedder()
    assert asyncio.run(search(together, together=True)) == asyncio.run(search(alone, together=False))
    assert len(alone.batches) == SIZE
    assert len(together.batches) == 1


def test_a_batch_has_at_most_its_size_and_keeps_the_order(index: Path) -> None:
    async def search() -> list[list[Passage]]:
        async with ChromaRetriever(index, embedder, max_batch=7) as retriever:
            return await retriever.search(QUERIES, 1)

    embedder = WordEmbedder()
    found = asyncio.run(search())
    assert [len(batch) for batch in embedder.batches] == [7] * 8 + [4]
    assert [text for batch in embedder.batches for text in batch] == QUERIES
    assert len(found) == SIZE


def test_equal_queries_are_embedded_once_and_kept(index: Path) -> None:
    async def search() -> None:
        async with ChromaRetriever(index, embedder) as retriever:
            first = await asyncio.gather(*(retriever.search(["Town 1", "Town 2", "Town 1"], 2) for _ in range(20)))
            assert all(found == first[0] for found in first)
            assert first[0][0] == first[0][2] != first[0][1]
            assert await retriever.search(["Town 2"], 2) == [first[0][1]]

    embedder = WordEmbedder()
    asyncio.run(search())
    assert embedder.batches == [["Town 1", "Town 2"]]


def test_results_are_the_callers_own(index: Path) -> None:
    async def search() -> None:
        async with ChromaRetriever(index, WordEmbedder()) as retriever:
            (first,) = await retriever.search(["Town 1"], 2)
            first.clear()
            assert len((await retriever.search(["Town 1"], 2))[0]) == 2

    asyncio.run(search())


def test_the_cache_forgets_what_was_not_asked_for_longest(index: Path) -> None:
    async def search() -> None:
        async with ChromaRetriever(index, embedder, cache_size=2) as retriever:
            for query in ["Town 1", "Town 2", "Town 1", "Town 3", "Town 1", "Town 2"]:
                await retriever.search([query], 1)

    embedder = WordEmbedder()
    asyncio.run(search())
    assert embedder.batches == [["Town 1"], ["Town 2"], ["Town 3"], ["Town 2"]]


def test_the_number_of_results_is_part_of_the_question(index: Path) -> None:
    async def search() -> list[list[list[Passage]]]:
        async with ChromaRetriever(index, embedder) as retriever:
            return list(await asyncio.gather(*(retriever.search(["Town 5"], k) for k in (1, 4, 1000))))

    embedder = WordEmbedder()
    (one,), (four,), (every,) = asyncio.run(search())
    assert (len(one), len(four), len(every)) == (1, 4, SIZE)
    assert one == four[:1] == every[:1]
    assert one[0].title == "Town 5"
    scores = [passage.score for passage in every if passage.score is not None]
    assert len(scores) == SIZE
    assert scores == sorted(scores, reverse=True)
    with pytest.raises(ValueError, match="at least 1"):
        asyncio.run(ChromaRetriever(index, embedder).search(["Town 5"], 0))


def test_equal_scores_are_ordered_by_id(tmp_path: Path) -> None:
    # The embedder sees words only: all of these are the same to it.
    passages = [Passage("", "the lake" + "." * n) for n in range(6)]
    corpus = survey("lakes", lambda: passages)
    build_index(tmp_path, corpus, WordEmbedder())

    async def search() -> list[list[list[Passage]]]:
        async with ChromaRetriever(tmp_path, WordEmbedder()) as retriever:
            return [await retriever.search(["the lake"], k) for k in (1, 3, 6)]

    ids = sorted(passage.passage_id for passage in corpus.passages())
    assert [[passage.passage_id for passage in found] for (found,) in asyncio.run(search())] == [ids[:1], ids[:3], ids]


def test_a_cancelled_caller_takes_nothing_from_the_others(index: Path) -> None:
    async def search() -> list[list[Passage]]:
        async with ChromaRetriever(index, WordEmbedder(delay_s=0.01)) as retriever:
            calls = [asyncio.create_task(retriever.search(["Town 7", f"Town {n}"], 1)) for n in range(4)]
            await asyncio.sleep(0)
            calls[0].cancel()
            calls[3].cancel()
            done = await asyncio.gather(*calls, return_exceptions=True)
            assert [isinstance(result, asyncio.CancelledError) for result in done] == [True, False, False, True]
            assert isinstance(done[1], list)
            return done[1]

    assert titles(asyncio.run(search())) == [["Town 7"], ["Town 1"]]


def test_an_error_reaches_every_caller_of_its_batch_and_nobody_after(index: Path) -> None:
    async def search() -> None:
        async with ChromaRetriever(index, WordEmbedder()) as retriever:
            calls = [retriever.search([query], 1) for query in ("Town 1", "unreadable")]
            done = await asyncio.gather(*calls, return_exceptions=True)
            assert [str(result) for result in done] == ["cannot embed this"] * 2
            assert titles(await retriever.search(["Town 1"], 1)) == [["Town 1"]]

    asyncio.run(search())


def test_an_error_that_nobody_waits_for_any_more_is_silent(index: Path) -> None:
    complaints: list[dict[str, object]] = []

    async def search() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        async with ChromaRetriever(index, WordEmbedder()) as retriever:
            call = asyncio.create_task(retriever.search(["unreadable"], 1))
            await asyncio.sleep(0)
            call.cancel()
        gc.collect()

    asyncio.run(search())
    assert complaints == []


def test_closing_finishes_what_is_asked_and_refuses_what_comes_after(index: Path) -> None:
    async def search() -> None:
        retriever = ChromaRetriever(index, WordEmbedder(delay_s=0.01))
        calls = [asyncio.create_task(retriever.search([query], 1)) for query in QUERIES[:5]]
        await asyncio.sleep(0)
        await retriever.close()
        assert all(call.done() for call in calls)
        with pytest.raises(RunError, match="after close"):
            await retriever.search(["Town 1"], 1)
        await retriever.close()

    asyncio.run(search())


def test_a_retriever_outlives_the_end_of_an_event_loop(index: Path) -> None:
    retriever = ChromaRetriever(index, WordEmbedder(delay_s=0.05))

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(retriever.search(["Town 1"], 1), 0.01)

    async def search() -> list[list[Passage]]:
        async with retriever:
            return await retriever.search(["Town 1", "Town 2"], 1)

    asyncio.run(give_up())
    assert titles(asyncio.run(search())) == [["Town 1"], ["Town 2"]]


def test_any_text_can_be_searched_for(index: Path) -> None:
    async def search() -> list[list[Passage]]:
        async with ChromaRetriever(index, WordEmbedder()) as retriever:
            return await retriever.search(["", "\ud800", "\x00", "Town 9 " * 100_000], 1)

    assert titles(asyncio.run(search()))[3] == ["Town 9"]


def test_a_damaged_index_is_an_error_that_names_it(tmp_path: Path) -> None:
    build_index(tmp_path, town_corpus(SIZE), WordEmbedder())
    (tmp_path / "chroma" / "chroma.sqlite3").write_bytes(b"not a database" * 1000)

    async def search() -> None:
        async with ChromaRetriever(tmp_path, WordEmbedder()) as retriever:
            await retriever.search(["Town 1"], 1)

    with pytest.raises(RunError, match=r"chroma: Chroma failed: .*remove the index"):
        asyncio.run(search())


def test_it_is_a_retriever(index: Path) -> None:
    retriever: Retriever = ChromaRetriever(index, WordEmbedder())
    assert retriever.identity["n_passages"] == SIZE
    assert retriever.identity["embedder"] == WordEmbedder().identity
    asyncio.run(retriever.close())
