"""Questions from files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas import Task
from schemas.identity import derive_id
from toolkit.errors import InputError, RecordError
from toolkit.tasks.files import load_tasks

Made = dict[str, Any]


def paper_file(path: Path, examples: list[Any], name: str = "MATH") -> Path:
    path.write_text(json.dumps({"metadata": {"dataset_info": {"name": name}}, "examples": examples}), encoding="utf-8")
    return path


def jsonl(path: Path, *records: Made) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def only(path: Path, **options: Any) -> Task:
    (task,) = load_tasks(path, **options)
    return task


def test_a_paper_file_becomes_tasks_with_canonical_names(tmp_path: Path) -> None:
    example = {"id": 7, "question": "Add 1 and 2.", "answer": "3", "level": 2, "dataset_name": "MATH", "split": "test"}
    task = only(paper_file(tmp_path / "math_500.json", [example]))
    assert task == Task(
        task_id=derive_id("task", "math", "test", "7", "Add 1 and 2."),
        dataset="math",
        split="test",
        source_id="7",
        question="Add 1 and 2.",
        answers=["3"],
        domain="math",
        metadata='{"level":2}',
    )


@pytest.mark.parametrize(
    ("dataset_name", "name", "domain", "license_name"),
    [
        ("hotpotqa/hotpot_qa", "hotpotqa", "fact", "CC-BY-SA-4.0"),
        ("dgslibisey/MuSiQue", "musique", "fact", "CC-BY-4.0"),
        ("2wikimultihopqa", "2wikimultihopqa", "fact", "Apache-2.0"),
        ("chiayewken/bamboogle", "bamboogle", "fact", None),
        ("MATH", "math", "math", None),
        ("GSM-hard", "gsm-hard", "math", None),
        ("AIME", "aime", "math", None),
        ("OlymMATH", "olymmath", "math", None),
        ("Pub Quiz 7", "Pub Quiz 7", "fact", None),
    ],
)
def test_a_known_question_set_brings_name_domain_and_licence(
    tmp_path: Path, dataset_name: str, name: str, domain: str, license_name: str | None
) -> None:
    task = only(
        paper_file(tmp_path / "f.json", [{"id": 0, "question": "q", "answer": "x", "dataset_name": dataset_name}])
    )
    assert (task.dataset, task.domain, task.license) == (name, domain, license_name)


def test_a_set_named_only_by_the_file_is_known_too(tmp_path: Path) -> None:
    task = only(paper_file(tmp_path / "f.json", [{"id": 0, "question": "q", "answer": "x"}], name="hotpotqa"))
    assert (task.dataset, task.domain) == ("hotpotqa", "fact")


@pytest.mark.parametrize(
    ("record", "answers"),
    [
        ({"answer": " Nemel "}, ["Nemel"]),
        ({"answers": ["Nemel", "River Nemel", "Nemel"]}, ["Nemel", "River Nemel"]),
        ({"answer": "Nemel", "answer_aliases": ["River Nemel"]}, ["Nemel", "River Nemel"]),
        ({"answer": "Nemel", "answers": ["the Nemel"], "aliases": []}, ["Nemel", "the Nemel"]),
        ({"answers": {"text": ["Nemel"], "answer_start": [3]}}, ["Nemel"]),
        ({"answers": "Nemel"}, ["Nemel"]),
        ({"answers": '["Nemel", 7]'}, ["Nemel", "7"]),
        ({"answer": ["a", "b"]}, ["a", "b"]),
        ({"answer": "[1, 2]"}, ["[1, 2]"]),
        ({"answer": 13138980.0}, ["13138980"]),
        ({"answer": 561161.7000000001}, ["561161.7"]),
        ({"answer": 5031.9785714286}, ["5031.9785714286"]),
        ({"answer": 4.46752e-05}, ["0.0000446752"]),
        ({"answer": -0.0}, ["0"]),
        ({"answer": 1e22}, ["10000000000000000000000"]),
        ({"answer": 12345678901234567890123}, ["12345678901234567890123"]),
        ({"answer": 0}, ["0"]),
    ],
)
def test_answers_become_text_gold_first(tmp_path: Path, record: Made, answers: list[str]) -> None:
    assert only(jsonl(tmp_path / "t.jsonl", {"question": "q", **record})).answers == answers


@pytest.mark.parametrize(
    ("record", "domain"),
    [
        ({"answer": "Nemel"}, "fact"),
        ({"answer": "1957"}, "math"),
        ({"answer": 3.5}, "math"),
        ({"answer": "-1,234.5"}, "math"),
        ({"answers": ["7", "seven"]}, "fact"),
        ({"answer": "7", "domain": "other"}, "other"),
        ({"answer": "7", "supporting_facts": []}, "fact"),
        ({"answer": "7", "dataset": "hotpot_qa"}, "fact"),
    ],
)
def test_domain_is_stated_known_or_guessed_from_the_answers(tmp_path: Path, record: Made, domain: str) -> None:
    path = jsonl(tmp_path / "t.jsonl", {"question": "q", **record})
    assert only(path).domain == domain
    assert only(path, domain="math").domain == "math"


@pytest.mark.parametrize(
    ("file", "dataset", "split"),
    [
        ("quiz.jsonl", "quiz", None),
        ("pub_quiz_train.jsonl", "pub_quiz", "train"),
        ("train.jsonl", "train", None),
        (".quiz.jsonl", ".quiz.jsonl", None),
        (os.fsdecode(b"qu\xe9z_train.jsonl"), "qu\N{REPLACEMENT CHARACTER}z", "train"),
    ],
    ids=["stem", "split", "split alone", "hidden", "latin-1"],
)
def test_file_name_gives_the_names_that_nothing_else_gives(
    tmp_path: Path, file: str, dataset: str, split: str | None
) -> None:
    path = jsonl(tmp_path / file, {"question": "q", "answer": "a"})
    assert (only(path).dataset, only(path).split) == (dataset, split)
    named = only(path, dataset="mine", split="dev")
    assert (named.dataset, named.split) == ("mine", "dev")
    assert named.task_id == derive_id("task", "mine", "dev", None, "q")


def test_own_fields_are_kept_as_metadata(tmp_path: Path) -> None:
    record = {"question": "q", "answer": "a", "id": "x1", "topic": ["rivers"], "n": 2**70, "context": "kept"}
    task = only(jsonl(tmp_path / "t.jsonl", record))
    assert task.source_id == "x1"
    assert json.loads(task.metadata or "") == {"topic": ["rivers"], "n": 2**70, "context": "kept"}
    other = only(jsonl(tmp_path / "u.jsonl", {**record, "domain": "Geometry"}), domain="math")
    assert json.loads(other.metadata or "")["domain"] == "Geometry"


def test_all_file_forms_of_the_same_questions_give_the_same_tasks(tmp_path: Path) -> None:
    records = [{"id": f"{n}", "question": f"What, is {n}?", "answer": f"a {n}"} for n in range(3)]
    jsonl(tmp_path / "t.jsonl", *records)
    (tmp_path / "t.json").write_text(json.dumps(records, indent=1), encoding="utf-8")
    paper_file(tmp_path / "t.paper.json", records, name="t")
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "t.parquet")
    rows = [[f'"{value}"' for value in record.values()] for record in records]
    for file, mark in (("t.csv", ","), ("t.tsv", "\t")):
        lines = [mark.join(("id", "question", "answer")), *(mark.join(row) for row in rows)]
        (tmp_path / file).write_text("\ufeff" + "\r\n".join(lines), encoding="utf-8")
    expected = list(load_tasks(tmp_path / "t.jsonl"))
    assert len(expected) == 3
    for file in ("t.json", "t.paper.json", "t.parquet", "t.csv", "t.tsv"):
        assert list(load_tasks(tmp_path / file)) == expected, file


def test_ids_do_not_depend_on_the_order_of_questions(tmp_path: Path) -> None:
    records = [{"question": "one", "answer": "1"}, {"question": "two", "answer": "2"}]
    forward = load_tasks(jsonl(tmp_path / "t.jsonl", *records))
    ids = {task.question: task.task_id for task in forward}
    backward = load_tasks(jsonl(tmp_path / "t.jsonl", *reversed(records)))
    assert {task.question: task.task_id for task in backward} == ids


def test_limit_reads_the_first_records_only(tmp_path: Path) -> None:
    good = [{"question": f"q{n}", "answer": "a"} for n in range(5)]
    path = jsonl(tmp_path / "t.jsonl", *good, {"question": "no answer"})
    assert [task.question for task in load_tasks(path, limit=2)] == ["q0", "q1"]
    assert len(list(load_tasks(path, limit=5))) == 5
    with pytest.raises(InputError, match="line 6"):
        load_tasks(path, limit=6)
    with pytest.raises(InputError, match="at least 1 question, came 0"):
        load_tasks(path, limit=0)


@pytest.mark.parametrize("answer", [{}, {"answer": None}, {"answer": ""}, {"answer": " "}, {"answers": []}])
def test_a_question_without_answer_is_an_error_unless_that_is_wanted(tmp_path: Path, answer: Made) -> None:
    path = jsonl(tmp_path / "t.jsonl", {"question": "q", "answer": "a"}, {"question": "r", **answer})
    with pytest.raises(RecordError, match=r"^line 2 of .*t.jsonl: .*every task needs a gold answer.* --no-gold$"):
        load_tasks(path)
    assert [task.answers for task in load_tasks(path, require_answers=False)] == [["a"], []]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"answer": "a"}, '"question" is missing; every task needs one, came an object with "answer"'),
        ({"question": "", "answer": "a"}, 'expected "question" to be text, came the string ""'),
        ({"question": ["q"], "answer": "a"}, 'expected "question" to be text, came a list of 1'),
        ({"question": "q", "answer": True}, 'expected "answer" to be text, a number .* came true; write "yes" or "no"'),
        ({"question": "q", "answer": {"a": 1}}, 'expected "answer" to be text, a number .* came an object with "a"'),
        ({"question": "q", "answers": ["a", None]}, 'expected "answers" to be a list of texts and numbers, .* null'),
        ({"question": "q", "answers": [["a"]]}, 'expected "answers" to be a list of texts and numbers, .* a list of 1'),
        ({"question": "q", "answers": "[1,"}, "expected JSON"),
        ({"question": "q", "answer": "a", "id": 1.5}, 'expected "id" to be text or a whole number, came the number'),
        ({"question": "q", "answer": "a", "domain": "maths"}, 'expected "domain" to be fact, math or other, .*"maths"'),
    ],
)  # fmt: skip
def test_a_record_that_cannot_be_used_is_named_by_its_line(tmp_path: Path, record: Made, message: str) -> None:
    path = jsonl(tmp_path / "t.jsonl", {"question": "good", "answer": "a"}, record)
    with pytest.raises(RecordError, match=rf"^line 2 of .*t\.jsonl: .*{message}"):
        load_tasks(path)


def test_several_problems_are_listed_together_before_any_task_is_given(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(
        '{"question": "q", "answer": "a"}\n{"question": \n[1]\n' + '{"answer": "b"}\n' * 5, encoding="utf-8"
    )
    with pytest.raises(InputError) as caught:
        load_tasks(path)
    lines = str(caught.value).split("\n")
    assert lines[0] == f"{path}: 7 questions cannot be used"
    assert lines[1].startswith("  line 2: expected JSON")
    assert lines[2] == "  line 3: expected a JSON object, came a list of 1"
    assert (lines[-1], len(lines)) == ("  and 2 more", 7)


def test_problems_of_a_paper_file_are_named_by_example(tmp_path: Path) -> None:
    path = paper_file(tmp_path / "f.json", [{"id": 1, "question": "q", "answer": "a"}, "text"])
    with pytest.raises(RecordError, match=r'^example 2 of .*f\.json: expected an object, came the string "text"'):
        load_tasks(path)
    (tmp_path / "g.json").write_text('{"examples": 5}', encoding="utf-8")
    with pytest.raises(RecordError, match='expected "examples" to be a list, came the number 5'):
        load_tasks(tmp_path / "g.json")


def test_an_id_or_a_question_without_id_may_occur_once(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path / "t.jsonl",
        {"id": 1, "question": "q", "answer": "a"},
        {"id": "1", "question": "r", "answer": "a"},
        {"id": 2, "question": "q", "answer": "a"},
        {"question": "q", "answer": "a"},
        {"question": "q", "answer": "b"},
        {"id": 1, "question": "q", "answer": "a", "split": "dev"},
    )
    with pytest.raises(InputError) as caught:
        load_tasks(path)
    assert str(caught.value).split("\n")[1:] == [
        '  line 2: the id "1" stands at line 1 already; give every question an id of its own',
        "  line 5: the same question stands at line 4 already; give every question an id of its own",
    ]


@pytest.mark.parametrize(("text", "message"), [("", "holds no record"), ('{"examples": []}', "holds no question")])
def test_a_file_without_questions_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        load_tasks(path)


def test_an_unknown_domain_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the domain to be one of fact, math, other, came 'maths'"):
        load_tasks(jsonl(tmp_path / "t.jsonl", {"question": "q", "answer": "a"}), domain="maths")
