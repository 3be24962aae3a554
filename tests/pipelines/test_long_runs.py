"""`toolkit generate` as one types it: budgets, shards, retries, dry runs."""

import json
from pathlib import Path
from typing import Any

import pytest

from toolkit.cli.main import run
from toolkit.dialects import load_dialect
from toolkit.lake.lake import open_lake
from toolkit.tasks.minipedia import Minipedia

TASKS = "minipedia:train?size=60"


@pytest.fixture
def generate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command over twenty questions that need no search; exit code, report, what was said."""
    questions = tmp_path / "questions.jsonl"
    tasks = list(Minipedia(0, 60).tasks("train", limit=20))
    questions.write_text(
        "".join(json.dumps({"id": str(n), "question": t.question, "answer": "1"}) + "\n" for n, t in enumerate(tasks))
    )
    script = tmp_path / "script.json"
    turn = load_dialect("codeact").render("Easy.", "final_answer(1)")
    script.write_text(json.dumps([turn] * 20))

    def call(*more: object, lake: str = "lake", json_out: bool = True) -> tuple[int, dict[str, Any], str]:
        arguments = ["generate", "--tasks", questions, "--teacher", f"scripted:{script}", "--no-ftp"]
        arguments += ["--sandbox", "unsafe", "--lake", tmp_path / lake, *more, *(["--json"] if json_out else [])]
        code = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, json.loads(out) if out.startswith("{") else {"text": out}, err

    return call


def test_shards_together_do_what_one_run_does(tmp_path: Path, generate: Any) -> None:
    reports = [generate("--shard", f"{number}/3")[1] for number in (1, 2, 3)]
    assert sum(report["finished"] for report in reports) == 20
    code, whole, _ = generate()
    assert (code, whole["finished"], whole["skipped"]) == (0, 0, 20)
    assert open_lake(tmp_path / "lake").sql("SELECT count(*) FROM raw.trajectories").fetchall() == [(20,)]


def test_failed_rollouts_are_rows_that_the_next_run_tries_again(tmp_path: Path, generate: Any) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps(json.loads(script.read_text())[:15]))
    # The script is part of the identity, so both runs have the short one: five questions always fail.
    code, report, _ = generate()
    assert (code, report["stop_reasons"]) == (1, {"final_answer": 15, "error": 5})
    code, report, _ = generate("--retry", "none")
    assert (code, report["finished"], report["left"]) == (1, 0, 5)
    code, report, _ = generate("--retry", "timeouts")
    assert (code, report["finished"], report["left"]) == (1, 0, 5)
    code, report, _ = generate()
    assert (code, report["finished"], report["retried"], report["left"]) == (0, 5, 5, 0)


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        (["--shard", "3/2"], "expected --shard as i/n"),
        (["--max-cost", "1"], "--price-in and --price-out"),
        (["--price-in", "1"], "--price-in and --price-out"),
        (["--max-tokens", "0"], "--max-tokens must be at least 1"),
        (["--max-cost", "-1", "--price-in", "1", "--price-out", "1"], "--max-cost must be above 0"),
        (["--price-in", "-1", "--price-out", "1"], "--price-in must not be below 0"),
        (["--completion-tokens", "0"], "--completion-tokens must be at least 1"),
        (["--retry", "some"], "--retry"),
    ],
)
def test_wrong_options_are_named_before_anything_is_written(
    tmp_path: Path, generate: Any, options: list[str], finding: str
) -> None:
    code, _, said = generate(*options)
    assert code == 2
    assert finding in said
    assert not (tmp_path / "lake").exists()


def test_a_model_that_does_not_count_tokens_cannot_have_a_token_budget(generate: Any) -> None:
    code, _, said = generate("--max-tokens", "100")
    assert code == 1
    assert "does not say how many tokens" in said


def oracle(
    lake: Path, capsys: pytest.CaptureFixture[str], *more: object, limit: int = 12
) -> tuple[int, dict[str, Any]]:
    arguments = ["generate", "--tasks", TASKS, "--limit", limit, "--kind", "cot", "--lake", lake, "--json", *more]
    code = run([str(argument) for argument in arguments])
    return code, json.loads(capsys.readouterr().out)


def test_a_budget_counts_what_earlier_runs_spent_and_prices_fill_the_cost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = tmp_path / "lake"
    prices = ["--price-in", 1_000, "--price-out", 5_000]
    code, _ = oracle(lake, capsys, *prices, limit=6)
    assert code == 0
    ((read, written, cost),) = (
        open_lake(lake)
        .sql("SELECT sum(prompt_tokens), sum(completion_tokens), sum(cost_usd) FROM trajectories")
        .fetchall()
    )
    assert cost == pytest.approx(float(read) / 1_000 + float(written) / 200)
    code, report = oracle(lake, capsys, *prices, "--max-cost", float(cost), "--in-flight", 1)
    assert (code, report["finished"], report["unfinished"]) == (1, 0, 1)
    assert "USD are spent, --max-cost is" in report["out_of_budget"]
    code, report = oracle(lake, capsys, "--max-tokens", int(read + written) + 1, "--in-flight", 1)
    assert (code, report["finished"]) == (1, 1)
    code, report = oracle(lake, capsys)
    assert (code, report["finished"], report["skipped"]) == (0, 5, 7)


def test_a_dry_run_counts_by_state_and_says_what_its_estimate_rests_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = tmp_path / "lake"
    prices = ["--price-in", 1, "--price-out", 1]
    code, found = oracle(lake, capsys, "--dry-run", *prices)
    assert (code, found["new"], found["read"], found["written"]) == (0, 12, 12 * 1_500, 12 * 150)
    assert found["cost_usd"] == pytest.approx(12 * 1_650 / 1e6)
    assert "an assumption" in found["basis"]
    assert not lake.exists()
    oracle(lake, capsys, limit=4)
    code, same = oracle(lake, capsys, "--dry-run")
    assert (same["done"], same["new"], same["cost_usd"]) == (4, 8, None)
    assert same["basis"] == "the mean of 4 finished rollouts of the same settings"
    ((read,),) = open_lake(lake).sql("SELECT sum(prompt_tokens) FROM trajectories").fetchall()
    assert same["read"] == pytest.approx(2 * float(read))
    code, other = oracle(lake, capsys, "--dry-run", "--seed", 1)
    assert (other["done"], other["new"]) == (0, 12)


def test_a_dry_run_is_printed_for_people(generate: Any) -> None:
    code, out, said = generate("--dry-run", json_out=False)
    assert code == 0
    assert "Nothing was run" in out["text"]
    assert "20 rollouts would take about" in said
    assert "an assumption" in said


def test_begun_rollouts_are_counted_by_a_dry_run(tmp_path: Path, generate: Any) -> None:
    code, report, _ = generate("--max-tokens", "100", "--in-flight", "1")
    assert code == 1
    code, found, _ = generate("--dry-run")
    assert (code, found["begun"], found["new"]) == (0, 1, 19)
    code, found, _ = generate()
    assert (code, found["replayed"], found["finished"]) == (0, 1, 20)
