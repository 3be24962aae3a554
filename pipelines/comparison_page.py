"""A comparison as one HTML page: plots as inline SVG, no script, no request to anywhere.

All text passes the template's escaping. Plots place marks by per cent of their own width, so that the page needs no
scaling on a phone. The template is `comparison_page.html`.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipelines.comparison import Comparison, Pair, Result
from pipelines.evaluation_statistics import CONFIDENCE, RESAMPLES, Estimate
from toolkit.cli.output import clean

COLOURS = 8
"""Hues of the style sheet."""
SHOWN = 50
"""Questions listed for each half of a pair; the others are counted."""


def page(comparisons: Sequence[Comparison], baseline: str, lake: str) -> str:
    """The page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Markup is what macros made, and of clean text.
        finalize=lambda value: clean(value) if type(value) is str else value,
    )
    environment.filters |= {"percent": _percent, "interval": _interval, "number": _number}
    first = comparisons[0]
    colours = {one.name: place % COLOURS for place, one in enumerate(first.contestants)}
    return environment.get_template("comparison_page.html").render(
        contestants=first.contestants,
        colours=colours,
        parts=_parts(first.results),
        groups=[_heat(one) for one in comparisons if one.by],
        costs=_costs(first.results),
        error_kinds=sorted({kind for result in first.results for kind in result.step_errors}),
        results=first.results,
        pairs=[pair for pair in first.pairs if baseline in (pair.first, pair.second)],
        n_pairs=len(first.pairs),
        baseline=baseline,
        lake=shlex.quote(lake),
        shown=SHOWN,
        confidence=CONFIDENCE,
        resamples=RESAMPLES,
        place=place_of,
    )


def place_of(item: Result | Pair) -> str:
    """Dataset and split."""
    return " · ".join(filter(None, (item.dataset, item.split)))


def _parts(results: Sequence[Result]) -> dict[str, list[Result]]:
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(place_of(result), []).append(result)
    return found


def _heat(comparison: Comparison) -> dict[str, Any]:
    """Rows by part and contestant, columns by value of the field; a field that a part lacks has no column there."""
    parts = []
    for title, results in _parts(comparison.results).items():
        values = list(dict.fromkeys(value for result in results for value in result.groups))
        parts.append({"title": title, "values": values, "results": results})
    return {"field": comparison.by, "parts": parts}


def _costs(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Each measure with its largest value, which has the longest bar."""
    measures = {
        "steps": "steps",
        "tool_calls": "tool calls",
        "prompt_tokens": "tokens read",
        "completion_tokens": "tokens written",
    }
    found = []
    for key, title in measures.items():
        known = [result.costs[key] for result in results if result.costs[key] is not None]
        found.append({"key": key, "title": title, "most": max(known, default=0) or 1})
    return found


def _percent(value: float, signed: bool = False) -> str:
    return f"{100 * value:{'+' if signed else ''}z.1f} %"


def _interval(found: Estimate, signed: bool = False) -> str:
    if found.low is None or found.high is None:
        return "no spread"
    sign = "+" if signed else ""
    return f"{100 * found.low:{sign}z.1f} to {100 * found.high:{sign}z.1f}"


def _number(value: float | None) -> str:
    if value is None:
        return "not counted"
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"
