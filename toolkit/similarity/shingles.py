"""Texts as sets of shingles: hashes of `size` words in a row, for comparing texts by Jaccard.

A word is a run of letters, digits and underscores, whatever its case; a character of a script without spaces and an
operator such as `+` are words by themselves; other punctuation and spacing say nothing. A text is padded on both sides,
so that its first and last words weigh as much as the others and a text of one word has shingles, too.
Invariant: equal words give equal hashes on every machine and in every process, whatever stands in the same batch.
All of it is arithmetic on whole batches in numpy: hashing words one by one in Python would cost ten times as much.
Not covered: two different shingles get the same 64-bit hash once in 10^19; nobody is kept from making such a pair.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

VERSION = f"words@1 unicode={unicodedata.unidata_version}"
"""Belongs to the scheme of stored sketches: Python's idea of a letter changes with Unicode."""
BATCH_CHARS = 1 << 18
"""Characters that are worked on at once; arrays of that length stay in the processor's cache."""

_OPERATORS = "+-*/<>=%&|^~@"
_ALONE = ((0x0E00, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x9FFF), (0xF900, 0xFAFF))
"""Thai to Tibetan, Myanmar, Khmer, and Chinese and Japanese in their several blocks: no spaces between words."""
_SEPARATOR, _PART, _WHOLE = 0, 1, 2
_R = np.uint64(0x9E3779B97F4A7C15)
_R_INVERSE = np.uint64(pow(0x9E3779B97F4A7C15, -1, 1 << 64))
_N = np.uint64(0xD6E8FEB86659FD93)


def shingles(texts: Sequence[str], size: int) -> tuple[Hashes, NDArray[np.int64]]:
    """Shingles of all texts, one after the other, and where each text's begin and the last one's end.

    A text of n words has n + size - 1 shingles, repeated ones included; a text without words has none.
    """
    hashes: list[Hashes] = []
    counts: list[NDArray[np.int64]] = []
    for batch in _batches(texts):
        found, count = _batch(batch, size)
        hashes.append(found)
        counts.append(count)
    offsets = np.zeros(len(texts) + 1, dtype=np.int64)
    if texts:
        np.cumsum(np.concatenate(counts), out=offsets[1:])
    return np.concatenate(hashes) if hashes else np.zeros(0, dtype=np.uint64), offsets


def shingle_sets(texts: Sequence[str], size: int) -> list[Hashes]:
    """The set of shingles of each text, sorted."""
    hashes, offsets = shingles(texts, size)
    return [np.unique(hashes[start:stop]) for start, stop in zip(offsets[:-1], offsets[1:], strict=True)]


def shared(left: Hashes, right: Hashes) -> int:
    """How many shingles two sets of `shingle_sets` have in common."""
    both = np.concatenate((left, right))
    both.sort()
    return int(np.count_nonzero(both[1:] == both[:-1]))


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    start, chars = 0, 0
    for index, text in enumerate(texts):
        if chars and chars + len(text) > BATCH_CHARS:
            yield texts[start:index]
            start, chars = index, 0
        chars += len(text)
    if start < len(texts):
        yield texts[start:]


def _batch(texts: Sequence[str], size: int) -> tuple[Hashes, NDArray[np.int64]]:
    words, counts = _words(texts)
    pads = size - 1
    # Neighbours share the padding between them: no shingle reaches past it.
    places = np.arange(len(words)) + pads * (1 + np.repeat(np.arange(len(texts)), counts))
    stream = np.zeros(len(words) + pads * (len(texts) + 1), dtype=np.uint64)
    stream[places] = words
    windows = len(stream) - pads
    hashes = stream[:windows].copy()
    for step in range(1, size):
        hashes *= _N
        hashes += stream[step : step + windows]
    owners = np.repeat(np.arange(len(texts)), counts + pads)
    return _mixed(hashes[counts[owners] > 0]), np.where(counts > 0, counts + pads, 0)


def _words(texts: Sequence[str]) -> tuple[Hashes, NDArray[np.int64]]:
    """The hash of each word of all texts, and the number of words in each text."""
    lowered = [text.lower() for text in texts]
    joined = "\n".join(lowered) + "\n"
    chars = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    kinds = _kinds()[np.minimum(chars, 0xFFFF)]
    before = np.concatenate(([_SEPARATOR], kinds[:-1]))
    starts = np.flatnonzero((kinds == _WHOLE) | ((kinds == _PART) & (before != _PART)))
    # A word ends where the next one starts or, if that is earlier, where a separator follows it.
    ends = np.flatnonzero((before == _WHOLE) | ((before == _PART) & (kinds != _PART)))
    # The sum of char · R^place over a word, divided by R^start: all words at once by one running sum.
    powers, inverses = _powers(1 << max(10, len(chars).bit_length()))
    sums = np.zeros(len(chars) + 1, dtype=np.uint64)
    np.cumsum(chars * powers[: len(chars)], out=sums[1:])
    hashes = (sums[ends] - sums[starts]) * inverses[starts]
    bounds = np.cumsum([len(text) + 1 for text in lowered])
    counts = np.diff(np.searchsorted(starts, bounds), prepend=0)
    return _mixed(hashes), counts


def _mixed(values: Hashes) -> Hashes:
    """Every bit of a value spread over all bits of its hash (splitmix64's finalizer); zero stays apart as padding."""
    mixed = values + _R
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


@cache
def _kinds() -> NDArray[np.uint8]:
    """What each character of the basic plane is; the last entry stands for all beyond it."""
    kinds = np.array([_PART if chr(code).isalnum() else _SEPARATOR for code in range(1 << 16)], dtype=np.uint8)
    kinds[ord("_")] = _PART
    # Marks go with the letters that they stand on.
    marks = [code for code in range(1 << 16) if unicodedata.category(chr(code)).startswith("M")]
    kinds[marks] = _PART
    for first, last in _ALONE:
        kinds[first : last + 1][kinds[first : last + 1] == _PART] = _WHOLE
    kinds[[ord(operator) for operator in _OPERATORS]] = _WHOLE
    kinds[-1] = _WHOLE
    return kinds


@cache
def _powers(length: int) -> tuple[Hashes, Hashes]:
    ones = np.ones(length, dtype=np.uint64)
    powers, inverses = ones.copy(), ones
    powers[1:] = _R
    inverses[1:] = _R_INVERSE
    return np.multiply.accumulate(powers), np.multiply.accumulate(inverses)
