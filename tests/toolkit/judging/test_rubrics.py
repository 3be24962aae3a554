from pathlib import Path
from typing import Any, get_args

import pytest

from toolkit.contracts import Completion
from toolkit.errors import InputError
from toolkit.judging.cases import Case
from toolkit.judging.judge import Judge, UnreadableError
from toolkit.judging.rubric import RubricName, load_rubric

SHIPPED = {
    ("factual", "1"): "25e54a43c0759f4db18d3988",
    ("step", "1"): "f7eb832f73cb874a950fbd8a",
    ("rollout", "1"): "d3334e46eab072f695e5fdf6",
}
"""Whoever changes a rubric raises its version in `toolkit.judging.rubric` and adds a line here."""
NAMES: tuple[RubricName, ...] = get_args(RubricName)


@pytest.mark.parametrize("name", NAMES)
def test_the_text_of_a_shipped_rubric_is_that_of_its_version(name: RubricName) -> None:
    rubric = load_rubric(name)
    assert SHIPPED[name, rubric.version] == rubric.hash


@pytest.mark.parametrize("name", NAMES)
def test_a_rubric_asks_for_the_reason_first_and_names_every_word_of_its_verdict(name: RubricName) -> None:
    rubric = load_rubric(name)
    schema = rubric.schema
    assert next(iter(schema["properties"])) == "reason"
    assert schema["required"] == list(schema["properties"])
    for entry in schema["properties"].values():
        assert set(entry) <= {"type", "enum", "maxLength"}, "not every server knows more"
        assert all(word in rubric.text for word in entry.get("enum", ()))


def judge(name: RubricName = "factual", **more: Any) -> Judge:
    return Judge(load_rubric(name), **{"model": "Org/Big-Model 7B", "model_identity": {"model": "m"}, **more})


def test_whatever_could_change_an_answer_makes_another_scorer_and_nothing_else_does(tmp_path: Path) -> None:
    own = tmp_path / "own.md"
    own.write_text("Say equivalent.")
    judges = [
        judge(),
        judge("rollout"),
        judge(model="Other/Big-Model 7B"),
        judge(model_identity={"model": "m", "revision": "2"}),
        judge(temperature=0.7),
        Judge(load_rubric("factual", own), "Org/Big-Model 7B", {"model": "m"}),
    ]
    assert len({one.scorer for one in judges}) == len(judges)
    assert judge(max_tokens=5).scorer == judge().scorer
    assert judge().scorer.startswith("judge.factual.big-model-7b@1-")
    assert judges[-1].scorer.startswith("judge.factual.big-model-7b@own-")


@pytest.mark.parametrize(
    ("name", "words", "passed", "value"),
    [
        ("factual", {"verdict": "equivalent"}, True, 1.0),
        ("factual", {"verdict": "different"}, False, 0.0),
        ("factual", {"verdict": "unsure"}, None, None),
        ("step", {"verdict": "correct"}, True, 1.0),
        ("step", {"verdict": "wrong"}, False, 0.0),
        ("rollout", {"verdict": "accepted", "rating": "4"}, True, 0.75),
        ("rollout", {"verdict": "rejected", "rating": "1"}, False, 0.0),
        ("rollout", {"verdict": "unsure", "rating": "3"}, None, 0.5),
    ],
)
def test_words_become_verdict_and_value(
    name: RubricName, words: dict[str, str], passed: bool | None, value: float | None
) -> None:
    answer = load_rubric(name).answer.model_validate({"reason": "r", **words})
    assert (answer.passed, answer.value) == (passed, value)


@pytest.mark.parametrize(
    ("completion", "finding"),
    [
        (Completion('{"reason": "x", "verdict": "equi', "length"), "cut off after 1,024 tokens; --completion-tokens"),
        (Completion("Equivalent."), "got 'Equivalent.'"),
        (Completion('{"reason": "x", "verdict": "perhaps"}'), "verdict"),
        (Completion('{"verdict": "equivalent"}'), "reason"),
        (Completion('{"reason": "x", "verdict": "unsure", "score": 5}'), "score"),
    ],
)
def test_what_is_no_answer_is_not_read_as_one(completion: Completion, finding: str) -> None:
    with pytest.raises(UnreadableError, match=r".") as caught:
        judge().read(completion)
    assert finding in str(caught.value)


def test_equal_content_has_one_key_and_another_judge_another() -> None:
    first, second = Case("a" * 24, 0, None, "same"), Case("b" * 24, 3, 2, "same")
    assert judge().key(first) == judge().key(second)
    assert judge().key(first) != judge(temperature=1.0).key(first)


@pytest.mark.parametrize("content", [None, " \n", b"\xff\xfe"])
def test_a_rubric_of_ones_own_that_cannot_be_used_is_named(tmp_path: Path, content: str | bytes | None) -> None:
    path = tmp_path / "mine.md"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=r"mine\.md"):
        load_rubric("step", path)
