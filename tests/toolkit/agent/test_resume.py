"""Runs that fail, stop and go on, in one process: what is asked of the model over all of them is counted."""

import asyncio
import re
from collections import Counter
from pathlib import Path

import pytest

from schemas import Task
from schemas.identity import derive_id
from toolkit.agent.budget import Budget, Meter
from toolkit.agent.known import Retry, load_known
from toolkit.agent.recorder import RecordedLLM
from toolkit.agent.report import Report
from toolkit.agent.runner import Plan, Runner
from toolkit.agent.setup import Sag, Setup
from toolkit.contracts import Completion, CompletionRequest
from toolkit.dialects import load_dialect
from toolkit.dialects.chain_of_thought import ChainOfThought
from toolkit.errors import ModelError, ModelTimeoutError
from toolkit.lake.journals import open_journal
from toolkit.lake.lake import Lake, open_lake
from toolkit.lake.runs import start_run
from toolkit.llm.scripted import ScriptedLLM
from toolkit.sandbox import ProcessSandbox

DIALECT, CHAIN = load_dialect("codeact"), ChainOfThought()
TASKS = [
    Task(task_id=derive_id("task", n), dataset="d", question=f"Q{n}?", answers=["3"], domain="math") for n in range(6)
]


class Teacher(ScriptedLLM):
    """Three steps to the answer; `failing` says at which requests, by question and step, it gives none."""

    def __init__(self) -> None:
        super().__init__([], name="teacher")
        self.failing: dict[tuple[str, int], Exception] = {}
        self.asked: Counter[CompletionRequest] = Counter()

    async def complete(self, request: CompletionRequest) -> list[Completion]:
        await asyncio.sleep(0)
        step = sum(message.role == "assistant" for message in request.messages)
        for question, failing_step in self.failing:
            if failing_step == step and question in request.messages[1].content:
                raise self.failing[question, failing_step]
        self.asked[request] += 1
        texts = [self._turn(request, sample) for sample in range(request.n)]
        return [Completion(text, "stop", None if sample else 10, 5) for sample, text in enumerate(texts)]

    def _turn(self, request: CompletionRequest, sample: int) -> str:
        if "final_answer" not in request.messages[0].content:
            return "First I count.\n\nFinal answer: 3"
        step = sum(message.role == "assistant" for message in request.messages)
        code = "n = 1\nprint(n)" if step == 0 else "n += 1\nprint(n)" if step == 1 else "final_answer(n + 1)"
        turn = DIALECT.render("I count.", f"{code}  # {sample}")
        return turn.removeprefix("Thought: I count.") if request.prefix else turn


def run(
    path: Path,
    teacher: Teacher,
    *,
    retry: Retry = "errors",
    budget: Budget | None = None,
    ftp: bool = True,
    sag: Sag | None = None,
) -> tuple[Lake, Report]:
    """One start of the command."""

    async def go() -> Report:
        llm = RecordedLLM(teacher)
        async with ProcessSandbox(modules=()) as sandbox:
            chains = Setup(llm, DIALECT, CHAIN, kind="cot")
            setup = Setup(llm, DIALECT, CHAIN, sandbox=sandbox, sag=sag, first_thoughts=chains if ftp else None)
            with open_journal(lake.layout, setup.identity_hash) as journal:
                row = start_run("generate", identity=setup.identity, settings={}, input_commit=0)
                plan = Plan(setup, in_flight=2, retry=retry, meter=Meter(budget))
                recorded = journal.entries()
                runner = Runner(lake, plan, row, load_known(lake, setup), journal=journal, recorded=recorded)
                return await runner.run(TASKS)

    lake = open_lake(path, create=True)
    return lake, asyncio.run(go())


def contents(lake: Lake) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = lake.sql(
        "SELECT trajectory_id, content_hash FROM trajectories ORDER BY 1"
    ).fetchall()
    return found


@pytest.fixture
def calm(tmp_path: Path) -> list[tuple[str, str]]:
    """What an undisturbed run gives."""
    return contents(run(tmp_path / "calm", Teacher())[0])


def test_a_retry_goes_on_from_what_the_failed_attempt_was_answered(tmp_path: Path, calm: list[tuple[str, str]]) -> None:
    teacher = Teacher()
    teacher.failing = {("Q1?", 2): ModelError("busy"), ("Q2?", 0): ModelError("busy")}
    lake, first = run(tmp_path / "lake", teacher)
    assert first.stop_reasons == {"final_answer": 4, "error": 2}
    assert not first.is_whole
    teacher.failing = {}
    _, second = run(tmp_path / "lake", teacher)
    assert (second.finished, second.retried, second.skipped) == (2, 2, 4)
    # The first two steps of Q1; the chain of Q2 was made anew, because nothing of it was answered.
    assert second.replayed == 2
    assert set(teacher.asked.values()) == {1}
    assert contents(lake) == calm
    attempts = lake.sql(
        "SELECT attempt, stop_reason, count(*) FROM raw.trajectories GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    assert attempts == [(0, "error", 3), (0, "final_answer", 9), (1, "final_answer", 3)]
    assert list((tmp_path / "lake" / "journal").iterdir()) == []


def test_a_rollout_that_meets_a_defect_is_an_error_and_all_others_go_on(
    tmp_path: Path, calm: list[tuple[str, str]]
) -> None:
    teacher = Teacher()
    teacher.failing = {("Q1?", 1): ZeroDivisionError("nobody foresaw it")}
    lake, first = run(tmp_path / "lake", teacher)
    assert first.stop_reasons == {"final_answer": 5, "error": 1}
    (error,) = lake.sql("SELECT error FROM trajectories WHERE stop_reason = 'error'").fetchall()[0]
    assert re.fullmatch(r"unexpected ZeroDivisionError at test_resume.py:\d+: nobody foresaw it", error)
    teacher.failing = {}
    run(tmp_path / "lake", teacher)
    assert set(teacher.asked.values()) == {1}
    assert contents(lake) == calm


@pytest.mark.parametrize(("retry", "retried"), [("errors", 2), ("timeouts", 1), ("none", 0)])
def test_only_failures_of_the_chosen_kind_are_tried_again(tmp_path: Path, retry: Retry, retried: int) -> None:
    teacher = Teacher()
    teacher.failing = {("Q1?", 1): ModelError("refused"), ("Q2?", 1): ModelTimeoutError("10 s are over")}
    run(tmp_path / "lake", teacher)
    teacher.failing = {}
    lake, report = run(tmp_path / "lake", teacher, retry=retry)
    assert (report.finished, report.retried, report.left, report.skipped) == (retried, retried, 2 - retried, 4)
    assert report.is_whole == (retried == 2)
    ended = lake.sql("SELECT count(*) FROM trajectories WHERE stop_reason <> 'error'").fetchall()
    assert ended == [(len(TASKS) * 2 - 2 + retried,)]


def test_a_chain_of_thought_that_took_too_long_makes_its_rollout_a_timeout(tmp_path: Path) -> None:
    teacher = Teacher()
    teacher.failing = {("Q1?", 0): ModelTimeoutError("10 s are over")}
    lake, _ = run(tmp_path / "lake", teacher)
    errors = lake.sql("SELECT DISTINCT error FROM trajectories WHERE stop_reason = 'error' ORDER BY 1").fetchall()
    assert errors == [("timeout: 10 s are over",), ("timeout: 10 s are over; so there is no first thought",)]
    teacher.failing = {}
    assert run(tmp_path / "lake", teacher, retry="timeouts")[1].is_whole


def test_a_budget_stops_in_mid_rollout_and_a_higher_one_goes_on(tmp_path: Path, calm: list[tuple[str, str]]) -> None:
    teacher, starts = Teacher(), 0
    report = Report(unfinished=1)
    while not report.is_whole:
        starts += 1
        # Each start may spend what it finds unspent: this one begins at zero, for nobody tells its meter.
        lake, report = run(tmp_path / "lake", teacher, budget=Budget(max_tokens=120))
        if report.out_of_budget:
            assert report.unfinished > 0
            assert "--max-tokens is 120" in report.out_of_budget
        # A reply takes 15; two rollouts are in flight.
        assert sum(teacher.asked.values()) <= starts * 9
    assert starts > 2
    assert set(teacher.asked.values()) == {1}
    assert contents(lake) == calm
    assert lake.sql("SELECT count(*) FROM raw.trajectories").fetchall() == [(2 * len(TASKS),)]


def test_candidates_that_compete_are_replayed_like_single_actions(tmp_path: Path) -> None:
    sag = Sag(n=3)
    calm, _ = run(tmp_path / "calm", Teacher(), sag=sag)
    teacher, report = Teacher(), Report(unfinished=1)
    while not report.is_whole:
        lake, report = run(tmp_path / "lake", teacher, budget=Budget(max_tokens=250), sag=sag)
    assert set(teacher.asked.values()) == {1}
    assert contents(lake) == contents(calm)
    candidates = "SELECT count(*), count(*) FILTER (chosen), sum(votes) FROM candidates"
    assert lake.sql(candidates).fetchall() == calm.sql(candidates).fetchall() == [(54, 18, 162)]


def test_time_that_is_over_stops_like_any_budget(tmp_path: Path) -> None:
    lake, report = run(tmp_path / "lake", Teacher(), budget=Budget(max_hours=0.0))
    assert (report.finished, report.out_of_budget) == (0, "0.00 hours have passed, --max-hours is 0")
    assert lake.snapshot().number == 0


def test_a_replayed_step_keeps_the_time_that_its_reply_took(tmp_path: Path) -> None:
    class Slow(Teacher):
        async def complete(self, request: CompletionRequest) -> list[Completion]:
            await asyncio.sleep(0.05)
            return await super().complete(request)

    teacher = Slow()
    teacher.failing = {("Q1?", 2): ModelError("busy")}
    run(tmp_path / "lake", teacher, ftp=False)
    teacher.failing = {}
    lake, report = run(tmp_path / "lake", teacher, ftp=False)
    assert report.replayed == 2
    (slowest,) = lake.sql("SELECT min(latency_ms) FROM steps").fetchall()[0]
    assert slowest >= 45


def test_what_a_run_committed_but_did_not_drop_is_dropped_by_the_next(tmp_path: Path) -> None:
    teacher = Teacher()
    journal = tmp_path / "lake" / "journal"
    run(tmp_path / "lake", teacher, budget=Budget(max_tokens=60))
    (left,) = journal.iterdir()
    copy = left.read_bytes()
    run(tmp_path / "lake", teacher)
    # As if it had died between its commit and the journal's turn.
    left.write_bytes(copy)
    _, report = run(tmp_path / "lake", teacher)
    assert (report.finished, report.skipped, report.replayed) == (0, len(TASKS), 0)
    assert list(journal.iterdir()) == []
    assert set(teacher.asked.values()) == {1}
