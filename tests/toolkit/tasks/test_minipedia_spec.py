"""The names under which users ask for a Minipedia."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.errors import InputError
from toolkit.tasks.minipedia import SPLITS, Minipedia, Spec, Split, parse_spec


def test_a_bare_name_means_seed_0_and_2000_entities() -> None:
    assert parse_spec("minipedia:train") == Spec("train", seed=0, size=2000)


@settings(deadline=None)
@given(st.sampled_from(SPLITS), st.integers(0, 10**12), st.integers(50, 100_000))
def test_every_world_can_be_named(split: Split, seed: int, size: int) -> None:
    assert parse_spec(f"minipedia:{split}?size={size}&seed={seed}") == Spec(split, seed, size)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("musique:train", "names no Minipedia: expected a name such as minipedia:train"),
        ("minipedia", "names no Minipedia"),
        ("minipedia:", "has no split '': choose from train, test, ood"),
        ("minipedia:dev", "has no split 'dev'"),
        ("minipedia:train?sede=1", "'sede=1' is not a parameter"),
        ("minipedia:train?seed", "'seed' is not a parameter"),
        ("minipedia:train?seed=1&seed=2", "seed is given twice"),
        ("minipedia:train?seed=one", "seed is 'one', expected a whole number"),
        ("minipedia:train?seed=-1", "expected a whole number"),
        ("minipedia:train?size=²", "expected a whole number"),
        ("minipedia:train?size=10", "size goes from 50 to 100000"),
        ("minipedia:train?", None),
    ],
)
def test_a_wrong_name_is_refused_with_what_was_expected(text: str, message: str | None) -> None:
    if message is None:
        assert parse_spec(text) == Spec("train")
        return
    with pytest.raises(InputError, match=message.replace("?", r"\?")):
        parse_spec(text)


def test_articles_and_tasks_refuse_an_unknown_split_at_once() -> None:
    minipedia = Minipedia(size=50)
    for call in (minipedia.articles, minipedia.tasks, minipedia.maximum):
        with pytest.raises(InputError, match="no split 'dev'"):
            call("dev")
