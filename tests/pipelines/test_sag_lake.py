"""A lake made with sag: SQL counts its votes again, and greedy runs beside it stay what they were."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

import toolkit
from pipelines.generate import GenerateOptions, generate
from pipelines.parts import ModelOptions
from pipelines.policy import PolicyName, PolicyOptions
from toolkit.agent.runner import Report
from toolkit.agent.setup import Sampling
from toolkit.api import Lake, open_lake
from toolkit.cli.main import run
from toolkit.contracts import Passage
from toolkit.dialects import load_dialect
from toolkit.errors import InputError
from toolkit.retrieval.lexical import LexicalRetriever
from toolkit.tasks.minipedia import Minipedia

WORLD = Minipedia(0, 200)
TASKS = list(WORLD.tasks("train", limit=12))

VOTES = """
SELECT trajectory_id, step_index, candidate_index, votes, chosen,
       CASE WHEN outcome_key IS NULL THEN 0
            ELSE count(*) OVER (PARTITION BY trajectory_id, attempt, step_index, outcome_key) END AS counted
FROM candidates
"""
REBUILT = f"""
SELECT count(*), count(*) FILTER (votes <> counted), count(*) FILTER (chosen <> (place = 1)), count(DISTINCT counted)
FROM (
    SELECT *, row_number() OVER (PARTITION BY trajectory_id, step_index ORDER BY counted DESC, candidate_index) AS place
    FROM ({VOTES})
)
"""


def make(path: Path, policy: PolicyName = "sag", *, samples: int = 2) -> tuple[Lake, Report]:
    lake = open_lake(path, create=True)
    options = GenerateOptions(
        ModelOptions("oracle", slips=0.6),
        samples=samples,
        policy=PolicyOptions(policy, sag_samples=4),
    )
    retriever = LexicalRetriever.over(Passage(article.title, article.text) for article in WORLD.articles("train"))
    return lake, asyncio.run(generate(lake, TASKS, options, retriever, run_kind="generate"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Report]:
    return make(tmp_path_factory.mktemp("sag") / "lake")


def test_sql_over_the_candidates_rebuilds_every_vote_and_every_choice(made: tuple[Lake, Report]) -> None:
    lake, report = made
    assert report.finished == 2 * len(TASKS)
    ((rows, wrong_votes, wrong_choices, sizes),) = lake.sql(REBUILT).fetchall()
    ((steps,),) = lake.sql("SELECT sum(n_steps) FROM trajectories WHERE kind = 'agent'").fetchall()
    assert (rows, wrong_votes, wrong_choices) == (4 * steps, 0, 0)
    assert sizes > 2


def test_the_step_is_its_chosen_candidate(made: tuple[Lake, Report]) -> None:
    differing = """
        SELECT count(*), count(*) FILTER (s.completion <> c.completion OR s.code IS DISTINCT FROM c.code
               OR s.completion_tokens <> c.completion_tokens
               OR (NOT s.is_final AND c.code IS NOT NULL AND s.observation <> c.observation))
        FROM candidates c JOIN steps s USING (trajectory_id, step_index) WHERE c.chosen"""
    ((compared, different),) = made[0].sql(differing).fetchall()
    assert compared > 2 * len(TASKS)
    assert different == 0


def test_a_trajectory_counts_the_tokens_of_all_candidates(made: tuple[Lake, Report]) -> None:
    wrong = """
        SELECT count(*), count(*) FILTER (t.completion_tokens <> c.written)
        FROM trajectories t
        JOIN (SELECT trajectory_id, sum(completion_tokens) AS written FROM candidates GROUP BY 1) c
        USING (trajectory_id)"""
    assert made[0].sql(wrong).fetchall() == [(2 * len(TASKS), 0)]


def test_the_run_states_what_the_policy_sampled_with(made: tuple[Lake, Report]) -> None:
    found = """
        SELECT DISTINCT settings->'policy'->>'policy', settings->'sampling'->>'temperature',
               identity->'sampling'->>'temperature', identity->'sag'->>'n' FROM runs"""
    assert made[0].sql(found).fetchall() == [("sag", "0.4", "0.4", "4")]


def test_failed_candidates_never_win_against_one_that_ran(made: tuple[Lake, Report]) -> None:
    found = """
        SELECT count(*) FILTER (chosen AND outcome_key IS NULL AND ran > 0), count(*) FILTER (outcome_key IS NULL)
        FROM (SELECT *, count(outcome_key) OVER (PARTITION BY trajectory_id, step_index) AS ran FROM candidates)"""
    ((wrongly_chosen, failed),) = made[0].sql(found).fetchall()
    assert wrongly_chosen == 0
    assert failed > 0


def test_what_sag_has_made_is_not_made_again_and_greedy_shares_only_first_thoughts(tmp_path: Path) -> None:
    lake, first = make(tmp_path / "lake", samples=1)
    _, again = make(tmp_path / "lake", samples=1)
    _, greedy = make(tmp_path / "lake", "greedy", samples=1)
    assert (first.finished, again.finished, again.skipped) == (len(TASKS), 0, len(TASKS))
    assert (greedy.finished, first.chains, greedy.chains) == (len(TASKS), len(TASKS), 0)
    policies = "SELECT sampling->>'policy', count(*) FROM trajectories WHERE kind = 'agent' GROUP BY 1 ORDER BY 1"
    assert lake.sql(policies).fetchall() == [("greedy", len(TASKS)), ("sag", len(TASKS))]


def test_the_same_sag_run_elsewhere_says_the_same(made: tuple[Lake, Report], tmp_path: Path) -> None:
    other, _ = make(tmp_path / "lake")
    votes = "SELECT trajectory_id, step_index, candidate_index, outcome_key, votes, chosen FROM candidates ORDER BY ALL"
    assert other.sql(votes).fetchall() == made[0].sql(votes).fetchall()


def test_options_win_over_what_sag_would_sample_with() -> None:
    sag = PolicyOptions("sag")
    assert (sag.agent_sampling, sag.chain_sampling) == (Sampling(0.4, 0.8), Sampling(0.0, 1.0))
    given = PolicyOptions("sag", temperature=0.0, seed=3)
    assert given.agent_sampling == Sampling(0.0, 0.8, seed=3)
    assert PolicyOptions().agent_sampling == Sampling()


@pytest.mark.parametrize(
    ("arguments", "finding"),
    [
        (["--kind", "cot"], "--policy sag chooses an agent's actions"),
        (["--sag-samples", "0"], "--sag-samples must be at least 1, got 0"),
        (["--vote", "loudest"], "loudest"),
    ],
)
def test_wrong_options_stop_before_anything_is_spent(
    arguments: list[str], finding: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks, script = tmp_path / "tasks.jsonl", tmp_path / "script.json"
    tasks.write_text('{"question": "a", "answer": "b"}\n')
    script.write_text('["x"]')
    command = ["generate", "--tasks", str(tasks), "--teacher", f"scripted:{script}", "--policy", "sag"]
    assert run([*command, *arguments, "--lake", str(tmp_path / "lake")]) == 2
    assert finding in capsys.readouterr().err
    assert not list((tmp_path / "lake").glob("segments/*"))


def test_python_refuses_a_policy_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="policy must be greedy or sag, got 'beam'"):
        toolkit.ask("Why?", model="scripted:none.json", policy="beam")


def scripted(path: Path, *codes: str) -> str:
    script = path / "script.json"
    script.write_text(json.dumps([load_dialect("codeact").render("So.", code) for code in codes]))
    return f"scripted:{script}"


def test_ask_shows_how_each_vote_went(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = scripted(tmp_path, "final_answer(7)", "final_answer(5)", "final_answer(5.0)")
    asked = ["ask", "How much?", "--model", model, "--policy", "sag", "--sag-samples", "3"]
    assert run(asked) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "final answer:" in line]
    assert rows == [
        ["0", "1", "ok", "final", "answer:", "7"],
        ["1", "2", "ok", "final", "answer:", "5"],
        ["2", "2", "ok", "final", "answer:", "5.0"],
    ]
    assert run([*asked, "--vote", "stdout", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["trajectory"]["final_answer"] == "7"
    assert [row["votes"] for row in found["candidates"]] == [3, 3, 3]


def test_show_says_how_each_vote_went(made: tuple[Lake, Report], capsys: pytest.CaptureFixture[str]) -> None:
    lake, _ = made
    find = "SELECT trajectory_id FROM candidates WHERE step_index = 0 AND chosen AND votes = 2 ORDER BY 1 LIMIT 1"
    ((trajectory_id,),) = lake.sql(find).fetchall()
    shown = ["show", trajectory_id, "--lake", str(lake.path)]
    assert run(shown) == 0
    assert "4 candidates · votes 2" in capsys.readouterr().out
    assert run([*shown, "--full"]) == 0
    assert "candidate   votes   status" in capsys.readouterr().out
    assert run([*shown, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["candidates"]) % 4 == 0


def test_python_takes_the_same_options(tmp_path: Path) -> None:
    model = scripted(tmp_path, "final_answer(7)", "final_answer(5)", "final_answer(5.0)")
    done = toolkit.ask("How much?", model=model, policy="sag", sag_samples=3)
    assert (done.trajectory.final_answer, len(done.candidates)) == ("5", 3)
