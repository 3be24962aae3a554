"""Questions with annotated hops: HotPotQA, 2WikiMultiHopQA and MuSiQue as published."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from schemas import Task
from toolkit.errors import RecordError
from toolkit.tasks.files import load_tasks
from toolkit.tasks.plan import Plan

MUSIQUE: dict[str, Any] = {
    "id": "2hop__1_2",
    "paragraphs": [
        {"idx": 0, "title": "Corry", "paragraph_text": "Corry is a village.", "is_supporting": False},
        {"idx": 1, "title": "Brand (play)", "paragraph_text": "Brand is by Ilva Sornrud.", "is_supporting": True},
        {"idx": 2, "title": "Ilva Sornrud", "paragraph_text": "She was born in Tarvik.", "is_supporting": True},
    ],
    "question": "Where was the author of Brand born?",
    "question_decomposition": [
        {"id": 1, "question": "Brand >> author", "answer": "Ilva Sornrud", "paragraph_support_idx": 1},
        {"id": 2, "question": "Where was #1 born ?", "answer": "Tarvik", "paragraph_support_idx": 2},
    ],
    "answer": "Tarvik",
    "answer_aliases": ["Tarvik town"],
    "answerable": True,
}  # fmt: skip
BACKWARDS = MUSIQUE["question_decomposition"][::-1]
HOTPOT: dict[str, Any] = {
    "_id": "5a77",
    "question": "Which river flows through the town of Ilva Sornrud?",
    "answer": "Nemel",
    "supporting_facts": [["Ilva Sornrud", 0], ["Tarvik", 2], ["Tarvik", 3]],
    "context": [["Tarvik", ["Tarvik is a town.", " It lies on the Nemel."]]],
    "type": "bridge",
    "level": "easy",
}


def load(folder: Path, record: dict[str, Any], name: str = "musique_train.json", **changes: Any) -> Task:
    path = folder / name
    path.write_text(json.dumps([{**copy.deepcopy(record), **changes}]), encoding="utf-8")
    (task,) = load_tasks(path)
    return task


def test_a_decomposition_becomes_a_plan_of_lookups(tmp_path: Path) -> None:
    task = load(tmp_path, MUSIQUE)
    assert (task.dataset, task.split, task.source_id) == ("musique", "train", "2hop__1_2")
    assert (task.domain, task.license) == ("fact", "CC-BY-4.0")
    assert task.answers == ["Tarvik", "Tarvik town"]
    assert task.evidence == ["Brand (play)", "Ilva Sornrud"]
    assert json.loads(task.metadata or "") == {"answerable": True}
    plan = Plan.model_validate_json(task.plan or "")
    first, second = plan.lookups
    assert (first.question, first.query) == ("Brand: author", "Brand author")
    assert (first.title, first.answer) == ("Brand (play)", "Ilva Sornrud")
    assert second.query == "Where was #1 born?"
    assert plan.answer == task.answers[0]


def test_supporting_facts_become_evidence_in_both_published_forms(tmp_path: Path) -> None:
    task = load(tmp_path, HOTPOT, "hotpotqa_train.json")
    assert (task.dataset, task.split, task.source_id, task.domain) == ("hotpotqa", "train", "5a77", "fact")
    assert task.evidence == ["Ilva Sornrud", "Tarvik"]
    assert task.plan is None
    assert json.loads(task.metadata or "") == {"level": "easy", "type": "bridge"}
    hub = {"title": ["Ilva Sornrud", "Tarvik"], "sent_id": [0, 2]}
    assert load(tmp_path, HOTPOT, "hotpotqa_train.json", supporting_facts=hub).evidence == task.evidence


@pytest.mark.parametrize(
    ("hop", "change", "why", "evidence"),
    [
        (1, {"paragraph_support_idx": None}, "hop 2: its passage is missing", ["Brand (play)"]),
        (0, {"answer": "Henrik"}, "hop 1: 'Henrik' does not stand in 'Brand (play)'", ["Brand (play)", "Ilva Sornrud"]),
    ],
)
def test_a_hop_that_cannot_be_read_means_no_plan_and_says_why(
    tmp_path: Path, hop: int, change: dict[str, Any], why: str, evidence: list[str]
) -> None:
    record = copy.deepcopy(MUSIQUE)
    record["question_decomposition"][hop].update(change)
    task = load(tmp_path, record)
    assert (task.plan, task.evidence) == (None, evidence)
    assert json.loads(task.metadata or "")["why_no_plan"] == why


@pytest.mark.parametrize(
    ("record", "changes", "message"),
    [
        (MUSIQUE, {"question_decomposition": 5}, 'expected "question_decomposition" to be a list, came the number 5'),
        (MUSIQUE, {"question_decomposition": ["x"]}, r"expected question_decomposition\[0\] to be an object"),
        (MUSIQUE, {"question_decomposition": [{"question": "q"}]}, r"question_decomposition\[0\].answer to be text"),
        (MUSIQUE, {"paragraphs": [{"idx": 0, "title": "T"}]}, r"expected paragraphs\[0\].paragraph_text to be text"),
        (MUSIQUE, {"question_decomposition": BACKWARDS}, "hops in their order: operation 1 refers to #1"),
        (MUSIQUE, {"question_decomposition": []}, "hops in their order"),
        (HOTPOT, {"supporting_facts": "Tarvik"}, 'expected "supporting_facts" to be a list, came the string'),
        (HOTPOT, {"supporting_facts": [[5, 0]]}, r'expected "supporting_facts" to be a list of \[title, sentence\]'),
    ],
)  # fmt: skip
def test_an_annotation_in_another_form_is_an_error_of_its_record(
    tmp_path: Path, record: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecordError, match=rf"^record 1 of .*: .*{message}"):
        load(tmp_path, record, **changes)
