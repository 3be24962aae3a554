"""What commands that run rollouts say about them: the progress line, the summary, the forecast of a dry run."""

from __future__ import annotations

from dataclasses import asdict

from toolkit.agent.forecast import Forecast
from toolkit.agent.report import Report
from toolkit.cli.output import note, print_json, print_table


def done_count(report: Report) -> int:
    """Rollouts that need no more work now."""
    return report.finished + report.skipped + report.left


def status(report: Report) -> str:
    """What a progress line says beside the numbers."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in report.error_kinds.most_common(3))
    words = [f"{report.completion_tokens:,} tokens written"]
    words += [report.spent] if report.spent else []
    words += [f"{report.retried:,} retries"] if report.retried else []
    words += [f"{report.replayed:,} replies replayed"] if report.replayed else []
    words += [f"step errors: {kinds}"] if kinds else []
    words += ["finishing what is in flight; Ctrl-C again stops at once"] if report.interrupted else []
    return "; ".join(words)


def report_json(report: Report) -> dict[str, object]:
    """A report for machines."""
    return {
        "finished": report.finished,
        "skipped": report.skipped,
        "left": report.left,
        "retried": report.retried,
        "unfinished": report.unfinished,
        "replayed": report.replayed,
        "chains_of_thought": report.chains,
        "stop_reasons": dict(report.stop_reasons),
        "step_errors": dict(report.error_kinds),
        "prompt_tokens": report.prompt_tokens,
        "completion_tokens": report.completion_tokens,
        "interrupted": report.interrupted,
        "out_of_budget": report.out_of_budget,
        "errors": dict(report.errors),
        "commits": report.commits,
    }


def print_report(report: Report, next_step: str, *, json: bool) -> None:
    """The summary of a run; `next_step` is what to do when it is whole."""
    if json:
        print_json(report_json(report))
        return
    rows = [[reason, count] for reason, count in sorted(report.stop_reasons.items())]
    rows += [[f"step error: {kind}", count] for kind, count in sorted(report.error_kinds.items())]
    counts = {
        "chains of thought made": report.chains,
        "retries": report.retried,
        "replies from the journal": report.replayed,
        "stopped in the middle": report.unfinished,
        "already in the lake": report.skipped,
        "failed before, left alone": report.left,
    }
    rows += [[name, count] for name, count in counts.items() if count]
    rows += [["tokens written", report.completion_tokens]]
    print_table(["rollouts", "count"], rows, title=f"{report.finished:,} rollouts finished")
    for message, count in report.errors.most_common(5):
        note(f"error in {count:,} rollouts: {message}")
    note(_unfinished(report) or next_step)


def _unfinished(report: Report) -> str | None:
    if report.out_of_budget:
        return f"the budget is spent: {report.out_of_budget}; the same command with a higher limit goes on from here"
    if report.interrupted:
        return "interrupted; the same command goes on from here"
    return None


def print_forecast(found: Forecast, json: bool) -> None:
    """What a run would do and spend."""
    if json:
        print_json(asdict(found))
        return
    counts = {
        "in the lake": found.done,
        "failed before, left alone": found.left,
        "failed before, to retry": found.to_retry,
        "begun, in the journal": found.begun,
        "new": found.new,
    }
    print_table(["rollouts", "count"], [[name, count] for name, count in counts.items()], title="Nothing was run")
    cost = "" if found.cost_usd is None else f", {found.cost_usd:,.2f} USD"
    note(
        f"{found.to_retry + found.begun + found.new:,} rollouts would take about {found.read:,.0f} tokens read, "
        f"{found.written:,.0f} written{cost}, {found.hours:,.1f} hours; this is {found.basis}"
    )
