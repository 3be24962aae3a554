from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.errors import InputError
from toolkit.similarity.near import MISSED, Neighbours, Thinned, bands
from toolkit.similarity.shingles import Hashes, shared
from toolkit.similarity.sketches import PERMUTATIONS, Workshop

Jaccards = st.sampled_from([0.3, 0.5, 0.8, 0.9, 1.0])
WORDS = "one two three four five six seven eight nine ten".split()


def thin(texts: list[str], jaccard: float, groups: list[int] | None = None) -> tuple[Thinned, list[Hashes]]:
    with Workshop(programs=False, workers=1) as workshop:
        made = list(workshop.sketches([text] for text in texts))
        sets = list(workshop.shingle_sets([text] for text in texts))
    sketches = np.concatenate([sketch for sketch, _ in made])
    present = np.concatenate([flags for _, flags in made])
    numbers = None if groups is None else np.array(groups)
    return Neighbours(sketches, present, numbers, jaccard).thin(sets.__getitem__), sets


def similarity(left: Hashes, right: Hashes) -> float:
    both = shared(left, right)
    return both / (len(left) + len(right) - both) if both else 0.0


def by_brute_force(sets: list[Hashes], jaccard: float) -> dict[int, tuple[int, float]]:
    """The nearest earlier row that stays, of each row that goes."""
    goes: dict[int, tuple[int, float]] = {}
    for row, mine in enumerate(sets):
        near = [(similarity(mine, sets[other]), -other) for other in range(row) if other not in goes]
        nearest = max(near, default=(0.0, 0))
        if nearest[0] >= jaccard:
            goes[row] = -nearest[1], nearest[0]
    return goes


@pytest.mark.parametrize("jaccard", [0.05, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0])
def test_bands_overlook_one_pair_in_a_thousand_at_most(jaccard: float) -> None:
    rows = bands(jaccard, PERMUTATIONS)
    assert rows == 1 or (1 - jaccard**rows) ** (PERMUTATIONS // rows) <= MISSED
    assert bands(1.0, PERMUTATIONS) == PERMUTATIONS


texts_with_edits = st.lists(st.lists(st.sampled_from(WORDS), min_size=0, max_size=14).map(" ".join), max_size=14)


@settings(deadline=None)
@given(texts_with_edits, Jaccards)
def test_the_choice_is_that_of_brute_force(texts: list[str], jaccard: float) -> None:
    if not texts:
        return
    # Sketches overlook a pair now and then, and with few shingles estimates are rough: what goes must be right ...
    thinned, sets = thin(texts, jaccard)
    for row, match in thinned.matches.items():
        assert match.keeper < row
        assert match.keeper not in thinned.matches
        assert match.jaccard == similarity(sets[row], sets[match.keeper]) >= jaccard
    # ... and what stays is overlooked only within what the bands allow, so equal rows never are.
    stays = [row for row in range(len(texts)) if row not in thinned.matches and len(sets[row])]
    for left, right in combinations(stays, 2):
        assert similarity(sets[left], sets[right]) < 1.0


def edited(words: list[str], random: np.random.Generator, share: float) -> list[str]:
    return [f"w{random.integers(10**6)}" if random.random() < share else word for word in words]


def planted(count: int, seed: int) -> list[str]:
    """Texts of 200 words and copies of them with more and more words replaced, shuffled."""
    random = np.random.default_rng(seed)
    texts = []
    for _ in range(count):
        words = [f"w{random.integers(3_000)}" for _ in range(200)]
        texts += [" ".join(edited(words, random, share)) for share in (0.0, 0.01, 0.03, 0.08, 0.3)]
    random.shuffle(texts)
    return texts


@pytest.mark.parametrize("jaccard", [0.5, 0.8, 0.95])
def test_planted_copies_go_exactly_as_by_brute_force(jaccard: float) -> None:
    texts = planted(60, seed=3)
    thinned, sets = thin(texts, jaccard)
    expected = by_brute_force(sets, jaccard)
    assert len(expected) > 20
    assert {row: (match.keeper, match.jaccard) for row, match in thinned.matches.items()} == expected


def test_nearness_is_not_passed_on() -> None:
    """The second row is near both others, which are not near each other."""
    words = [f"w{index}" for index in range(100)]
    first, last = " ".join(["x", "y", "z", *words]), " ".join([*words, "p", "q", "r"])
    middle = " ".join(words)
    assert set(thin([first, middle, last], 0.9)[0].matches) == {1}
    both = thin([first, last, middle], 0.9)[0]
    assert set(both.matches) == {2}
    assert both.clusters == {2: 3}
    assert set(thin([middle, first, last], 0.9)[0].matches) == {1, 2}


def test_groups_are_never_compared() -> None:
    texts = ["the same words"] * 4
    assert set(thin(texts, 1.0)[0].matches) == {1, 2, 3}
    assert {row: match.keeper for row, match in thin(texts, 1.0, [0, 1, 0, 1])[0].matches.items()} == {2: 0, 3: 1}


def test_rows_without_shingles_repeat_nothing() -> None:
    assert thin(["", "...", ""], 0.5)[0].matches == {}


def test_thousands_of_equal_rows_are_one_cluster() -> None:
    thinned, _ = thin(["all the same words here"] * 3_000, 0.8)
    assert len(thinned.matches) == 2_999
    assert set(thinned.clusters.values()) == {3_000}
    assert {match.keeper for match in thinned.matches.values()} == {0}


def test_processes_and_batches_do_not_show() -> None:
    texts = [[f"text {index}", "of two parts"] for index in range(2_500)]
    with Workshop(programs=False, workers=1) as alone, Workshop(programs=False, workers=2) as many:
        for name in ("sketches", "shingle_sets"):
            one, other = (list(getattr(workshop, name)(texts)) for workshop in (alone, many))
            if name == "sketches":
                one, other = [np.concatenate([sketch for sketch, _ in found]) for found in (one, other)]
            assert all(np.array_equal(left, right) for left, right in zip(one, other, strict=True))


def test_no_process_at_all_is_refused() -> None:
    with pytest.raises(InputError, match="workers=0"):
        Workshop(programs=False, workers=0)
