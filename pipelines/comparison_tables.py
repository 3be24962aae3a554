"""A comparison as tables for people and as one document for machines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from pipelines.comparison import Comparison, Pair, Result, Score
from pipelines.evaluation_statistics import CONFIDENCE, RESAMPLES, SEED, Estimate
from toolkit.cli.output import note, print_table

NAMED = 5
"""Questions that are named in a note."""


def print_results(comparisons: Sequence[Comparison]) -> None:
    """Accuracies, costs, errors and groups."""
    results = comparisons[0].results
    columns = ["run", "dataset", "split", "questions", "accuracy %", "95 %"]
    several = any(result.score.majority for result in results)
    rows = [[*_place(result), result.score.questions, *_shown(result.score.accuracy)] for result in results]
    if several:
        columns += ["samples", "majority %", "95 %", "pass@k %"]
        rows = [[*row, *_of_samples(result.score)] for row, result in zip(rows, results, strict=True)]
    print_table(columns, rows, title="Accuracy")
    _print_costs(results)
    for comparison in comparisons:
        _print_groups(comparison)
    if ungraded := sum(result.costs["ungraded"] for result in results):
        note(f"{ungraded:,} answers are not graded and left out; `toolkit score` grades them")


def _print_costs(results: Sequence[Result]) -> None:
    costs = {
        "steps": "steps",
        "tool calls": "tool_calls",
        "tokens read": "prompt_tokens",
        "written": "completion_tokens",
    }
    kinds = sorted({kind for result in results for kind in result.step_errors})
    counts = {"no answer": "without_answer", "failed": "failed", "undecided": "undecided", "ungraded": "ungraded"}
    # What never happened needs no column.
    counts = {title: name for title, name in counts.items() if any(result.costs[name] for result in results)}
    rows = [
        [
            *_place(result),
            *(_rounded(result.costs[name]) for name in costs.values()),
            *(result.step_errors.get(kind, 0) for kind in kinds),
            *(result.costs[name] for name in counts.values()),
        ]
        for result in results
    ]
    columns = ["run", "dataset", "split", *costs, *(f"{kind} errors" for kind in kinds), *counts]
    print_table(columns, rows, title="What a rollout takes, on average; how many steps and rollouts went wrong")


def print_pairs(pairs: Sequence[Pair], baseline: str) -> None:
    """The tests against the baseline, and what was answered by one of two only."""
    chosen = [pair for pair in pairs if baseline in (pair.first, pair.second)]
    rows = []
    for pair in chosen:
        turned = pair.second == baseline
        ours, theirs = (pair.only_first, pair.only_second) if turned else (pair.only_second, pair.only_first)
        value = _turned(pair.difference) if not turned else pair.difference
        name = pair.first if turned else pair.second
        discordant = pair.only_first + pair.only_second
        counts = [pair.both, ours, theirs, pair.neither, discordant]
        rows.append([name, pair.dataset, pair.split, *counts, *_shown(value, signed=True), f"{pair.p:.2g}"])
    columns = ["run", "dataset", "split", "both right", "only run", "only base", "neither", "discordant"]
    columns += ["difference %", "95 %", "p"]
    if rows:
        print_table(columns, rows, title=f"Question by question against {baseline} (base); p of McNemar's exact test")
    for pair in chosen:
        for name, missing in ((pair.first, pair.not_answered_by_first), (pair.second, pair.not_answered_by_second)):
            if missing:
                where = " ".join(filter(None, (pair.dataset, pair.split)))
                other = pair.second if name == pair.first else pair.first
                shown = ", ".join(missing[:NAMED]) + (", …" if len(missing) > NAMED else "")
                note(f"{where}: {len(missing):,} questions that {other!r} answered, {name!r} did not: {shown}")


def as_json(comparisons: Sequence[Comparison], baseline: str) -> dict[str, Any]:
    """Everything, with all pairs and all disagreements."""
    first = comparisons[0]
    return {
        "confidence": CONFIDENCE,
        "resamples": RESAMPLES,
        "seed": SEED,
        "baseline": baseline,
        "runs": [asdict(one) for one in first.contestants],
        "results": [
            _plain_result(result, [(one.by, one.results[place].groups) for one in comparisons if one.by])
            for place, result in enumerate(first.results)
        ],
        "pairs": [asdict(pair) for pair in first.pairs],
    }


def _plain_result(result: Result, groups: Iterable[tuple[str, dict[str, Score]]]) -> dict[str, Any]:
    found = asdict(result)
    by = {field: {value: asdict(score) for value, score in scores.items()} for field, scores in groups}
    return {key: value for key, value in found.items() if key != "groups"} | {"by": by}


def _print_groups(comparison: Comparison) -> None:
    if comparison.by is None:
        return
    several = any(score.majority for result in comparison.results for score in result.groups.values())
    rows = [
        [
            *_place(result),
            value,
            score.questions,
            *_shown(score.accuracy),
            *(_shown(score.majority) if score.majority else [None, None] if several else []),
        ]
        for result in comparison.results
        for value, score in result.groups.items()
    ]
    columns = ["run", "dataset", "split", comparison.by, "questions", "accuracy %", "95 %"]
    print_table(columns + (["majority %", "95 %"] if several else []), rows, title=f"By {comparison.by}")


def _place(result: Result) -> list[object]:
    return [result.name, result.dataset, result.split]


def _shown(found: Estimate, *, signed: bool = False) -> list[object]:
    """Per cent, and the interval."""
    sign = "+" if signed else ""
    if found.low is None or found.high is None:
        return [f"{100 * found.value:{sign}z.1f}", None]
    return [f"{100 * found.value:{sign}z.1f}", f"{100 * found.low:{sign}z.1f} – {100 * found.high:{sign}z.1f}"]


def _of_samples(score: Score) -> list[object]:
    samples = str(score.most_samples)
    if score.fewest_samples != score.most_samples:
        samples = f"{score.fewest_samples}–{samples}"
    if score.majority is None:
        return [samples, None, None, None]
    passed = ", ".join(f"@{k} {100 * found.value:.1f}" for k, found in score.pass_at_k.items())
    return [samples, *_shown(score.majority), passed]


def _turned(found: Estimate) -> Estimate:
    if found.low is None or found.high is None:
        return Estimate(0.0 - found.value, None, None)
    return Estimate(0.0 - found.value, -found.high, -found.low)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
