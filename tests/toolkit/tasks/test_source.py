"""Question sources named by one text."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.errors import InputError
from toolkit.tasks.files import load_tasks
from toolkit.tasks.minipedia import Minipedia
from toolkit.tasks.source import open_tasks


def test_a_minipedia_is_opened_by_its_name() -> None:
    tasks = list(open_tasks("minipedia:train?seed=3&size=60", limit=4))
    assert tasks == list(Minipedia(3, 60).tasks("train", 4))


def test_a_limit_above_a_minipedias_questions_gives_all() -> None:
    assert len(list(open_tasks("minipedia:test?size=50", limit=10_000))) == Minipedia(0, 50).maximum("test")


def test_a_file_is_opened_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "quiz_dev.csv"
    path.write_text("question,answer\nq,a\nr,b\n", encoding="utf-8")
    assert list(open_tasks(str(path))) == list(load_tasks(path))
    (task,) = open_tasks(str(path), limit=1, dataset="mine", split="x", domain="other")
    assert (task.dataset, task.split, task.domain) == ("mine", "x", "other")
    path.write_text("question,answer\nq,\n", encoding="utf-8")
    assert [task.answers for task in open_tasks(str(path), require_answers=False)] == [[]]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("missing.jsonl", "missing.jsonl: no such file; expected one of"),
        ("~nosuchuser/x", "~nosuchuser/x: no such file; expected one of"),
        ("minipeda:train", "no question source is called 'minipeda'; expected one of"),
        ("https://example.org/q.json", "no question source is called 'https'"),
        ("", "no text: a directory"),
        (".", ".: a directory"),
    ],
)
def test_a_wrong_text_is_answered_with_what_there_is(
    spec: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        open_tasks(spec)
    assert message in str(caught.value)
    assert "minipedia:train" in str(caught.value)
    assert "JSONL" in str(caught.value)


@pytest.mark.parametrize("spec", ["minipedia:trian", "minipedia:", "minipedia:train?sead=1"])
def test_a_wrong_minipedia_is_refused_when_it_is_opened(spec: str) -> None:
    with pytest.raises(InputError, match="minipedia:"):
        open_tasks(spec)


def test_names_and_limits_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InputError, match="leave them out"):
        open_tasks("minipedia:train", dataset="mine")
    with pytest.raises(InputError, match="at least 1 question"):
        open_tasks("minipedia:train", limit=0)
