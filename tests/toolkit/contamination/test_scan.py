import pytest

from toolkit.contamination.hits import Hit, Segment
from toolkit.contamination.index import Index, Question
from toolkit.contamination.scan import find_in_rollout, find_in_task
from toolkit.contamination.words import exact_key, split
from toolkit.errors import InputError

PLANE = "A plane cuts a cube of side 6 through the midpoints of three edges that meet in no corner. Find its area."
SPREAD = "How many of the first 500 positive integers are the sum of two squares in more than one way, orders aside?"


def index_of(*questions: str, answers: tuple[str, ...] = (), others: tuple[str, ...] = ()) -> Index:
    return Index([Question("b", f"q{at}", text, answers) for at, text in enumerate(questions)], others=others)


def thought(text: str) -> list[Segment]:
    return [Segment("thought", text, 0)]


def summary(hits: list[Hit]) -> list[tuple[str, str, str]]:
    return [(hit.question_id, hit.kind, hit.match) for hit in hits]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"Find $\dfrac{1}{2}$ of 24,000.", r"find \frac{1}{2} of 24000"),
        (r"Solve $\left(x+1\right)^2 = 4$!", "solve (x + 1)^2=4"),
        ("Where was Émile born?", "WHERE  WAS EMILE BORN"),
        ("What is 7 − 3?", "what is 7-3"),
    ],
)
def test_typography_does_not_make_two_questions_different(one: str, other: str) -> None:
    assert exact_key(one) == exact_key(other)


def test_operators_make_two_questions_different() -> None:
    assert exact_key("What is 7 - 3?") != exact_key("What is 7 + 3?")


@pytest.mark.parametrize(
    "text", ["Über 1,234 Wörter", r"$\left(\dfrac{a}{b}\right)$ and 12", "漢字 and [asy]draw[/asy] x"]
)
def test_every_word_knows_where_it_stands(text: str) -> None:
    found = split(text)
    for word, (start, end) in zip(found.words, found.spans, strict=True):
        assert split(text[start:end]).words == [word]


def test_a_short_question_is_found_only_where_it_is_the_whole_task() -> None:
    index = index_of("What is 17 times 23?")
    assert summary(find_in_task(index, "what is 17 times 23")) == [("q0", "task", "exact")]
    assert find_in_task(index, "What is 17 times 23 apples?") == []


def test_a_run_of_words_is_found_in_a_longer_text_and_a_shorter_one_is_not() -> None:
    index, words = index_of(PLANE), PLANE.split()
    around = ("A teacher tells her class:", "What do they answer, and how long does it take them to see why?")
    assert summary(find_in_task(index, " ".join([around[0], *words[2:15], around[1]]))) == [("q0", "task", "ngram")]
    assert find_in_task(index, " ".join([around[0], *words[2:14], around[1]])) == []


def test_the_question_quoted_by_the_agent_counts_as_the_task() -> None:
    hits = find_in_rollout(index_of(PLANE), "Another task.", thought(f"Like this: {PLANE} So I sketch it."))
    assert summary(hits) == [("q0", "task", "ngram")]
    assert hits[0].text == PLANE.rstrip(".")


def test_copies_of_a_leaked_question_do_not_make_it_boilerplate() -> None:
    copies = tuple(PLANE.replace("6", str(side)) for side in range(7, 15))
    index = index_of(PLANE, others=copies)
    assert all(summary(find_in_task(index, copy)) == [("q0", "task", "near")] for copy in copies)


def test_a_phrase_that_many_questions_share_counts_little() -> None:
    phrase = "Give the result as a reduced fraction with a positive denominator and without any unit or explanation."
    benchmark = f"A die is thrown until two sixes came in a row. What is the chance of nine throws? {phrase}"
    other = f"Two ships sail from one port at right angles to each other. How much slower is the second? {phrase}"
    assert summary(find_in_task(index_of(benchmark), other)) == [("q0", "task", "ngram")]
    more = tuple(f"{start} {phrase}" for start in ("What is a third of a half of seven?", "Add up all.", "Halve five."))
    assert find_in_task(index_of(benchmark, others=(other, *more)), other) == []


def test_a_plain_answer_to_a_variant_of_a_problem_is_none_to_the_problem() -> None:
    index = index_of(SPREAD, answers=("12",))
    variant = "Which of the first 90 primes are sums of two different squares, and how many ways are there? It is 12."
    assert find_in_rollout(index, "", thought(variant)) == []
    said = "How many of the first 500 positive integers are the sum of two squares in more than one way? It is 12."
    assert ("q0", "answer", "answer") in summary(find_in_rollout(index, "", thought(said)))


def test_an_answer_that_the_task_itself_names_is_no_mention() -> None:
    index = index_of("Who built the bridge of Vell?", answers=("Hesper Quillvane",))
    said = thought("Hesper Quillvane is what I look for.")
    assert summary(find_in_rollout(index, "Who was his aunt?", said)) == [("q0", "answer", "mention")]
    assert find_in_rollout(index, "Who was the aunt of Hesper Quillvane?", said) == []


def test_an_index_without_questions_or_words_to_share_is_refused() -> None:
    with pytest.raises(InputError, match="no question"):
        Index([])
    with pytest.raises(InputError, match="at least 1 word, came 0"):
        Index([Question("b", "q", PLANE)], ngram=0)
