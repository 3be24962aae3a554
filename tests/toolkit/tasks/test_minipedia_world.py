"""The worlds and articles of a Minipedia: true, varied, unique names that never leak between worlds."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.errors import InputError
from toolkit.tasks.minipedia import Minipedia
from toolkit.tasks.minipedia.articles import write
from toolkit.tasks.minipedia.draws import Draws
from toolkit.tasks.minipedia.entity import Entity, text_of
from toolkit.tasks.minipedia.kinds import KINDS
from toolkit.tasks.minipedia.names import Namer, side_of
from toolkit.tasks.minipedia.profile import IN_DOMAIN, OUT_OF_DOMAIN
from toolkit.tasks.minipedia.world import World

TEMPLATE_WORDS = frozenset(
    word
    for kind in KINDS.values()
    for attribute in kind.attributes
    for template in (*attribute.facts, *(opening.text for opening in kind.openings), *kind.events, *kind.lookalikes)
    for word in re.findall(r"[A-Za-z]+", template)
)


@cache
def world() -> World:
    return World(0, 2000, IN_DOMAIN)


ENGLISH = frozenset(
    "Mount Lake River Academy College School Institute Works Company Brothers Industries Manufacturing Bridge Press "
    "Books Publishing House Editions The the A of for and from to Letters Leaving Road Songs Lantern Garden Winter "
    "Harbour Clockmaker Mirror Silence Feather Lighthouse Candle Last Silent Golden Hidden Broken "
    "Second Crooked Distant".split()
)
"""Everything in titles that is not invented."""


@pytest.mark.parametrize("size", [50, 20_000])
def test_titles_are_unique_and_there_are_size_articles(size: int) -> None:
    minipedia = Minipedia(seed=4, size=size)
    articles = list(minipedia.articles("train"))
    assert len(articles) == size
    assert len({article.title for article in articles}) == size
    assert articles == list(minipedia.articles("test"))


def test_a_world_of_a_hundred_thousand_has_unique_names() -> None:
    entities = World(9, 100_000, OUT_OF_DOMAIN).entities
    assert len({entity.name for entity in entities}) == 100_000


@pytest.mark.parametrize(("seed", "other"), [(0, 0), (5, 8)])
def test_no_invented_word_is_shared_between_in_domain_and_out_of_domain_worlds_of_any_seed(
    seed: int, other: int
) -> None:
    inside = {word for article in Minipedia(seed, 3_000).articles("train") for word in article.title.split()}
    for article in Minipedia(other, 3_000).articles("ood"):
        words = set(re.findall(r"\w+", f"{article.title} {article.text}"))
        assert not words & (inside - ENGLISH), article


def test_a_word_belongs_to_one_side() -> None:
    for side in (0, 1):
        namer = Namer(Draws("words"), side)
        words = [namer.word() for _ in range(5_000)]
        assert len(set(words)) == 5_000
        assert {side_of(word) for word in words} == {side}


def test_articles_have_three_to_six_sentences_and_name_their_title_first() -> None:
    lengths: Counter[int] = Counter()
    for entity in world().entities:
        article = write(world(), entity).article
        sentences = re.findall(r"[^.]+\.", article.text)
        lengths[len(sentences)] += 1
        assert entity.name in sentences[0]
        assert all(sentence.strip()[0].isupper() for sentence in sentences), article
        assert "{" not in article.text
        assert "  " not in article.text
    assert set(lengths) <= {3, 4, 5, 6}
    assert len(lengths) >= 3


def test_every_value_stands_verbatim_in_the_sentence_that_states_it() -> None:
    for entity in world().entities:
        page = write(world(), entity)
        assert page.sentences.keys() == entity.values.keys()
        for name, sentence in page.sentences.items():
            assert re.search(rf"\b{re.escape(text_of(entity.values[name]))}\b", sentence)
            assert sentence in page.article.text


def test_each_attribute_is_stated_in_many_wordings() -> None:
    wordings: dict[str, set[str]] = defaultdict(set)
    for entity in world().entities:
        for name, sentence in write(world(), entity).sentences.items():
            skeleton = " ".join(word for word in re.findall(r"[A-Za-z]+", sentence) if word in TEMPLATE_WORDS)
            wordings[f"{entity.kind.name}.{name}"].add(skeleton)
    assert len(wordings) == sum(len(kind.attributes) for kind in KINDS.values())
    assert min(len(found) for found in wordings.values()) >= 6


def test_articles_hold_numbers_and_names_that_are_not_the_answer() -> None:
    with_other_year = with_other_name = 0
    for entity in world().entities:
        text = write(world(), entity).article.text
        own = {text_of(value) for value in entity.values.values()}
        with_other_year += any(number not in own for number in re.findall(r"\b\d+\b", text))
        with_other_name += any(other.name in text and other.name not in own for other in world().by_kind["town"])
    assert with_other_year > 0.4 * 2000
    assert with_other_name > 0.2 * 2000


def test_pronouns_agree_and_articles_before_vowels_are_right() -> None:
    for entity in world().entities:
        text = write(world(), entity).article.text
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", text)
        assert not re.search(r"\bof (it|he|she)\b|s's\b", text)
        if entity.pronoun == "it":
            assert not re.search(r"\b([Hh]e|[Ss]he|[Hh]is|[Hh]er)\b", text)
        else:
            assert not re.search(r"\b[Hh]e\b" if entity.pronoun == "she" else r"\b[Ss]he\b", text)


def test_a_pronoun_never_follows_a_sentence_about_another_of_the_same_kind() -> None:
    names = {kind: {entity.name for entity in members} for kind, members in world().by_kind.items()}
    for entity in world().entities:
        sentences = re.findall(r"[^.]+\.", write(world(), entity).article.text)
        others = names[entity.kind.name] - {entity.name}
        for previous, following in zip(sentences, sentences[1:], strict=False):
            words = re.findall(r"\w+", previous)
            grams = {" ".join(words[i : i + n]) for n in (1, 2, 3) for i in range(len(words))}
            if grams & others:
                assert not re.match(r" (It|Its|He|His|She|Her)\b", following), (previous, following)


def test_histories_agree_with_each_other() -> None:
    def year(entity: Entity, name: str) -> int:
        return entity.number(name)

    for person in world().by_kind["person"]:
        if "spouse" in person.values:
            assert person.target("spouse").target("spouse") is person
        if "mentor" in person.values:
            assert year(person.target("mentor"), "born") < year(person, "born")
        assert year(person.target("school"), "founded") < year(person, "born")
        assert year(person.target("birthplace"), "founded") < year(person, "born")
    for kind, who, when in (
        ("company", "founder", "founded"),
        ("book", "author", "published"),
        ("bridge", "designer", "opened"),
        ("mountain", "climber", "climbed"),
    ):
        for entity in world().by_kind[kind]:
            assert 18 < year(entity, when) - year(entity.target(who), "born") < 75
            assert year(entity, when) <= 2020
    for book in world().by_kind["book"]:
        assert year(book.target("publisher"), "founded") < year(book, "published")
    for region in world().by_kind["region"]:
        assert region.target("capital").target("region") is region
    for bridge in world().by_kind["bridge"]:
        assert bridge.target("river") is bridge.target("town").target("river")


def test_people_never_do_things_before_they_are_grown_up() -> None:
    for person in world().by_kind["person"]:
        for text in re.findall(r"[^.]+\.", write(world(), person).article.text):
            if "born" not in text.lower():
                assert all(int(found) >= person.number("born") + 18 for found in re.findall(r"in (\d{4})\b", text))


def test_every_attribute_has_wordings_that_stack_and_numbers_that_grow_out_of_domain() -> None:
    for kind in KINDS.values():
        for attribute in kind.attributes:
            assert any(noun.endswith("{s}") for noun in attribute.nouns)
            assert len(attribute.questions) >= 3
            assert len(attribute.facts) >= 4
            if attribute.value == "number":
                assert attribute.large[0] > attribute.small[0] > 9
                assert attribute.large[1] > attribute.small[1]


@settings(deadline=None)
@given(st.integers(1, 10**6), st.integers(0, 50), st.text(max_size=5))
def test_magnitudes_stay_in_their_range(low: int, extra: int, key: str) -> None:
    high = low * (1 + extra)
    draws = Draws(key)
    assert all(low <= draws.magnitude(low, high) <= high for _ in range(20))


@pytest.mark.parametrize("size", [49, 100_001, -1])
def test_a_size_out_of_range_is_refused(size: int) -> None:
    with pytest.raises(InputError, match="size goes from 50 to 100000"):
        Minipedia(size=size)
