import json
import random
from pathlib import Path

import pytest
from episodes import Fill, episode
from planted_contamination import Entry, benchmark, boilerplate, clean, competition, copied, recalled, rollout, shown

from pipelines.filter import Filtered, filter_lake
from pipelines.recipe import parse_recipe
from toolkit.api import Lake
from toolkit.cli.main import run
from toolkit.errors import InputError, QueryError, RecipeError
from toolkit.tasks.source import open_tasks

KINDS = ("task", "answer", "passage")


def write(path: Path, entries: list[Entry]) -> Path:
    rows = [{"id": f"q{at}", "question": entry.question, "answer": entry.answer} for at, entry in enumerate(entries)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def decontaminate(lake: Lake, against: str, options: str = "", steps: str = "") -> Filtered:
    text = f"name: v1\nsteps:\n{steps}  - decontaminate: {{against: ['{against}']{options}}}\n"
    return filter_lake(lake, parse_recipe(text, "recipe"))


def hits(lake: Lake) -> list[tuple[object, ...]]:
    query = (
        "SELECT dataset, benchmark_id, c.kind, match, kept FROM contamination c JOIN trajectories USING (trajectory_id)"
    )
    return lake.sql(f"{query} ORDER BY ALL").fetchall()


@pytest.mark.parametrize("seed", range(3))
def test_planted_contaminations_are_found_in_kind_and_boilerplate_is_not(fill: Fill, tmp_path: Path, seed: int) -> None:
    entries = benchmark(seed)
    path = write(tmp_path / "made_up.jsonl", [*entries, *competition()])
    random_ = random.Random(f"planting {seed}")
    planted = {
        "task": [rollout(copied(entry, at)) for at, entry in enumerate(entries)],
        "answer": [recalled(random_, entry, at) for at, entry in enumerate(entries)],
        "passage": [shown(random_, entry) for entry in entries],
    }
    for kind, episodes in planted.items():
        fill(episodes, dataset=kind)
    fill([rollout(question) for question in boilerplate()], dataset="boilerplate")
    lake = fill(clean(random_, 200), dataset="clean")
    outcome = decontaminate(lake, str(path))
    query = """
        SELECT dataset, 'q' || source_position - 1 = benchmark_id AND c.kind = dataset AS is_right, kept
        FROM trajectories JOIN contamination c USING (trajectory_id)"""
    found = lake.sql(query).fetchall()
    assert {dataset for dataset, _, _ in found} == set(KINDS)
    for kind in KINDS:
        right = [kept for dataset, is_right, kept in found if dataset == kind and is_right]
        assert len(right) >= 49, kind
        assert set(right) == {kind == "passage"}
    assert sum(not is_right for _, is_right, _ in found) == 0
    assert outcome.selection.n_input - outcome.selection.n_kept == sum(not kept for _, _, kept in found)


def test_without_discount_the_same_boilerplate_would_be_taken_for_contamination(fill: Fill, tmp_path: Path) -> None:
    # One look-alike among nothing that shows how common its phrases are.
    lake = fill([rollout(boilerplate()[0])])
    decontaminate(lake, str(write(tmp_path / "b.jsonl", competition()[:1])))
    assert [(kind, match) for _, _, kind, match, _ in hits(lake)] == [("task", "near")]


ENTRY = Entry(
    "Which river flows through the town where the glass painter Ada Quillon was born?",
    "Orrinveth Sarn",
    "the glass painter Ada Quillon was born in a town on a river, and that river is the Orrinveth Sarn",
    "Ada Quillon, a glass painter, was born in Vell; through this town flows the river Orrinveth Sarn.",
)


@pytest.fixture
def against(tmp_path: Path) -> str:
    return str(write(tmp_path / "one.jsonl", [ENTRY]))


def test_what_stands_only_in_a_passage_is_reported_and_drops_only_when_asked(fill: Fill, against: str) -> None:
    lake = fill([rollout("Who mills?", observation=ENTRY.passage)])
    decontaminate(lake, against)
    assert hits(lake) == [("d", "q0", "passage", "answer", True)]
    decontaminate(lake, against, ", drop: [passage], report: [task]")
    assert hits(lake) == [("d", "q0", "passage", "answer", False)]
    decontaminate(lake, against, ", report: []")
    assert hits(lake) == []


def test_a_telling_answer_without_its_question_is_a_mention_and_drops_only_when_asked(fill: Fill, against: str) -> None:
    asked = "Is the Orrinveth Sarn long?"
    lake = fill([rollout("Who mills?", "Perhaps it is the Orrinveth Sarn."), rollout(asked, "The Orrinveth Sarn is.")])
    decontaminate(lake, against)
    assert hits(lake) == [("d", "q0", "answer", "mention", True)]
    decontaminate(lake, against, ", drop_mentions: true")
    assert hits(lake) == [("d", "q0", "answer", "mention", False)]


def test_an_answer_to_the_question_in_other_words_is_found_by_the_task(fill: Fill, against: str) -> None:
    task = "Name the river of the town in which Ada Quillon, who was a painter of glass, was born."
    lake = fill([rollout(task, "It must be the Orrinveth Sarn."), rollout(task, "No idea.")])
    decontaminate(lake, against)
    assert hits(lake) == [("d", "q0", "answer", "answer", False)]


def test_the_overlap_is_quoted_from_where_it_stands(fill: Fill, against: str) -> None:
    lake = fill([rollout("Who mills?", "So. " + ENTRY.restatement + "!"), rollout(f"Well: {ENTRY.question} Say!")])
    decontaminate(lake, against)
    found = lake.sql("""
        SELECT place, overlap, substr(CASE place WHEN 'thought' THEN thought ELSE question END,
                                      start_char + 1, end_char - start_char)
        FROM contamination c JOIN trajectories_scored USING (trajectory_id)
        LEFT JOIN steps s ON s.trajectory_id = c.trajectory_id AND s.step_index = c.step_index""").fetchall()
    assert {place for place, _, _ in found} == {"thought", "question"}
    assert all(overlap == quoted for _, overlap, quoted in found)
    assert ENTRY.question.rstrip("?") in [overlap for _, overlap, _ in found]


def test_questions_of_the_lake_can_be_the_benchmark(fill: Fill) -> None:
    fill([episode(ENTRY.question, gold=[ENTRY.answer])], dataset="bench")
    lake = fill([rollout(ENTRY.question.upper()), rollout("Who mills?")], dataset="train")
    decontaminate(lake, "tasks where dataset = ''bench''", steps="  - where: \"dataset = 'train'\"\n")
    found = lake.sql("SELECT benchmark, c.kind, match, kept FROM contamination c").fetchall()
    assert found == [("tasks where dataset = 'bench'", "task", "exact", False)]


def test_what_is_reported_stays_in_the_evidence_of_a_later_rule(fill: Fill, against: str) -> None:
    lake = fill([rollout("Who mills?", observation=ENTRY.passage)])
    text = f"name: v1\nsteps:\n  - decontaminate: {{against: ['{against}']}}\n  - where: \"n_steps > 9\"\n"
    filter_lake(lake, parse_recipe(text, "recipe"))
    ((rule, evidence),) = lake.sql("SELECT rule, evidence FROM decisions").fetchall()
    said = json.loads(evidence)
    assert (rule, said["failed"]) == ("2: where", ["n_steps > 9"])
    assert said["reported"]["1: decontaminate"]["n_hits"] == 1
    assert lake.sql("SELECT rule, kept, fate FROM contamination").fetchall() == [
        ("1: decontaminate", False, "reported")
    ]


def test_the_selection_depends_on_neither_order_of_questions_nor_of_import(fill: Fill, tmp_path: Path) -> None:
    entries = [*benchmark(1, 12), *competition()]
    episodes = [rollout(copied(entry, at)) for at, entry in enumerate(entries)] + [rollout("Who mills?")]
    lake = fill(episodes[:9])
    fill(episodes[9:], start=10)
    one = decontaminate(lake, str(write(tmp_path / "one.jsonl", entries)))
    other = decontaminate(lake, str(write(tmp_path / "other.jsonl", entries[::-1])))
    assert one.selection.n_kept < len(episodes)
    assert one.selection.content_hash == other.selection.content_hash


def test_the_command_prints_what_was_found_in_what(
    fill: Fill, against: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = fill([rollout("Who mills?", observation=ENTRY.passage), rollout(ENTRY.question)])
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"name: v1\nsteps:\n  - decontaminate: {{against: ['{against}']}}\n")
    assert run(["filter", str(recipe), "--lake", str(lake.path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    common = {"benchmark": "one.jsonl", "questions": 1, "trajectories": 1}
    assert said["steps"][0]["found"] == [
        {**common, "kind": "passage", "match": "answer", "fate": "reported"},
        {**common, "kind": "task", "match": "exact", "fate": "drops"},
    ]
    assert run(["filter", str(recipe), "--lake", str(lake.path)]) == 0
    assert "found by 1: decontaminate" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("against", "error", "said"),
    [
        ("nowhere.json", InputError, r"step 1: decontaminate \(line 3 of recipe\): nowhere.json: no such file"),
        ("tasks where dataset = ''none''", InputError, "no task of the lake"),
        ("tasks where datasets = ''d''", QueryError, "step 1: decontaminate"),
        ("tasks where true; DROP TABLE tasks", QueryError, "step 1: decontaminate"),
    ],
)
def test_a_benchmark_that_cannot_be_used_stops_before_anything_is_decided(
    fill: Fill, against: str, error: type[Exception], said: str
) -> None:
    lake = fill([rollout("Who mills?")])
    before = lake.snapshot().number
    with pytest.raises(error, match=said):
        decontaminate(lake, against)
    assert lake.snapshot().number == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("ngram: 0", "got 0"),
        ("jaccard: 1.5", "got 1.5"),
        ("drop: [task, passage]", "passage cannot be both dropped and reported"),
        ("drop: [tasks]", "got 'tasks'"),
    ],
)
def test_options_of_decontamination_that_make_no_sense_name_their_line(options: str, said: str) -> None:
    with pytest.raises(RecipeError, match=f"line 3.*{said}"):
        parse_recipe(f"name: v1\nsteps:\n  - decontaminate: {{against: [a.json], {options}}}\n", "recipe")


def test_overlap_finds_questions_before_they_are_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = "Name the river of the town in which Ada Quillon, who was a painter of glass, was born."
    learned = [
        Entry(ENTRY.question.upper(), "no", "", ""),
        Entry(other, ENTRY.answer, "", ""),
        Entry("Who?", "I", "", ""),
    ]
    tasks, against = write(tmp_path / "tasks.jsonl", learned), write(tmp_path / "bench.jsonl", [ENTRY])
    assert run(["overlap", str(tasks), "--against", str(against), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(row["task_id"], row["kind"], row["match"]) for row in found] == [
        ("q0", "task", "exact"),
        ("q1", "answer", "answer"),
    ]
    assert run(["overlap", str(tasks), "--against", str(against)]) == 0
    printed = capsys.readouterr()
    assert "bench.jsonl" in printed.out
    assert "tasks.jsonl q0: bench.jsonl q0, exact 1.0" in printed.err


def test_overlap_names_questions_without_an_id_on_both_sides_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps({"question": ENTRY.question, "answer": ENTRY.answer}) + "\n")
    assert run(["overlap", str(path), "--against", str(path), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["task_id"] == found["id"] == next(open_tasks(str(path))).task_id
    assert run(["overlap", str(path), "--against", str(path)]) == 0
    assert f"q.jsonl {found['id']}: q.jsonl {found['id']}, exact" in capsys.readouterr().err


def test_overlap_names_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["overlap", "minipedia:test?size=50", "--against", str(tmp_path / "none.json")]) == 2
    assert "none.json: no such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        (["--jaccard", "7"], "--jaccard must be above 0 and at most 1, got 7"),
        (["--jaccard", "0"], "--jaccard must be above 0 and at most 1, got 0"),
        (["--jaccard", "nan"], "--jaccard must be above 0 and at most 1, got nan"),
        (["--ngram", "0"], "--ngram must be at least 1, got 0"),
    ],
)
def test_overlap_refuses_what_no_similarity_can_be(
    capsys: pytest.CaptureFixture[str], options: list[str], finding: str
) -> None:
    world = "minipedia:test?size=50"
    assert run(["overlap", world, "--against", world, *options]) == 2
    assert finding in capsys.readouterr().err
