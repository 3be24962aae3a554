"""The retriever without a model."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.contracts import Passage, Retriever
from toolkit.errors import InputError, RunError
from toolkit.retrieval.build import check_directory
from toolkit.retrieval.corpus import Corpus, survey
from toolkit.retrieval.index import open_retriever
from toolkit.retrieval.lexical import LexicalRetriever
from toolkit.retrieval.lexical_index import build_lexical

PASSAGES = [
    Passage("Orla", "Orla is a town on the river Ven. Its mayor is Ada Brandt."),
    Passage("Ven", "The Ven is a river; it passes the town of Orla and the lake Mira."),
    Passage("Mira", "Mira is a lake with a town called Orla nearby, Orla of the mayor."),
    Passage("Ada Brandt", "Ada Brandt is a chemist who was born in Tolm."),
]


def search(query: str, k: int = 3) -> list[Passage]:
    retriever: Retriever = LexicalRetriever.over(PASSAGES)
    (found,) = asyncio.run(retriever.search([query], k))
    return found


@pytest.mark.parametrize("title", [passage.title for passage in PASSAGES])
def test_a_title_finds_its_passage_first_with_score_1(title: str) -> None:
    for query in (title, f"  {title.upper()}?"):
        assert (search(query)[0].title, search(query)[0].score) == (title, 1.0)


def test_a_question_finds_the_passage_that_shares_its_rare_words() -> None:
    assert search("Where was the chemist Ada born?")[0].title == "Ada Brandt"
    assert search("Which river passes the lake?")[0].title == "Ven"


def test_passages_that_share_no_word_are_left_out() -> None:
    assert search("zebra") == []
    assert search("?!") == []
    assert [passage.title for passage in search("chemist", k=10)] == ["Ada Brandt"]


def test_others_go_on_while_the_table_is_made_once_for_all_searches() -> None:
    may_load = threading.Event()
    loads = []

    def load() -> list[Passage]:
        loads.append(threading.current_thread())
        assert may_load.wait(30), "called in the event loop, which alone can let it go on"
        return list(survey("passages", lambda: PASSAGES).passages())

    async def searches() -> list[list[list[Passage]]]:
        retriever = LexicalRetriever(load, {})
        given_up, *others = [asyncio.create_task(retriever.search(["Ven"], 1)) for _ in range(4)]
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait([given_up])
        assert given_up.cancelled()
        assert not any(task.done() for task in others)
        may_load.set()
        return [*await asyncio.gather(*others), await retriever.search(["Ven"], 1)]

    found = asyncio.run(searches())
    assert [passages[0][0].title for passages in found] == ["Ven"] * 4
    assert len(loads) == 1


@given(st.lists(st.sampled_from("orla ven mira ada brandt town river the lake".split()), min_size=1).map(" ".join))
def test_scores_are_cosines_in_descending_order_and_stable(query: str) -> None:
    found = search(query, k=10)
    order = [(-(passage.score or 0.0), passage.passage_id) for passage in found]
    assert order == sorted(order)
    assert all(0 < -score <= 1 for score, _ in order)
    assert found == search(query, k=10)
    assert search(query, k=2) == found[:2]


def test_a_passage_is_found_by_its_own_words_with_score_1() -> None:
    for passage in PASSAGES:
        best = search(f"{passage.title} {passage.text}")[0]
        assert (best.title, best.score) == (passage.title, 1.0)


def test_equal_passages_count_once_and_the_order_given_does_not_matter() -> None:
    doubled = LexicalRetriever.over([*PASSAGES, *PASSAGES])
    assert doubled.identity == LexicalRetriever.over(PASSAGES).identity
    backwards = LexicalRetriever.over(PASSAGES[::-1])
    assert asyncio.run(backwards.search(["the river"], 9)) == asyncio.run(doubled.search(["the river"], 9))


def test_bad_requests_are_refused() -> None:
    with pytest.raises(InputError, match="holds no passage"):
        LexicalRetriever.over([])
    with pytest.raises(ValueError, match="at least 1"):
        search("Orla", k=0)


def corpus(*passages: Passage) -> Corpus:
    return survey("towns", lambda: passages)


def test_an_index_of_words_answers_as_its_passages_do(tmp_path: Path) -> None:
    info = build_lexical(tmp_path / "index", corpus(*PASSAGES))
    retriever = open_retriever(tmp_path / "index")
    for query in ("Orla", "the river", "chemist", "zebra"):
        assert asyncio.run(retriever.search([query], 3)) == [search(query)]
    assert retriever.identity == info.identity
    assert info.identity["retriever"] == "lexical"


def test_an_index_of_words_is_made_once_and_holds_one_corpus(tmp_path: Path) -> None:
    first = build_lexical(tmp_path, corpus(*PASSAGES))
    before = (tmp_path / "passages.parquet").stat().st_mtime_ns
    assert build_lexical(tmp_path, corpus(*PASSAGES)) == first
    assert (tmp_path / "passages.parquet").stat().st_mtime_ns == before
    with pytest.raises(InputError, match="give each corpus an --index of its own"):
        build_lexical(tmp_path, corpus(*PASSAGES[1:]))
    assert asyncio.run(open_retriever(tmp_path).search(["Orla"], 1))[0][0].title == "Orla"


KILLED_HALFWAY = """
import os, sys
from pathlib import Path
from toolkit.contracts import Passage
from toolkit.retrieval.corpus import survey
from toolkit.retrieval.lexical_index import build_lexical
reads = []
def passages():
    reads.append(True)
    yield Passage("Orla", "Orla is a town.")
    if len(reads) > 1:
        os._exit(9)
    yield Passage("Ven", "The Ven is a river.")
build_lexical(Path(sys.argv[1]), survey("towns", passages))
"""


def test_an_index_of_words_that_was_cut_off_says_so_and_is_made_by_the_same_call(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED_HALFWAY, str(tmp_path / "index")], check=False)
    assert done.returncode == 9
    with pytest.raises(InputError, match="is not complete; run `toolkit index`"):
        open_retriever(tmp_path / "index")
    towns = corpus(Passage("Orla", "Orla is a town."), Passage("Ven", "The Ven is a river."))
    assert build_lexical(tmp_path / "index", towns).complete
    assert asyncio.run(open_retriever(tmp_path / "index").search(["Ven"], 1))[0][0].title == "Ven"


def test_a_file_of_passages_that_is_not_ours_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "passages.parquet").write_bytes(b"mine")
    with pytest.raises(InputError, match="expected an index, an empty directory or nothing"):
        build_lexical(tmp_path, corpus(*PASSAGES))
    assert (tmp_path / "passages.parquet").read_bytes() == b"mine"


def test_a_damaged_index_of_words_says_so(tmp_path: Path) -> None:
    build_lexical(tmp_path, corpus(*PASSAGES))
    (tmp_path / "passages.parquet").write_bytes(b"PAR1")
    with pytest.raises(RunError, match=r"passages\.parquet: cannot be read"):
        asyncio.run(open_retriever(tmp_path).search(["Orla"], 1))


def test_words_and_vectors_do_not_mix_in_one_index(tmp_path: Path) -> None:
    build_lexical(tmp_path, corpus(*PASSAGES))
    with pytest.raises(InputError, match="made with the embedder lexical"):
        check_directory(tmp_path, {"name": "another", "revision": "1"})
