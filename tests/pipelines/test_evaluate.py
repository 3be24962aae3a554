import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_model import make_tiny_adapter, make_tiny_model

from pipelines.evaluate import check_graders
from pipelines.generate import GenerateOptions, build_setup
from pipelines.parts import ModelOptions
from schemas import Model
from toolkit.api import Lake, open_lake
from toolkit.cli.main import run
from toolkit.contracts import Passage
from toolkit.dialects import load_dialect
from toolkit.errors import InputError
from toolkit.llm.local_weights import LocalModel
from toolkit.retrieval.lexical import LexicalRetriever
from toolkit.tasks.source import open_tasks

SUMS = [{"id": n, "question": f"Twice {n}?", "answer": 2 * n} for n in range(4)]
Evaluating = Callable[..., tuple[int, Any]]


@pytest.fixture
def sums(tmp_path: Path) -> Path:
    """Four questions in the format of the paper's files."""
    path = tmp_path / "sums_500_20250101.json"
    path.write_text(json.dumps({"metadata": {"dataset_info": {"name": "sums", "fold": "test"}}, "examples": SUMS}))
    return path


@pytest.fixture
def evaluating(sums: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Evaluating:
    """`toolkit evaluate` with a scripted model; its exit code, and what it printed or the error."""

    def evaluate(replies: list[str], *options: str, tasks: str = str(sums)) -> tuple[int, Any]:
        script = tmp_path / "script.json"
        script.write_text(json.dumps(replies))
        capsys.readouterr()
        common = ["--tasks", tasks, "--model", f"scripted:{script}", "--lake", str(tmp_path / "lake"), "--json"]
        code = run(["evaluate", *common, "--in-flight", "1", "--sandbox", "unsafe", *options])
        printed = capsys.readouterr()
        return code, json.loads(printed.out) if printed.out else printed.err

    return evaluate


def lake_of(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake")


def cot(*answers: object) -> list[str]:
    return [f"Let me see.\n\nFinal answer: {answer}" for answer in answers]


def test_chains_are_written_as_a_students_graded_and_summed_up(evaluating: Evaluating, tmp_path: Path) -> None:
    code, found = evaluating(cot(0, "2.0", 5, 6), "--kind", "cot", "--name", "mine")
    assert code == 0
    (result,) = found["results"]
    assert (result["name"], result["dataset"], result["split"]) == ("mine", "sums", None)
    assert (result["score"]["questions"], result["score"]["accuracy"]["value"]) == (4, 0.75)
    rows = lake_of(tmp_path).sql(
        "SELECT role, kind, correct, count(*) FROM trajectories_scored GROUP BY ALL ORDER BY 4"
    )
    assert rows.fetchall() == [("student", "cot", False, 1), ("student", "cot", True, 3)]
    names = lake_of(tmp_path).sql("SELECT name, len(run_ids) FROM evaluations").fetchall()
    assert names == [("mine", 1)]


def test_agents_get_the_students_prompt_unless_the_teachers_is_asked_for(
    evaluating: Evaluating, tmp_path: Path
) -> None:
    render = load_dialect("codeact").render
    replies = [render("Twice it is.", f"final_answer({2 * n})") for n in range(4)]
    assert evaluating(replies)[0] == 0
    assert evaluating(replies, "--prompt", "teacher")[0] == 0
    rows = lake_of(tmp_path).sql(
        "SELECT text, role, count(*) FROM trajectories JOIN prompts ON prompt_hash = system_prompt_hash GROUP BY ALL"
    )
    dialect = load_dialect("codeact")
    prompts = [dialect.student_prompt([]), dialect.teacher_prompt([])]
    assert sorted(rows.fetchall()) == sorted((prompt, "student", 4) for prompt in prompts)


def test_an_evaluation_that_was_stopped_goes_on_and_repeats_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--tasks", "minipedia:test?size=50", "--limit", "12", "--model", "oracle", "--in-flight", "4", "--json"]
    common += ["--sandbox", "unsafe", "--lake", str(tmp_path / "lake")]
    assert run(["evaluate", *common, "--max-tokens", "4000"]) == 1
    first = json.loads(capsys.readouterr().out)
    assert first["run"]["out_of_budget"]
    assert 0 < first["run"]["finished"] < 12
    assert run(["evaluate", *common]) == 0
    second = json.loads(capsys.readouterr().out)
    assert second["identity"] == first["identity"]
    assert second["run"]["skipped"] == first["run"]["finished"]
    assert second["run"]["finished"] == 12 - first["run"]["finished"]
    assert second["results"][0]["score"]["questions"] == 12
    counts = "SELECT count(*), count(DISTINCT trajectory_id), max(attempt) FROM raw.trajectories"
    assert lake_of(tmp_path).sql(counts).fetchall() == [(12, 12, 0)]
    assert lake_of(tmp_path).sql("SELECT len(run_ids) FROM evaluations").fetchall() == [(2,)]


def test_rollouts_whose_model_failed_are_left_alone_if_asked(evaluating: Evaluating, tmp_path: Path) -> None:
    # The script ends after two of four questions, like a server that went away.
    code, first = evaluating(cot(0, 2), "--kind", "cot")
    assert (code, first["run"]["stop_reasons"]) == (1, {"final_answer": 2, "error": 2})
    assert (first["results"][0]["score"]["accuracy"]["value"], first["results"][0]["costs"]["failed"]) == (0.5, 2)
    code, second = evaluating(cot(0, 2), "--kind", "cot", "--retry", "none")
    assert (code, second["run"]["finished"], second["run"]["skipped"], second["run"]["left"]) == (1, 0, 2, 2)


def test_further_questions_join_the_same_evaluation(tmp_path: Path) -> None:
    world = ["--model", "oracle", "--lake", str(tmp_path / "lake"), "--kind", "cot", "--json"]
    for limit in (4, 10):
        assert run(["evaluate", "--tasks", "minipedia:test?size=50", "--limit", str(limit), *world]) == 0
    rows = lake_of(tmp_path).sql(
        "SELECT len(run_ids), count(*), count(DISTINCT task_id) FROM evaluations JOIN evaluated USING (identity_hash) "
        "GROUP BY ALL"
    )
    assert rows.fetchall() == [(2, 10, 10)]
    assert lake_of(tmp_path).sql("SELECT count(*) FROM raw.trajectories").fetchall() == [(10,)]


def test_a_finished_evaluation_can_be_named_later(evaluating: Evaluating, tmp_path: Path) -> None:
    evaluating(cot(0, 2, 4, 6), "--kind", "cot")
    code, found = evaluating(cot(0, 2, 4, 6), "--kind", "cot", "--name", "late")
    assert (code, found["run"]["skipped"], found["results"][0]["name"]) == (0, 4, "late")
    assert lake_of(tmp_path).sql("SELECT name FROM evaluations").fetchall() == [("late",)]


def test_chains_made_for_first_thoughts_belong_to_an_evaluation_of_chains(tmp_path: Path) -> None:
    common = [
        "--tasks",
        "minipedia:test?size=50",
        "--limit",
        "5",
        "--model",
        "oracle",
        "--lake",
        str(tmp_path / "lake"),
    ]
    assert run(["evaluate", *common, "--ftp", "--sandbox", "unsafe"]) == 0
    assert run(["evaluate", *common, "--kind", "cot", "--name", "chains"]) == 0
    rows = lake_of(tmp_path).sql(
        "SELECT e.name, kind, count(*) FROM evaluations e JOIN evaluated USING (identity_hash) GROUP BY ALL ORDER BY 2"
    )
    assert rows.fetchall() == [(None, "agent", 5), ("chains", "cot", 5)]


def test_several_samples_are_voted_on(evaluating: Evaluating) -> None:
    replies = cot(0, 1, "0.0", 2, 2, 3, 9, 9, 4, 5, 6, 6)
    code, found = evaluating(replies, "--kind", "cot", "--samples", "3", "--temperature", "0.7")
    score = found["results"][0]["score"]
    assert code == 0
    assert score["accuracy"]["value"] == pytest.approx((2 + 2 + 1 + 2) / 12)
    assert score["majority"]["value"] == 0.75
    # Samples 3, right 2, 2, 1, 2: of two samples one is right always, always, in two choices of three, always.
    assert score["pass_at_k"]["2"]["value"] == pytest.approx((1 + 1 + 2 / 3 + 1) / 4)
    assert score["pass_at_k"]["3"]["value"] == 1.0


def test_what_training_wrote_of_a_model_stays(evaluating: Evaluating, tmp_path: Path) -> None:
    evaluating(cot(0, 2, 4, 6), "--kind", "cot")
    lake = lake_of(tmp_path)
    ((model_id, name),) = lake.sql("SELECT model_id, name FROM models").fetchall()
    trained = Model(model_id=model_id, name=name, base="some-base", trained_from="curated")
    with lake.write("train") as batch:
        batch.add([trained])
    evaluating(cot(0, 2, 4, 6), "--kind", "cot", "--temperature", "0.5")
    assert lake.sql("SELECT base, trained_from FROM models").fetchall() == [("some-base", "curated")]


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        (["--grader", "maths"], "maths"),
        (["--name", ""], "--name must be 1 to 100"),
        (["--name", "a\nb"], "--name must be 1 to 100"),
        (["--samples", "0"], "--samples must be at least 1"),
        (["--passages", "0"], "--passages must be at least 1"),
        (["--kind", "cot_rag"], "name an --index"),
        (["--kind", "cot", "--policy", "sag"], "--policy sag chooses an agent's actions"),
    ],
)
def test_wrong_options_stop_before_anything_runs(
    options: list[str], finding: str, evaluating: Evaluating, tmp_path: Path
) -> None:
    code, said = evaluating(["x"], *options)
    assert code == 2
    assert finding in said
    assert not list((tmp_path / "lake").glob("commits/*.json"))


@pytest.mark.parametrize(
    ("tasks", "options", "finding"),
    [
        ("minipedia:test", ["--grader", "math"], "given by the generator"),
        ("nowhere.json", [], "no such file"),
    ],
)
def test_wrong_questions_are_named(tasks: str, options: list[str], finding: str, evaluating: Evaluating) -> None:
    code, said = evaluating(["x"], *options, tasks=tasks)
    assert code == 2
    assert finding in said


def test_another_grader_for_known_questions_is_refused(evaluating: Evaluating, sums: Path, tmp_path: Path) -> None:
    assert evaluating(cot(0, 2, 4, 6), "--kind", "cot", "--grader", "math")[0] == 0
    code, said = evaluating(cot(0, 2, 4, 7), "--kind", "cot", "--grader", "fact")
    assert code == 2
    assert "grades 4 of these questions as math, and fact was asked for" in said
    with pytest.raises(InputError, match="as math"):
        check_graders(lake_of(tmp_path), list(open_tasks(str(sums), domain="fact")))


def test_the_grader_decides_how_a_file_is_compared(evaluating: Evaluating) -> None:
    assert evaluating(cot(0, 2, 4, 6), "--kind", "cot", "--grader", "fact")[1]["results"][0]["score"]["questions"] == 4
    code, found = evaluating(cot(0, "2.0", 4, 6), "--kind", "cot", "--grader", "fact")
    # As words 2.0 is 20.
    assert found["results"][0]["score"]["accuracy"]["value"] == 0.75


def test_a_dry_run_asks_no_model_and_writes_nothing(evaluating: Evaluating, tmp_path: Path) -> None:
    code, found = evaluating([], "--kind", "cot", "--dry-run")
    assert (code, found["new"]) == (0, 4)
    assert not (tmp_path / "lake").exists()


def test_the_number_of_passages_enters_an_agents_identity_only_where_it_is_unusual(tmp_path: Path) -> None:
    retriever = LexicalRetriever.over([Passage("A", "a")])

    def identity(passages: int, searching: bool = True) -> dict[str, object]:
        options = GenerateOptions(ModelOptions("oracle"), n_passages=passages, sandbox="unsafe", ftp=False)
        return build_setup([], options, retriever if searching else None).identity

    assert identity(3)["passages"] is None
    assert identity(5)["passages"] == 5
    assert identity(5, searching=False) == identity(3, searching=False)


def test_a_student_in_process_has_the_id_that_training_gives_it(sums: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    make_tiny_model(tmp_path / "tiny")
    model = f"hf:{tmp_path / 'tiny'}"
    options = ["--kind", "cot", "--limit", "1", "--completion-tokens", "4", "--lake", str(tmp_path / "lake")]
    assert run(["evaluate", "--tasks", str(sums), "--model", model, *options]) == 0
    known = LocalModel(str(tmp_path / "tiny"))
    rows = lake_of(tmp_path).sql(
        "SELECT m.model_id, m.name, m.revision FROM models m SEMI JOIN evaluated USING (model_id)"
    )
    assert rows.fetchall() == [(known.model_id, "tiny", known.revision)]


@pytest.fixture(scope="module")
def students(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base, an adapter for it, the base with two letters exchanged, and the base without chat template."""
    pytest.importorskip("peft")
    place = tmp_path_factory.mktemp("students")
    make_tiny_adapter(place / "adapter", make_tiny_model(place / "base"))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(place / "base" / name, place / "adapter")
    shutil.copytree(place / "base", place / "other")
    tokenizer = json.loads((place / "base" / "tokenizer.json").read_text())
    letters = tokenizer["model"]["vocab"]
    letters["a"], letters["b"] = letters["b"], letters["a"]
    (place / "other" / "tokenizer.json").write_text(json.dumps(tokenizer))
    shutil.copytree(place / "base", place / "bare", ignore=shutil.ignore_patterns("chat_template.jinja"))
    return place


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("hf:./nowhere", [], "there is no directory ./nowhere with a model"),
        ("hf:{place}", [], "{place} holds no model: config.json is missing"),
        ("hf:{place}/base", ["--adapter", "{place}/no"], "there is no directory {place}/no with an adapter"),
        ("hf:{place}/base", ["--adapter", "{place}"], "{place} holds no adapter: adapter_config.json is missing"),
        (
            "hf:{place}/other",
            ["--adapter", "{place}/adapter"],
            "{place}/adapter was trained with another tokenizer than that of {place}/other: 2 tokens differ, "
            "such as 'a', which is 13 there and 14 here",
        ),
        (
            "hf:{place}/bare",
            [],
            "bare: the tokenizer has no chat template; expected one in chat_template.jinja beside it",
        ),
        ("openai:m", ["--adapter", "{place}/adapter"], "--adapter is for hf: and vllm: models, not openai:m"),
        (
            "hf:{place}/base",
            ["--dtype", "int8"],
            "expected auto, float32, bfloat16 or float16 as the dtype, got 'int8'",
        ),
        (
            "gpt",
            [],
            "expected oracle, oracle:recall=SHARE, openai:MODEL, hf:PATH_OR_NAME, vllm:PATH_OR_NAME or scripted:FILE "
            "as the model, got 'gpt'",
        ),
        (
            "hf:{place}/base",
            ["--policy", "beam"],
            'Invalid value "beam" for --policy. Choose from: "greedy", "sag". '
            "`toolkit evaluate --help` lists the options",
        ),
    ],
)
def test_what_cannot_be_evaluated_is_refused_in_these_words(
    model: str,
    options: list[str],
    message: str,
    students: Path,
    sums: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = ["--tasks", str(sums), "--lake", str(tmp_path / "lake"), "--sandbox", "unsafe"]
    given += ["--model", model, *options]
    assert run(["evaluate", *(text.format(place=students) for text in given)]) == 2
    assert " ".join(capsys.readouterr().err.split()) == f"error: {message.format(place=students)}"
    assert not list((tmp_path / "lake").glob("commits/*.json"))
