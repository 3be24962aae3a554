import copy
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipelines.review.agreement import GraderAgreement, alpha_of
from pipelines.review.annotations import read_tasks
from schemas import Review

EXPORT = Path(__file__).parents[2] / "data" / "review" / "label_studio_1_23_export.json"
PEOPLE = {1: "ada@example.org", 2: "ben@example.org"}


@pytest.fixture
def tasks() -> list[dict[str, Any]]:
    """A real export: one task that was annotated on the page, an edit and a comment included, and one that was not."""
    loaded: list[dict[str, Any]] = json.loads(EXPORT.read_bytes())
    return loaded


def lake_of(tasks: list[dict[str, Any]]) -> str:
    return str(tasks[0]["data"]["lake"])


def rows(tasks: list[dict[str, Any]]) -> dict[int | None, Review]:
    read = read_tasks(tasks, PEOPLE, lake_id=lake_of(tasks), project="p")
    assert not read.faults
    return {row.step_index: row for row in read.reviews}


def fault(tasks: list[dict[str, Any]]) -> str:
    read = read_tasks(tasks, PEOPLE, lake_id=lake_of(tasks), project="p")
    assert not read.reviews
    [found] = read.faults
    return found


def answers(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tasks[0]["annotations"][0]["result"]
    return found


def without(tasks: list[dict[str, Any]], *names: str) -> None:
    tasks[0]["annotations"][0]["result"] = [each for each in answers(tasks) if each["from_name"] not in names]


def test_a_real_annotation_becomes_a_row_on_the_whole_and_one_on_each_judged_step(tasks: list[dict[str, Any]]) -> None:
    found = rows(tasks)
    assert list(found) == [None, 0, 1, 2, 3]
    whole = found[None]
    assert (whole.verdict, whole.rating) == ("rejected", 0.5)
    assert whole.comment == "Adds 8 at the end for no reason.\nOtherwise fine."
    assert [found[index].verdict for index in range(4)] == ["correct", "wrong", "wrong", None]
    assert found[3].edited_code == "final_answer(1918 - 1898)"
    assert {row.reviewer for row in found.values()} == {"ada@example.org"}
    assert whole.trajectory_id == tasks[0]["data"]["trajectory_id"]
    changed = datetime.fromisoformat(tasks[0]["annotations"][0]["updated_at"])
    assert whole.reviewed_at == changed.astimezone(UTC)


def test_a_task_without_annotation_is_known_and_says_nothing(tasks: list[dict[str, Any]]) -> None:
    read = read_tasks(tasks, PEOPLE, lake_id=lake_of(tasks), project="p")
    keys = {(task["data"]["trajectory_id"], 0) for task in tasks}
    assert read.keys == keys
    assert set(read.annotated) == {(tasks[0]["data"]["trajectory_id"], 0)}


def test_the_first_wrong_step_judges_those_without_a_verdict_of_their_own(tasks: list[dict[str, Any]]) -> None:
    without(tasks, "step_0", "step_1", "step_2")
    found = rows(tasks)
    assert [found[index].verdict for index in (0, 1)] == ["correct", "wrong"]
    assert 2 not in found


def test_code_that_is_as_it_was_is_no_edit(tasks: list[dict[str, Any]]) -> None:
    edit = next(each for each in answers(tasks) if each["from_name"] == "edit_3")
    edit["value"]["text"] = [tasks[0]["data"]["steps"][3]["code"] + "\n"]
    assert 3 not in rows(tasks)


def test_of_two_annotations_of_one_person_the_last_counts_and_skipped_ones_do_not(tasks: list[dict[str, Any]]) -> None:
    older, skipped = (copy.deepcopy(tasks[0]["annotations"][0]) for _ in range(2))
    older |= {"updated_at": "2020-01-01T00:00:00Z", "result": []}
    skipped |= {"was_cancelled": True, "updated_at": "2030-01-01T00:00:00Z", "result": []}
    tasks[0]["annotations"] += [older, skipped]
    assert rows(tasks)[None].verdict == "rejected"


def test_people_are_told_apart_also_those_whom_the_server_does_not_name(tasks: list[dict[str, Any]]) -> None:
    other = copy.deepcopy(tasks[0]["annotations"][0]) | {"completed_by": 77}
    tasks[0]["annotations"].append(other)
    read = read_tasks(tasks, PEOPLE, lake_id=lake_of(tasks), project="p")
    assert Counter(row.reviewer for row in read.reviews) == {"ada@example.org": 5, "user 77": 5}


@pytest.mark.parametrize(
    ("name", "value", "finding"),
    [
        ("verdict", {"choices": ["perhaps"]}, "verdict is 'perhaps', expected one of accepted"),
        ("verdict", {"labels": ["accepted"]}, "KeyError('choices')"),
        ("first_wrong_step", {"number": 9}, "the first wrong step is 9, but the steps are 0 to 3"),
        ("first_wrong_step", {"number": 1.5}, "the first wrong step is 1.5"),
        ("rating", {"rating": 50}, "less than or equal to 1"),
    ],
)
def test_an_answer_that_the_page_does_not_offer_is_reported_with_its_place(
    tasks: list[dict[str, Any]], name: str, value: dict[str, Any], finding: str
) -> None:
    next(each for each in answers(tasks) if each["from_name"] == name)["value"] = value
    said = fault(tasks)
    assert said.startswith(f"task {tasks[0]['id']}, annotation {tasks[0]['annotations'][0]['id']} of ada@example.org")
    assert finding in said


def test_an_answer_to_another_question_or_step_is_reported(tasks: list[dict[str, Any]]) -> None:
    answers(tasks)[0]["from_name"] = "step_4"
    assert "it answers step_4, but there are 4 steps" in fault(tasks)
    answers(tasks)[0]["from_name"] = "mood"
    assert "it answers mood, which the page does not ask" in fault(tasks)


def test_a_task_of_another_lake_is_reported_and_not_read(tasks: list[dict[str, Any]]) -> None:
    lake_id = lake_of(tasks)
    tasks[0]["data"]["lake"] = "0" * 24
    read = read_tasks(tasks, PEOPLE, lake_id=lake_id, project="p")
    assert read.faults == [f"task {tasks[0]['id']}: it shows no trajectory of this lake"]
    assert len(read.keys) == 1


def test_alpha_is_that_of_krippendorffs_own_example() -> None:
    # "Computing Krippendorff's Alpha-Reliability" (2011), B: nominal data, two observers, no missing data: 0.692.
    one = ["a", "a", "b", "b", "d", "c", "c", "c", "e", "d", "d", "a"]
    other = ["b", "a", "b", "b", "b", "c", "c", "c", "e", "d", "d", "d"]
    found = alpha_of("wholes", [Counter(pair) for pair in zip(one, other, strict=True)])
    assert found.alpha == pytest.approx(0.692, abs=5e-4)
    assert (found.units, found.verdicts) == (12, 24)


def test_alpha_is_undefined_without_two_values_or_two_people() -> None:
    assert alpha_of("steps", []).alpha is None
    assert alpha_of("steps", [Counter(correct=2)]).alpha is None


def test_kappa_is_as_computed_by_hand() -> None:
    # Of 50: agreement 0.7; chance 0.5 x 0.6 + 0.5 x 0.4 = 0.5; kappa 0.4 (the textbook's table).
    table = GraderAgreement("judge@1", "wholes", 50, 20, 5, 10, 15)
    assert table.agreement == 0.7
    assert table.kappa == pytest.approx(0.4)
    assert GraderAgreement("judge@1", "wholes", 2, 2, 0, 0, 0).kappa is None
