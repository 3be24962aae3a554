import re
import xml.etree.ElementTree as ET

import pytest

from pipelines.review.cards import ABSENT, SHOWN_CHARS, card, key_of
from pipelines.review.layout import INDEX, QUESTIONS, STARS, layout, same_layout
from pipelines.review.predictions import check, predict
from schemas import Score, Step
from schemas.rollouts import Trajectory
from toolkit.errors import RunError
from toolkit.lake.records import TrajectoryRecord

ID = "a" * 24
KINDS = {"Choices": "choices", "TextArea": "textarea", "Number": "number", "Rating": "rating"}


def step(index: int, **values: object) -> Step:
    return Step.model_validate({"trajectory_id": ID, "step_index": index, "completion": "", "code": "1", **values})


def score(index: int | None, passed: bool | None, scorer: str = "judge@1") -> Score:
    row = {"trajectory_id": ID, "step_index": index, "scorer": scorer, "passed": passed}
    return Score.model_validate({**row, "scored_at": "2026-01-01T00:00:00Z"})


def said(result: list[dict[str, object]]) -> dict[object, object]:
    return {answer["from_name"]: answer["value"] for answer in result}


def test_the_page_asks_exactly_the_questions_that_are_read() -> None:
    page = ET.fromstring(layout())
    asked = set()
    for tag, kind in KINDS.items():
        for node in page.iter(tag):
            choices = tuple(choice.get("value") for choice in node.iter("Choice"))
            asked.add((node.get("name"), node.get("toName"), kind, choices))
    assert asked == {(question.name, question.to_name, question.kind, question.choices) for question in QUESTIONS}
    in_cards = {node.get("name") for node in next(page.iter("Repeater")).iter()}
    assert {question.name for question in QUESTIONS if question.of_steps} < in_cards
    assert next(page.iter("Rating")).get("maxRating") == str(STARS)


def test_every_question_is_asked_of_a_text_and_every_text_of_the_page_is_in_a_card() -> None:
    page = ET.fromstring(layout())
    texts = {node.get("name"): str(node.get("value")) for node in page.iter("Text")}
    assert {question.to_name for question in QUESTIONS} <= set(texts)
    trajectory = Trajectory.model_construct(trajectory_id=ID, dataset="d", kind="agent", stop_reason="max_steps")
    shown = card(TrajectoryRecord(trajectory, None, [step(0)]), "f" * 24, None)
    values = {str(node.get("value")) for node in page.iter() if str(node.get("value")).startswith("$")}
    top = {value[1:] for value in values if INDEX not in value}
    inner = {match[1] for value in values if (match := re.fullmatch(r"\$steps\[\{\{idx\}\}\]\.(\w+)", value))}
    assert top <= set(shown)
    assert inner == set(shown["steps"][0])
    assert key_of(shown, "f" * 24) == (ID, 0)
    assert key_of(shown, "0" * 24) is None


def test_a_name_stands_once_on_the_page_also_for_the_servers_crude_search() -> None:
    names = re.findall(r'name="([^"]*)"', layout())
    assert len(names) == len(set(names))


def test_pages_differ_by_content_and_not_by_spelling() -> None:
    respelt = layout().replace("    <", "<").replace('required="true"', "required='true'")
    assert respelt != layout()
    assert same_layout(respelt, layout())
    assert not same_layout(layout().replace('value="accepted"', 'value="good"'), layout())
    assert not same_layout("not XML", layout())


def test_a_card_says_what_is_missing_and_cuts_what_no_page_can_show() -> None:
    trajectory = Trajectory.model_construct(trajectory_id=ID, dataset="d", kind="agent", stop_reason="max_steps")
    broken = step(0, completion="no code at all", code=None, error_kind="parse", observation="x" * (SHOWN_CHARS + 5))
    shown = card(TrajectoryRecord(trajectory, None, [broken, step(1, is_final=True)]), "f" * 24, "wrong by fact@1")
    first, last = shown["steps"]
    assert (first["title"], last["title"]) == ("Step 0 · failed: parse", "Step 1 · final answer")
    assert (first["thought"], first["code"]) == ("no code at all", ABSENT)
    assert first["observation"].endswith("[5 characters left out here]")
    assert shown["final_answer"] == ABSENT
    assert shown["facts"] == "d · agent · stopped by max_steps · wrong by fact@1"


def test_predictions_are_what_graders_and_errors_say() -> None:
    steps = [step(0), step(1, error_kind="execution"), step(2), step(3)]
    scores = [score(0, True), score(2, True), score(2, False, "rule@1"), score(None, False, "fact@1")]
    result = predict(steps, scores, False)
    assert said(result) == {
        "step_0": {"choices": ["correct"]},
        "step_1": {"choices": ["wrong"]},
        "step_2": {"choices": ["wrong"]},
        "first_wrong_step": {"number": 1},
        "verdict": {"choices": ["rejected"]},
    }
    check(result, len(steps))


def test_graders_that_say_nothing_fill_in_nothing() -> None:
    assert predict([step(0)], [score(0, None), score(None, None)], None) == []


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"from_name": "verdct"}, "no question 'verdct'"),
        ({"from_name": "step_7", "to_name": "code_7"}, "beyond the last, 1"),
        ({"to_name": "answer"}, "to_name of 'verdict' must be 'question'"),
        ({"type": "textarea"}, "type of 'verdict' must be 'choices'"),
        ({"value": {"choices": ["good"]}}, "takes one of accepted, rejected, unsure"),
        ({"value": {"choices": ["accepted", "rejected"]}}, "takes one of"),
        ({"value": None}, "takes one of"),
        ({"from_name": "rating", "type": "rating", "value": {"rating": 6}}, "from 1 to 5"),
        ({"from_name": "first_wrong_step", "type": "number", "value": {"number": -1}}, "whole number from 0"),
        ({"from_name": "comment", "type": "textarea", "value": {"text": "no list"}}, "takes a list of texts"),
    ],
)
def test_a_prediction_that_the_page_cannot_show_is_refused(change: dict[str, object], finding: str) -> None:
    good = {"from_name": "verdict", "to_name": "question", "type": "choices", "value": {"choices": ["accepted"]}}
    check([good], 2)
    with pytest.raises(RunError, match=re.escape(finding)):
        check([good | change], 2)
