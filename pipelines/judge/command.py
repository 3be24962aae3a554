"""The command `toolkit judge`."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, closing
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pipelines.judge.foreseen import foresee
from pipelines.judge.judging import Judging, Report
from pipelines.judge.wanted import Known, Wanted
from pipelines.model_flags import NO_FLAGS, ModelFlags
from pipelines.parts import build_judge, model_options
from pipelines.run_flags import USUAL_SPENDING, SpendFlags
from toolkit.agent.budget import Meter
from toolkit.cli.option_checks import check_amounts, check_counts
from toolkit.cli.options import DEFAULT_LAKE, AsJson, DryRun, LakePath
from toolkit.cli.output import note, print_json, print_table, progress
from toolkit.contracts import LLM
from toolkit.judging.judge import Judge
from toolkit.judging.rubric import RubricName, load_rubric
from toolkit.lake.journals import open_journal, unfinished
from toolkit.lake.lake import Lake, open_lake


def judge_command(
    rubric: Annotated[RubricName, Parameter(help="factual, step or rollout.")],
    /,
    *,
    model: Annotated[str, Parameter(help="openai:MODEL (any server that speaks chat completions) or scripted:FILE.")],
    lake: LakePath = DEFAULT_LAKE,
    where: Annotated[str | None, Parameter(help="SQL over trajectories_scored; only what it is true for.")] = None,
    selection: Annotated[str | None, Parameter(help="Only what this selection keeps.")] = None,
    limit: Annotated[int | None, Parameter(help="Only so many trajectories.")] = None,
    rubric_file: Annotated[Path | None, Parameter(help="A text of your own in place of the shipped rubric.")] = None,
    completion_tokens: Annotated[int, Parameter(help="Most tokens of one answer, thinking included.")] = 1024,
    temperature: Annotated[float, Parameter(help="Of sampling; 0 takes the likeliest.")] = 0.0,
    spend_flags: SpendFlags = USUAL_SPENDING,
    model_flags: ModelFlags = NO_FLAGS,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> int:
    """Let a model judge answers (factual), steps (step) or whole rollouts (rollout), and keep its words as scores.

    factual asks whether a final answer says what a gold answer says; step whether each step is sound, given what was
    known then; rollout whether the whole is worth learning from. The same content is never paid for twice by the same
    model and rubric. After Ctrl-C, a spent budget or kill -9 the same command goes on where it stopped; exit code 1 if
    that is needed. `toolkit agreement` compares the judge with graders and people.

    Args:
        rubric: What is judged.
        model: Who judges; the server must be able to keep answers to a JSON schema, which is tried first.
        lake: Directory of the lake.
        where: Only trajectories that this SQL predicate over trajectories_scored is true for, such as "not correct".
        selection: Only what this selection keeps.
        limit: Only so many trajectories, the first by id.
        rubric_file: A text of your own in place of the shipped rubric; the words of the verdict stay.
        completion_tokens: Most tokens of one answer, thinking included.
        temperature: Of sampling.
        spend_flags: How many at once, and what they may cost.
        model_flags: More about the model.
        dry_run: Say how many calls it would be and what they may take; ask no model.
        json: Print one JSON document.
    """
    spend_flags.check()
    check_counts(limit=limit, completion_tokens=completion_tokens)
    check_amounts(above=True, timeout=model_flags.timeout)
    check_amounts(above=False, temperature=temperature)
    meter = Meter(spend_flags.budget, spend_flags.prices)
    chosen = load_rubric(rubric, rubric_file)
    llm = build_judge(model_options(model, 0.0, 0, model_flags), chosen.schema)
    judge = Judge(chosen, llm.name, llm.identity, temperature, completion_tokens)
    opened, wanted = open_lake(lake), Wanted(where, selection, limit)
    if dry_run:
        return _foresee(opened, judge, wanted, spend_flags, json)
    report, verdicts = asyncio.run(_judge(opened, judge, llm, wanted, meter, spend_flags.in_flight))
    _print(judge, report, verdicts, json)
    return 0 if report.is_whole else 1


async def _judge(
    lake: Lake, judge: Judge, llm: LLM, wanted: Wanted, meter: Meter, in_flight: int
) -> tuple[Report, dict[str, int]]:
    """What was done now, and all verdicts of this judge by now."""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(llm.close)
        journal = stack.enter_context(open_journal(lake.layout, judge.identity_hash))
        known = stack.enter_context(closing(Known(lake.snapshot(), judge, wanted)))
        done, total = known.done, known.total
        if done < total:
            await llm.prepare(prefix=False)
        answers = known.answers()
        if meter.counts:
            _, meter.read, meter.written = known.spent()
            for entry in journal.entries():
                if entry.trajectory_id not in answers:
                    meter.read += entry.prompt_tokens or 0
                    meter.written += entry.completion_tokens or 0
        with progress("judge", total, unit="judgements") as advance:
            judging = Judging(
                lake, judge, llm, journal, answers, meter, lambda report: advance(done + report.ended, _status(report))
            )
            report = await judging.run(known.cases(), in_flight)
    with closing(Known(lake.snapshot(), judge, wanted)) as after:
        return report, after.verdicts()


def _status(report: Report) -> str:
    words = [f"{report.completion_tokens:,} tokens written"]
    words += [f"{report.copied:,} of equal content"] if report.copied else []
    words += [f"{report.failed.total():,} without answer"] if report.failed else []
    words += ["finishing what is in flight; Ctrl-C again stops at once"] if report.interrupted else []
    return "; ".join(words)


def _print(judge: Judge, report: Report, verdicts: dict[str, int], json: bool) -> None:
    if json:
        # Not by `asdict`, which makes counters of pairs.
        found = {field.name: getattr(report, field.name) for field in fields(report)}
        print_json({"scorer": judge.scorer, "rubric_hash": judge.rubric.hash, **found, "all_verdicts": verdicts})
        return
    rows = [[verdict, report.verdicts[verdict], count] for verdict, count in verdicts.items()]
    print_table(["verdict", "now", "in_the_lake"], rows)
    counts = {
        "of equal content, not asked for": report.copied,
        "answers from the journal": report.replayed,
        "tokens read": report.prompt_tokens,
        "tokens written": report.completion_tokens,
    }
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    note(f"{report.judged:,} judged as {judge.scorer}{f'; {said}' if said else ''}")
    for what, errors in (("no answer", report.failed), ("an unreadable answer", report.unreadable)):
        for message, count in errors.most_common(3):
            note(f"{what} in {count:,} cases: {message}")
    note(_further(report))


def _further(report: Report) -> str:
    if report.out_of_budget:
        return f"the budget is spent: {report.out_of_budget}; the same command with a higher limit goes on from here"
    if report.interrupted:
        return "interrupted; the same command goes on from here"
    if report.failed:
        return "the same command asks again for what had no answer"
    return "next: toolkit agreement, which compares the judge with graders and people"


def _foresee(lake: Lake, judge: Judge, wanted: Wanted, flags: SpendFlags, json: bool) -> int:
    begun = unfinished(lake.layout, judge.identity_hash)
    with closing(Known(lake.snapshot(), judge, wanted)) as known:
        found = foresee(known, judge, begun, flags.in_flight, flags.prices)
    if json:
        print_json(asdict(found))
        return 0
    rows = [
        ["in the lake", found.done],
        ["of equal content, not asked for", found.equal],
        ["answered, in the journal", found.begun],
        ["calls to make", found.calls],
    ]
    print_table(["judgements", "count"], rows, title="Nothing was asked")
    cost = "" if found.cost_usd is None else f", {found.cost_usd:,.2f} USD"
    taken = f"{found.read:,.0f} tokens read, {found.written:,.0f} written{cost}, {found.hours:,.1f} hours"
    note(
        f"{found.judgements:,} judgements on {found.trajectories:,} trajectories; "
        f"{found.calls:,} calls would take about {taken}: {found.basis}"
    )
    return 0
