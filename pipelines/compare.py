"""`toolkit compare`: evaluations beside each other, with what is certain about their differences.

Everything is computed from the lake and nothing is written to it; the queries are those of `evaluation_rows`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pipelines.comparison import Comparison, compare
from pipelines.comparison_tables import as_json, print_pairs, print_results
from pipelines.evaluate import check_statistics
from pipelines.evaluation_rows import Contestant, find_contestants
from pipelines.whole_file import replace_file
from toolkit.cli.options import DEFAULT_LAKE, AsJson, At, LakePath
from toolkit.cli.output import note, print_json
from toolkit.errors import InputError
from toolkit.lake.lake import open_lake


def compare_command(
    *runs: Annotated[str, Parameter(help="Names, or beginnings of run or identity ids; default: all evaluations.")],
    lake: LakePath = DEFAULT_LAKE,
    at: At = None,
    baseline: Annotated[str | None, Parameter(help="Whom the others are tested against; default: the first.")] = None,
    by: Annotated[
        tuple[str, ...], Parameter(help="Split also by a field of the questions' metadata: family, hops, level, …")
    ] = (),
    html: Annotated[Path | None, Parameter(help="Write a page with plots into this file.")] = None,
    overwrite: Annotated[bool, Parameter(negative="", help="Replace the file of --html.")] = False,
    json: AsJson = False,
) -> None:
    """Compare evaluations: accuracy with intervals, paired tests, steps, tokens, tool calls, errors.

    Intervals are bootstrapped over questions; differences are tested with McNemar's exact test on the questions that
    both answered. With several samples of a question, their majority is tested.

    Args:
        runs: Names given with `evaluate --name`, or beginnings of run or identity ids; default: all evaluations.
        lake: Directory of the lake.
        at: Read the lake as it was after this commit.
        baseline: Whom the others are tested against; default: the first.
        by: Split also by a field of the questions' metadata; may be given several times.
        html: Write one self-contained page with plots into this file.
        overwrite: Replace the file of --html if it is there.
        json: Print one JSON document, with all pairs and all questions that they differ in.
    """
    check_statistics()
    if html is not None:
        _check_page(html, overwrite)
    connection = open_lake(lake).snapshot(at).connect()
    try:
        contestants = find_contestants(connection, runs)
        if baseline is not None and baseline not in {one.name for one in contestants}:
            contestants = _with_baseline(find_contestants(connection, [baseline]), contestants)
        chosen = contestants[0].name if baseline is None else _baseline(contestants, baseline)
        comparisons = compare(connection, contestants, tuple(dict.fromkeys(by)))
    finally:
        connection.close()
    first = comparisons[0]
    _check_graded(first)
    if len(contestants) > 1 and not any(pair.questions for pair in first.pairs):
        _nothing_in_common(first, named=bool(runs))
    if html is not None:
        from pipelines.comparison_page import page

        replace_file(html, [page(comparisons, chosen, str(lake)).encode()])
        note(f"wrote {html}")
    if json:
        print_json(as_json(comparisons, chosen))
        return
    print_results(comparisons)
    print_pairs(first.pairs, chosen)


def _check_page(html: Path, overwrite: bool) -> None:
    if html.is_dir() or not html.parent.is_dir():
        raise InputError(f"--html {html}: expected a file in a directory that exists")
    if html.exists() and not overwrite:
        raise InputError(f"{html} exists; --overwrite replaces it")


def _with_baseline(baseline: list[Contestant], others: list[Contestant]) -> list[Contestant]:
    known = {identity for one in baseline for identity in one.identities}
    for one in others:
        if not known.isdisjoint(one.identities) and not known.issuperset(one.identities):
            raise InputError(
                f"the baseline is one of the {len(one.identities)} evaluations that {one.name!r} stands for; name each "
                "by the beginning of its id, or take the whole as the baseline"
            )
    return [*baseline, *(one for one in others if known.isdisjoint(one.identities))]


def _baseline(contestants: list[Contestant], baseline: str) -> str:
    """Its name in tables: `baseline` may have been the beginning of an id, and then stands first."""
    return next((one.name for one in contestants if one.name == baseline), contestants[0].name)


def _check_graded(comparison: Comparison) -> None:
    if not comparison.results:
        raise InputError("none of these answers is graded yet; `toolkit score` grades them")


def _nothing_in_common(comparison: Comparison, *, named: bool) -> None:
    where = "; ".join(
        f"{result.name!r} answered {' '.join(filter(None, (result.dataset, result.split)))}"
        for result in comparison.results
    )
    if named:
        raise InputError(f"these have no question in common, so that nothing can be compared: {where}")
    note(f"no two of these have a question in common: {where}")
