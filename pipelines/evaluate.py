"""`toolkit evaluate`: a student's answers to a question set, graded at once.

The runner is that of `generate`: the same journal, resuming and budgets. What differs: rollouts have the role
`student`, agents get the short system prompt that students are trained with, nothing is forced on the first thought,
and a summary with intervals is printed. Every figure of it is over the lake's view `evaluated`.
"""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from pipelines.comparison import Comparison, compare
from pipelines.comparison_tables import as_json, print_results
from pipelines.evaluation_rows import only, read_questions
from pipelines.generate import GenerateOptions, build_setup, generate
from pipelines.generate_command import HowForced, Kind, Limit, foresee, generate_options
from pipelines.generate_command import read_questions as read_tasks
from pipelines.model_flags import NO_FLAGS, SPECS, ModelFlags
from pipelines.rollout_flags import PLAIN, RolloutFlags
from pipelines.run_flags import AT_ONCE, RunFlags
from pipelines.run_summary import print_forecast, print_report, report_json
from pipelines.score import score_lake
from pipelines.search_index import open_index
from schemas import Domain, Role, Task
from toolkit.cli.option_checks import check_counts
from toolkit.cli.options import DEFAULT_LAKE, AsJson, DryRun, LakePath
from toolkit.cli.output import note, print_json
from toolkit.contracts import Retriever
from toolkit.errors import InputError, MissingExtraError
from toolkit.lake.lake import Lake, open_lake
from toolkit.tasks.source import open_tasks

GROUPS = ("family", "hops")
"""Fields of the questions' metadata that the summary is split by, where they have them."""
MOST_GROUPS = 12


def evaluate_command(
    *,
    tasks: Annotated[str, Parameter(help="A file with questions, or minipedia:train|test|ood.")],
    model: Annotated[str, Parameter(help=f"{SPECS}.")],
    lake: LakePath = DEFAULT_LAKE,
    name: Annotated[str | None, Parameter(help="What to call it in tables; evaluations may share one.")] = None,
    grader: Annotated[
        Literal["math", "fact"] | None, Parameter(help="How answers in a file are compared; default: as they say.")
    ] = None,
    kind: Kind = "agent",
    prompt: Annotated[
        Role, Parameter(help="student: the short system prompt of training; teacher: the one with worked examples.")
    ] = "student",
    samples: Annotated[int, Parameter(help="Rollouts of each question, for majority vote and pass@k.")] = 1,
    limit: Limit = None,
    ftp: Annotated[bool, Parameter(help="Start agents from the first paragraph of a chain of thought.")] = False,
    ftp_mode: HowForced = "prefix",
    rollout_flags: RolloutFlags = PLAIN,
    slips: Annotated[float, Parameter(help="Share of the oracle's turns that go wrong.")] = 0.0,
    run_flags: RunFlags = AT_ONCE,
    model_flags: ModelFlags = NO_FLAGS,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> int:
    """Test a student on a set of questions, and grade it; what the lake already holds is skipped.

    After Ctrl-C, a spent budget or `kill -9` the same command goes on where it stopped. Exit code 1 if that is needed,
    or if some rollouts ended in an error. `toolkit compare` sets evaluations beside each other.

    Args:
        tasks: A file with questions, such as the paper's, or minipedia:test (with ?seed=1&size=5000).
        model: Who answers; --adapter names a LoRA adapter.
        lake: Directory of the lake.
        name: What to call it in tables; evaluations of other questions may have the same name.
        grader: How answers in a file are compared: as words (fact) or as mathematics. Default: by the question set.
        kind: How questions are put: to an agent, or for a chain of thought with or without passages.
        prompt: Which system prompt agents get; an undistilled base wants the teacher's, with worked examples.
        samples: Rollouts of each question; give a --temperature with it.
        limit: Only the first questions.
        ftp: Start agents from the first paragraph of the student's own chain of thought.
        ftp_mode: prefix has the model continue the thought; instruct asks for it in words.
        rollout_flags: How one rollout goes.
        slips: Share of the oracle's turns that go wrong.
        run_flags: How many at once, which again, and what they may cost.
        model_flags: More about the model.
        dry_run: Check everything and say what would be run, and what it may take; ask no model.
        json: Print one JSON document.
    """
    check_counts(limit=limit)
    check_name(name)
    check_statistics()
    options = generate_options(
        model,
        slips,
        model_flags,
        rollout_flags,
        run_flags,
        kind=kind,
        ftp=ftp,
        ftp_mode=ftp_mode,
        samples=samples,
        role="student",
        prompt=prompt,
        name=name,
    )
    questions = read_tasks(options, lambda: list(open_tasks(tasks, limit=limit, domain=grader)))
    retriever = open_index(tasks, rollout_flags.index, may_come=dry_run) if kind != "cot" else None
    if samples > 1 and not model.startswith("oracle") and not options.policy.agent_sampling.temperature:
        note(f"{samples} samples at temperature 0 are {samples} times the same answer; --temperature 0.7 varies them")
    if dry_run:
        print_forecast(foresee(lake, questions, options, retriever), json)
        return 0
    return _evaluate(open_lake(lake, create=True), lake, questions, options, retriever, json)


def _evaluate(
    lake: Lake, path: Path, questions: list[Task], options: GenerateOptions, retriever: Retriever | None, json: bool
) -> int:
    check_graders(lake, questions)
    identity = build_setup(questions, options, retriever).identity_hash
    report = asyncio.run(generate(lake, questions, options, retriever, run_kind="evaluate"))
    score_lake(lake, students=True)
    comparisons = summary(lake, identity)
    if json:
        found = as_json(comparisons, comparisons[0].contestants[0].name) if comparisons else {}
        print_json({"identity": identity, "run": report_json(report), "results": found.get("results", [])})
    else:
        print_report(report, f"next: toolkit compare --lake {path}", json=False)
        if comparisons:
            print_results(comparisons)
    return 0 if report.is_whole else 1


def summary(lake: Lake, identity: str) -> list[Comparison]:
    """The figures of one evaluation, by the fields in `GROUPS`; empty if nothing of it has been graded."""
    connection = lake.snapshot().connect()
    try:
        contestants = only(connection, identity)
        if not contestants:
            return []
        (parts,) = read_questions(connection, contestants).values()
        values = {
            field: {
                str(one.metadata[field]) for part in parts.values() for one in part.values() if field in one.metadata
            }
            for field in GROUPS
        }
        return compare(connection, contestants, [field for field in GROUPS if 1 < len(values[field]) <= MOST_GROUPS])
    finally:
        connection.close()


def check_name(name: str | None) -> None:
    """Refuse a name that tables or commands could not show.

    Raises:
        InputError: it is empty, very long, or has control characters.
    """
    if name is not None and not (name.strip() == name and 0 < len(name) <= 100 and name.isprintable()):
        raise InputError(f"--name must be 1 to 100 printable characters without space around them, got {name!r}")


def check_statistics() -> None:
    """See that the intervals can be computed, before anything is spent.

    Raises:
        MissingExtraError: scipy is not installed.
    """
    if find_spec("scipy") is None:
        raise MissingExtraError("scipy", "evaluate", "an interval")


def check_graders(lake: Lake, questions: list[Task]) -> None:
    """See that the lake does not know these questions with another grader, which would silently count.

    Raises:
        InputError: it does.
    """
    wanted: dict[str, Domain] = {task.task_id: task.domain for task in questions}
    connection = lake.snapshot().connect(raw=["tasks"])
    try:
        known = connection.execute("SELECT task_id, domain FROM raw.tasks").fetchall()
    finally:
        connection.close()
    other = {task_id: domain for task_id, domain in known if wanted.get(task_id, domain) != domain}
    if other:
        task_id, domain = next(iter(other.items()))
        raise InputError(
            f"the lake grades {len(other):,} of these questions as {domain}, and {wanted[task_id]} was asked for; "
            "grade them as before, or evaluate in a lake of their own"
        )
