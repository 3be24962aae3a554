import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.similarity import shingles as module
from toolkit.similarity.shingles import shared, shingle_sets, shingles
from toolkit.similarity.spilled import Spilled


def plain_shingles(words: list[str], size: int) -> list[tuple[str, ...]]:
    padded = [""] * (size - 1) + words + [""] * (size - 1)
    return [tuple(padded[start : start + size]) for start in range(len(words) + size - 1)] if words else []


texts_of_words = st.lists(st.lists(st.sampled_from("ab ba abc é 漢 + x1 the".split()), max_size=12), max_size=8)


@given(texts_of_words, st.integers(1, 5))
def test_sets_are_those_of_a_plain_definition(rows: list[list[str]], size: int) -> None:
    sets = shingle_sets([", ".join(words) for words in rows], size)
    plain = [set(plain_shingles(words, size)) for words in rows]
    assert [len(found) for found in sets] == [len(expected) for expected in plain]
    for left, one in zip(sets, plain, strict=True):
        for right, other in zip(sets, plain, strict=True):
            assert shared(left, right) == len(one & other)


@given(st.lists(st.text(max_size=40), max_size=12), st.integers(1, 4))
def test_a_text_has_the_same_shingles_alone_and_among_others(texts: list[str], size: int) -> None:
    hashes, offsets = shingles(texts, size)
    for index, text in enumerate(texts):
        assert np.array_equal(hashes[offsets[index] : offsets[index + 1]], shingles([text], size)[0])


def test_batches_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"text {index} says {'much ' * index}" for index in range(30)]
    whole = shingles(texts, 3)
    monkeypatch.setattr(module, "BATCH_CHARS", 50)
    parts = shingles(texts, 3)
    assert all(np.array_equal(left, right) for left, right in zip(whole, parts, strict=True))


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("The answer, is (blue)!", "the ANSWER is blue", True),
        ("x+y", "x-y", False),
        ("a_b", "a b", False),
        ("naïve Straße", "NAÏVE STRASSE", False),
        ("café", "CAFÉ", True),
        ("漢字", "漢 字", True),
        ("हिन्दी", "हि न्दी", False),
        ("3.14", "3.15", False),
        ("🙂", "🙃", False),
        ("one two three", "three two one", False),
    ],
)
def test_what_words_are(left: str, right: str, same: bool) -> None:
    one, other = shingle_sets([left, right], 2)
    assert np.array_equal(one, other) == same


@pytest.mark.parametrize("nothing", ["", " \n\t", "...!?", "()"])
def test_a_text_without_words_has_no_shingles(nothing: str) -> None:
    assert [len(found) for found in shingle_sets([nothing, "word", nothing], 3)] == [0, 3, 0]


def test_hashes_are_the_same_for_ever() -> None:
    """Stored sketches rest on them; another value needs another version of the scheme."""
    assert shingles(["Hello, 世 world"], 2)[0].tolist() == HELLO


HELLO = [1837500713300155877, 14944975545211645122, 5866476799052817320, 14777781013134278217]


def test_spilled_arrays_come_back_by_number() -> None:
    arrays = {7: np.arange(5, dtype=np.uint64), 2: np.zeros(0, dtype=np.uint64), 3: np.array([2**64 - 1], np.uint64)}
    with Spilled() as kept:
        for number, values in arrays.items():
            kept.put(number, values)
        assert all(np.array_equal(kept[number], values) for number, values in arrays.items())
