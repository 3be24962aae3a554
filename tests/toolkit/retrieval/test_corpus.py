"""The check of a corpus before it is indexed."""

from __future__ import annotations

import pytest

from toolkit.contracts import Passage
from toolkit.errors import InputError, RecordError
from toolkit.retrieval.corpus import Corpus, Entry, survey

ORLA = Passage("Orla", "Orla is a town.")
MIRA = Passage("Mira", "Mira is a lake.")
FAULT = RecordError('"text" is missing', path="x.jsonl", position=41)


def corpus_of(*entries: Entry, skip_bad: bool = False) -> Corpus:
    return survey("x.jsonl", lambda: entries, skip_bad=skip_bad)


def test_a_bad_passage_stops_everything_and_is_named_by_line() -> None:
    with pytest.raises(InputError, match=r'(?s)1 records cannot.*line 41 of x.jsonl: "text" is missing.*--skip-bad'):
        corpus_of(ORLA, FAULT, MIRA)


def test_of_many_bad_passages_a_few_are_shown_and_all_are_counted() -> None:
    with pytest.raises(InputError, match="… and 1,995 more") as refusal:
        corpus_of(ORLA, *[FAULT] * 2000)
    assert str(refusal.value).count("line 41") == 5


def test_bad_passages_are_left_out_and_counted_when_asked() -> None:
    corpus = corpus_of(ORLA, FAULT, MIRA, FAULT, skip_bad=True)
    assert [passage.title for passage in corpus.passages()] == ["Orla", "Mira"]
    assert (corpus.n_passages, corpus.n_skipped) == (2, 2)
    assert corpus.digest == corpus_of(ORLA, MIRA).digest


def test_an_empty_corpus_is_refused() -> None:
    with pytest.raises(InputError, match=r"x.jsonl: holds no passage; line 41 of x.jsonl"):
        corpus_of(FAULT, skip_bad=True)


def test_equal_passages_appear_once() -> None:
    corpus = corpus_of(ORLA, MIRA, ORLA)
    assert [passage.title for passage in corpus.passages()] == ["Orla", "Mira"]
    assert (corpus.n_passages, corpus.n_duplicates) == (2, 1)


def test_ids_come_from_the_content_and_from_nothing_else() -> None:
    (first,) = corpus_of(Passage("Orla", "Orla is a town.", "given")).passages()
    (second,) = corpus_of(ORLA).passages()
    (other,) = corpus_of(Passage("Orla", "Orla is a city.")).passages()
    assert first.passage_id == second.passage_id != other.passage_id


def test_the_digest_tells_content_and_order() -> None:
    digests = {
        corpus_of(*entries).digest
        for entries in [(ORLA, MIRA), (MIRA, ORLA), (ORLA,), (ORLA, Passage("Mira", "Mira is a sea."))]
    }
    assert len(digests) == 4


def test_a_source_that_changes_after_the_check_is_noticed() -> None:
    entries = [ORLA, MIRA]
    corpus = survey("x.jsonl", lambda: list(entries))
    entries.pop()
    with pytest.raises(InputError, match="changed while it was being indexed"):
        list(corpus.passages())
