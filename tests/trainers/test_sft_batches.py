from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainers.sft.batches import TokenBatches

LENGTHS = [10 + (index * 37) % 90 for index in range(400)]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=60), st.integers(1, 3), st.integers(0, 9))
def test_every_row_comes_once_an_epoch_in_batches_within_the_limit(lengths: list[int], epochs: int, seed: int) -> None:
    batches = list(TokenBatches(lengths, tokens=200, epochs=epochs, seed=seed))
    assert Counter(row for batch in batches for row in batch) == Counter({row: epochs for row in range(len(lengths))})
    assert all(len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= 200 for batch in batches)


def test_batches_hold_rows_of_like_length_and_are_not_in_order_of_length() -> None:
    batches = list(TokenBatches(LENGTHS, tokens=500, epochs=1, seed=0))
    padded = sum(len(batch) * max(LENGTHS[row] for row in batch) for batch in batches)
    assert padded < 1.1 * sum(LENGTHS)
    longest = [max(LENGTHS[row] for row in batch) for batch in batches]
    rising = sum(one <= other for one, other in zip(longest, longest[1:], strict=False))
    assert 0.3 * len(longest) < rising < 0.7 * len(longest)


def test_the_order_depends_on_the_seed_only() -> None:
    first, same, other = (list(TokenBatches(LENGTHS, tokens=500, epochs=2, seed=seed)) for seed in (1, 1, 2))
    assert first == same != other


def test_a_primer_opens_the_training_and_stays_a_share_of_it() -> None:
    batches = TokenBatches(
        LENGTHS, tokens=500, epochs=1, seed=0, primer=[40] * 50, primer_batches=7, primer_share=0.2
    ).batches
    is_primer = [min(batch) >= len(LENGTHS) for batch in batches]
    assert all(is_primer[:7])
    assert sum(is_primer[7:]) / len(is_primer[7:]) == pytest.approx(0.2, abs=0.03)
    assert all(is_one == (max(batch) >= len(LENGTHS)) for batch, is_one in zip(batches, is_primer, strict=True))


def test_part_of_an_epoch_is_part_of_the_batches_and_processes_get_as_many() -> None:
    whole, part = (len(TokenBatches(LENGTHS, tokens=500, epochs=epochs, seed=0)) for epochs in (1, 1.5))
    assert part == whole + round(0.5 * whole)
    assert len(TokenBatches(LENGTHS, tokens=500, epochs=1, seed=0, multiple=8)) % 8 == 0
