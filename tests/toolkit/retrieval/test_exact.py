"""The retriever without a model."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.contracts import Passage, Retriever
from toolkit.errors import InputError
from toolkit.retrieval.exact import ExactRetriever

PASSAGES = [
    Passage("Orla", "Orla is a town on the river Ven. Its mayor is Ada Brandt."),
    Passage("Ven", "The Ven is a river; it passes the town of Orla and the lake Mira."),
    Passage("Mira", "Mira is a lake with a town called Orla nearby, Orla of the mayor."),
    Passage("Ada Brandt", "Ada Brandt is a chemist who was born in Tolm."),
]


def search(query: str, k: int = 3) -> list[Passage]:
    retriever: Retriever = ExactRetriever(PASSAGES)
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
    doubled = ExactRetriever([*PASSAGES, *PASSAGES])
    assert doubled.identity == ExactRetriever(PASSAGES).identity
    backwards = ExactRetriever(PASSAGES[::-1])
    assert asyncio.run(backwards.search(["the river"], 9)) == asyncio.run(doubled.search(["the river"], 9))


def test_bad_requests_are_refused() -> None:
    with pytest.raises(InputError, match="holds no passage"):
        ExactRetriever([])
    with pytest.raises(ValueError, match="at least 1"):
        search("Orla", k=0)
