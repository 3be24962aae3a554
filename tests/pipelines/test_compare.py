import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolkit.api import open_lake
from toolkit.cli.main import run

HOSTILE = '<script>alert("1")</script> \x1b[2J & </svg>'
QUESTIONS = [
    {"id": n, "question": f"Twice {n}? {HOSTILE if n == 3 else ''}", "answer": f"a{n}", "level": "hard" if n > 5 else 1}
    for n in range(12)
]
Comparing = Callable[..., tuple[int, Any]]


def answers(*right: int) -> list[str]:
    """A script that answers these of the twelve questions as they should be."""
    return [f"Final answer: {f'a{n}' if n in right else f'not {n} {HOSTILE}'}" for n in range(12)]


@pytest.fixture
def evaluated(tmp_path: Path) -> Callable[..., None]:
    """Evaluates a script of chains of thought under a name."""

    def evaluate(
        name: str | None, replies: list[str], *options: str, questions: list[dict[str, Any]] = QUESTIONS
    ) -> None:
        tasks, script = tmp_path / "questions.json", tmp_path / "script.json"
        tasks.write_text(json.dumps({"metadata": {"dataset_info": {"name": "twice"}}, "examples": questions}))
        script.write_text(json.dumps(replies))
        common = ["--tasks", str(tasks), "--model", f"scripted:{script}", "--kind", "cot", "--in-flight", "1"]
        naming = ["--name", name] if name else []
        assert run(["evaluate", *common, *naming, "--lake", str(tmp_path / "lake"), *options]) in (0, 1)

    return evaluate


@pytest.fixture
def comparing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Comparing:
    """`toolkit compare --json`: exit code, and what it printed or the error."""

    def compare(*options: str) -> tuple[int, Any]:
        capsys.readouterr()
        code = run(["compare", "--lake", str(tmp_path / "lake"), "--json", *options])
        printed = capsys.readouterr()
        return code, json.loads(printed.out) if printed.out else printed.err

    return compare


@pytest.fixture
def two(evaluated: Callable[..., None]) -> None:
    """Nine of twelve right against four: three in common, so six and one are discordant."""
    evaluated("good", answers(*range(9)))
    evaluated("weak", answers(0, 1, 2, 11))


@pytest.mark.usefixtures("two")
def test_a_pair_is_tested_on_its_discordant_questions(comparing: Comparing) -> None:
    code, found = comparing()
    assert code == 0
    assert [(one["name"], one["score"]["accuracy"]["value"]) for one in found["results"]] == [
        ("good", 0.75),
        ("weak", pytest.approx(1 / 3)),
    ]
    (pair,) = found["pairs"]
    counts = [pair[name] for name in ("questions", "both", "only_first", "only_second", "neither")]
    assert counts == [12, 3, 6, 1, 2]
    # 2 * P(at most 1 of 7 fair coins) = 2 * 8 / 128.
    assert pair["p"] == pytest.approx(0.125)
    assert pair["difference"]["value"] == pytest.approx(5 / 12)
    assert pair["difference"]["low"] < 5 / 12 < pair["difference"]["high"]


@pytest.mark.usefixtures("two")
def test_every_disagreement_leads_to_its_trajectories(comparing: Comparing, tmp_path: Path) -> None:
    (pair,) = comparing()[1]["pairs"]
    lake = open_lake(tmp_path / "lake")
    for one in pair["only_first_right"]:
        query = f"SELECT correct FROM trajectories_scored WHERE trajectory_id IN ('{one['right']}', '{one['wrong']}')"
        assert sorted(lake.sql(query).fetchall()) == [(False,), (True,)]
    assert {one["answer"][:5] for one in pair["only_first_right"]} == {f"not {n}" for n in range(3, 9)}


@pytest.mark.usefixtures("two")
def test_every_figure_can_be_queried(comparing: Comparing, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = comparing()[1]
    sql = "SELECT name, avg(correct::INT) AS share, avg(completion_tokens) AS written FROM evaluations "
    sql += "JOIN evaluated USING (identity_hash) GROUP BY ALL ORDER BY name"
    assert run(["query", sql, "--lake", str(tmp_path / "lake"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    told = [(one["name"], one["score"]["accuracy"]["value"]) for one in found["results"]]
    assert [(row["name"], pytest.approx(row["share"])) for row in rows] == told


@pytest.mark.usefixtures("two")
def test_a_baseline_by_identity_is_put_first(comparing: Comparing, tmp_path: Path) -> None:
    query = "SELECT identity_hash, run_ids[1] FROM evaluations WHERE name = 'weak'"
    ((identity, run_id),) = open_lake(tmp_path / "lake").sql(query).fetchall()
    for prefix in (identity[:8], run_id[:8]):
        assert comparing("good", "--baseline", prefix)[1]["baseline"] == "weak"
    assert comparing(run_id)[1]["runs"][0]["name"] == "weak"


def test_a_baseline_that_is_part_of_what_it_is_compared_with_is_refused(
    evaluated: Callable[..., None], comparing: Comparing, tmp_path: Path
) -> None:
    others = [{"id": n, "question": f"Thrice {n}?", "answer": f"a{n}"} for n in range(12)]
    evaluated("student", answers(1, 2))
    evaluated("student", answers(3), questions=others)
    query = "SELECT identity_hash FROM evaluations ORDER BY run_ids[1]"
    (first,), _ = open_lake(tmp_path / "lake").sql(query).fetchall()
    code, told = comparing("student", "--baseline", first[:10])
    assert code == 2
    assert "one of the 2 evaluations that 'student' stands for" in told
    assert comparing("student", "--baseline", "student")[0] == 0


@pytest.mark.usefixtures("two")
def test_results_are_split_by_fields_of_the_questions(comparing: Comparing) -> None:
    found = comparing("good", "--by", "level")[1]
    by = found["results"][0]["by"]["level"]
    assert {value: score["accuracy"]["value"] for value, score in by.items()} == {"1": 1.0, "hard": 0.5}
    assert list(by) == ["1", "hard"]


def test_questions_of_one_side_only_are_named(evaluated: Callable[..., None], comparing: Comparing) -> None:
    evaluated("all", answers(*range(12)))
    evaluated("some", answers(1), "--limit", "5")
    (pair,) = comparing()[1]["pairs"]
    assert (pair["questions"], len(pair["not_answered_by_second"]), pair["not_answered_by_first"]) == (5, 7, [])


def test_evaluations_of_one_name_are_one_run_unless_they_answer_the_same(
    evaluated: Callable[..., None], comparing: Comparing
) -> None:
    evaluated("student", answers(0, 1), questions=QUESTIONS[:6])
    evaluated("student", answers(0, 1), "--temperature", "0.5", questions=QUESTIONS[6:])
    assert [one["score"]["questions"] for one in comparing()[1]["results"]] == [12]
    evaluated("student", answers(0, 1), "--temperature", "0.6", questions=QUESTIONS[6:])
    found = comparing("student")[1]
    assert len({one["name"] for one in found["runs"]}) == 3
    assert all(one["name"].startswith("student (") for one in found["runs"])


@pytest.mark.parametrize("second", [QUESTIONS[6:], QUESTIONS[:6]], ids=["other questions", "the same"])
def test_an_evaluation_that_is_named_twice_is_counted_once(
    evaluated: Callable[..., None], comparing: Comparing, tmp_path: Path, second: list[dict[str, Any]]
) -> None:
    evaluated("stud", answers(0, 1), questions=QUESTIONS[:6])
    evaluated("stud", answers(0, 1), "--temperature", "0.5", questions=second)
    query = "SELECT identity_hash[:8] FROM evaluations ORDER BY started_at"
    (one,), (other,) = open_lake(tmp_path / "lake").sql(query).fetchall()
    alone = [f"stud ({one})", f"stud ({other})"]
    for wanted, expected in (
        (["stud", one], ["stud", alone[0]] if second == QUESTIONS[6:] else alone),
        ([other, "stud", one], [alone[1], "stud", alone[0]] if second == QUESTIONS[6:] else alone[::-1]),
    ):
        code, found = comparing(*wanted)
        assert (code, [run["name"] for run in found["runs"]]) == (0, expected)
        assert {result["score"]["most_samples"] for result in found["results"]} == {1}


def test_the_ids_of_two_evaluations_of_one_name_are_two_contestants(
    evaluated: Callable[..., None], comparing: Comparing, tmp_path: Path
) -> None:
    evaluated("stud", answers(0, 1))
    evaluated("stud", answers(0), "--temperature", "0.5")
    query = "SELECT identity_hash FROM evaluations ORDER BY started_at"
    ids = [identity for (identity,) in open_lake(tmp_path / "lake").sql(query).fetchall()]
    code, found = comparing(*ids)
    assert code == 0
    assert [result["name"] for result in found["results"]] == [f"stud ({identity[:8]})" for identity in ids]
    assert [result["score"]["accuracy"]["value"] * 12 for result in found["results"]] == pytest.approx([2, 1])


def test_the_first_run_is_the_baseline_and_tables_say_what_is_discordant(
    evaluated: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluated("good", answers(*range(9)))
    evaluated("weak", answers(0, 1, 2, 11))
    capsys.readouterr()
    assert run(["compare", "--lake", str(tmp_path / "lake"), "--by", "level"]) == 0
    printed = capsys.readouterr().out
    assert "Question by question against good" in printed
    assert "By level" in printed
    assert "-41.7" in printed


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(
    ("options", "finding"),
    [
        (["godo"], "did you mean 'good'"),
        (["zzz"], "there are 'good', 'weak'"),
        (["good", "--baseline", "waek"], "did you mean 'weak'"),
        (["--by", "levle"], "did you mean 'level'"),
        (["--html", "nowhere/page.html"], "a directory that exists"),
        (["--at", "999"], "999"),
    ],
)
def test_wrong_options_are_named(options: list[str], finding: str, comparing: Comparing) -> None:
    code, said = comparing(*options)
    assert code == 2
    assert finding in said


def test_a_lake_without_evaluations_says_how_to_make_one(comparing: Comparing, tmp_path: Path) -> None:
    open_lake(tmp_path / "lake", create=True)
    code, said = comparing()
    assert code == 2
    assert "`toolkit evaluate --tasks QUESTIONS --model MODEL` makes one" in said


def test_runs_without_a_common_question_are_refused(evaluated: Callable[..., None], comparing: Comparing) -> None:
    evaluated("first", answers(0), questions=QUESTIONS[:6])
    evaluated("second", answers(1), questions=QUESTIONS[6:])
    code, said = comparing("first", "second")
    assert code == 2
    assert "no question in common" in said
    assert comparing()[0] == 0


@pytest.mark.usefixtures("two")
def test_the_page_escapes_hostile_text_and_asks_nobody_for_anything(comparing: Comparing, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert comparing("--html", str(page), "--by", "level")[0] == 0
    text = page.read_text()
    assert "<script" not in text
    assert "\x1b" not in text
    assert "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;" in text
    assert "&lt;svg" not in text
    for word in ("http:", "https:", "src=", "@import", "url("):
        assert word not in text
    assert text.count("<svg") == text.count("</svg>")
    assert comparing("--html", str(page))[0] == 2
    assert comparing("--html", str(page), "--overwrite")[0] == 0


@pytest.mark.usefixtures("two")
def test_comparing_writes_nothing_to_the_lake(comparing: Comparing, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    before = {path: path.stat().st_mtime_ns for path in lake.rglob("*")}
    assert comparing("--html", str(tmp_path / "page.html"))[0] == 0
    assert {path: path.stat().st_mtime_ns for path in lake.rglob("*")} == before


@pytest.mark.usefixtures("two")
def test_a_page_that_cannot_be_written_is_named(comparing: Comparing) -> None:
    assert comparing("--html", "/proc/self/x.html") == (1, "error: /proc/self/x.html: No such file or directory\n")
