"""The tiny base model: its tokenizer, what it reads, and the one that is shipped."""

from __future__ import annotations

import random
import re
from itertools import islice

import pytest
from tiny_model import make_tiny_model

from toolkit.llm.local_weights import SHIPPED
from toolkit.tasks.minipedia import SYLLABLES, Minipedia
from toolkit.tasks.minipedia.names import side_of
from trainers.tiny import make
from trainers.tiny.asking import asking_chats
from trainers.tiny.check import exact_answers
from trainers.tiny.copying import copying_chat
from trainers.tiny.names import disguised
from trainers.tiny.reading import reading_chats
from trainers.tiny.working import working_chats

transformers = pytest.importorskip("transformers")
TEN_MB = 10_000_000


@pytest.fixture(scope="module")
def tokenizer():
    return transformers.AutoTokenizer.from_pretrained(SHIPPED)


@pytest.mark.parametrize("before", ["", " ", "'", "the "])
def test_a_name_is_its_syllables_wherever_it_stands(tokenizer, before):
    pieces = tokenizer.tokenize(f"{before}Ladrinva")
    assert pieces[-3:] == ["La", "drin", "va"]


def test_every_syllable_and_every_pair_of_digits_is_one_token(tokenizer):
    pieces = [*SYLLABLES, *(syllable.capitalize() for syllable in SYLLABLES), *(f"{pair:02}" for pair in range(100))]
    assert [piece for piece in pieces if piece not in tokenizer.get_vocab()] == []


def test_numbers_are_cut_from_the_left_into_pairs(tokenizer):
    assert tokenizer.tokenize("14354047 km, 156")[:4] == ["14", "35", "40", "47"]
    assert tokenizer.tokenize("156") == ["15", "6"]


def test_text_survives_the_tokenizer(tokenizer):
    article = next(iter(Minipedia(3, 200).articles("ood")))
    text = f"Thought: ünïcode 🙂 {article.text}\nCode:\n```py\nprint(web_search('{article.title}'))\n```"
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


def test_the_shipped_base_is_small():
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) <= TEN_MB


def test_the_shipped_base_has_learned_what_it_read():
    found = exact_answers(SHIPPED, chats=20)
    assert set(found) == {"reading", "asking", "working", "copying"}
    for kind, (right, total) in found.items():
        assert total > 20
        assert right / total > (0.75 if kind == "working" else 0.9)  # where an answer is several sentences


def test_an_answer_is_right_only_as_a_whole(tmp_path):
    make_tiny_model(tmp_path)
    assert [right for right, _ in exact_answers(tmp_path, chats=3).values()] == [0, 0, 0, 0]


def test_copying_asks_for_nothing_that_was_not_shown():
    draw = random.Random(5)
    for _ in range(200):
        chat = copying_chat(draw)
        shown = chat[0][1]
        for _, said in chat[1::2]:
            assert all(word.strip("'") in shown or word in "+-*/" for word in said.split())


def test_reading_answers_stand_in_the_articles():
    for chat in islice(reading_chats(random.Random(5)), 200):
        articles = chat[0][1]
        assert all(answer in articles for _, answer in chat[1::2])


def test_questions_are_taken_apart_in_their_own_words_and_asked_once_the_answers_are_told():
    named = re.compile(r"(?<=.)\b[A-Z]\w+")  # names: not the first word of a question
    for chat in islice(asking_chats(random.Random(5)), 300):
        (_, question), (_, parts), *later = chat
        apart = re.sub(r"\(result \d\)", "", parts)
        assert set(named.findall(apart)) <= set(named.findall(f"is {question}"))
        told = {word for role, text in later if role == "user" for word in named.findall(text)}
        said = [text for role, text in later if role == "assistant"]
        assert not [text for text in said if "(result" in text]
        assert {word for text in said for word in named.findall(text)} <= told | set(named.findall(f"is {question}"))
        assert ("(result" in parts) == bool(later)


def test_a_question_is_worked_off_article_by_article():
    lengths = set()
    for chat in islice(working_chats(random.Random(5)), 300):
        said = [text for role, text in chat if role == "assistant"]
        lengths.add(len(said))
        read = ""
        for role, text in chat:
            read += f"{text}\n" if role == "user" else ""
            results = re.findall(r"\? (?!Then)([^?]*?) \(result \d\)\.", text) if role == "assistant" else []
            assert all(result in read for result in results)
        assert not re.search("print|search|Code|final", "".join(said))
        assert "Then " not in said[-1]
        assert all("Then " in text for text in said[:-1])
    assert lengths >= {2, 3, 4, 5}


def test_disguised_chats_are_the_same_about_somebody_else():
    draw = random.Random(2)
    for chat in islice(reading_chats(draw), 100):
        other = disguised(chat, draw)
        assert [role for role, _ in other] == [role for role, _ in chat]
        articles = other[0][1]
        assert all(answer in articles for _, answer in other[1::2])
        assert other != chat
    (_, said), (_, answer) = disguised([("user", "Lake Badu is 1234 m, 100 percent"), ("assistant", "Badu 1234")], draw)
    name, number = answer.split()
    assert said == f"Lake {name} is {number} m, 100 percent"


def test_no_name_of_an_unseen_world_is_read():
    draw = random.Random(1)
    chats = [chat for found in (reading_chats, asking_chats, working_chats) for chat in islice(found(draw), 300)]
    chats += [disguised(chat, draw) for chat in chats] + [copying_chat(draw) for _ in range(300)]
    words = {word for chat in chats for _, text in chat for word in text.split()}
    made_of_syllables = re.compile(rf"(?:{'|'.join(SYLLABLES)}){{2,3}}", re.IGNORECASE)
    unseen = {article.title.split()[-1] for article in Minipedia(1, 2_000).articles("ood")}
    names = {word for word in unseen if made_of_syllables.fullmatch(word) and side_of(word) == 1}
    assert len(names) > 500
    assert not names & {word.strip(".,'?") for word in words}


@pytest.mark.slow
def test_a_base_is_read_back_with_the_tokens_it_was_trained_on_and_can_read_on(tmp_path, monkeypatch):
    """transformers replaces the tokenizer of some kinds of models by one of its own, without a word."""
    monkeypatch.setattr(make, "COPYING_FIRST", 3)
    made = make.make_base(tmp_path / "base", tokens=8_000)
    again = make.make_base(tmp_path / "more", tokens=8_000, seed=1, start=tmp_path / "base")
    assert made.steps > 3
    assert again.steps > 3
    text = "The River Ladrinva is 14354047 km long."
    reloaded = transformers.AutoTokenizer.from_pretrained(tmp_path / "more")
    assert reloaded.tokenize(text)[:7] == ["The", "Ġ", "River", "Ġ", "La", "drin", "va"]
    assert [piece for piece in reloaded.tokenize(text) if piece.isdigit()] == ["14", "35", "40", "47"]
    before, after = (
        transformers.AutoModelForCausalLM.from_pretrained(tmp_path / name).get_input_embeddings().weight
        for name in ("base", "more")
    )
    assert before.shape == after.shape
    assert not before.equal(after)
