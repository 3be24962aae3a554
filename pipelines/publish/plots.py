"""The figure of a card: steps, tokens, errors and the funnel, drawn from the facts.

A PNG, because every page of the Hub shows one; the same facts and matplotlib give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.publish.facts import Facts
from toolkit.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLOTS = "plots"
FIGURE = f"{PLOTS}/overview.png"
_BLUE, _GREY = "#3b6ea5", "#9aa5b1"


def check_extras() -> None:
    """Say at once what is not installed.

    Raises:
        MissingExtraError: what draws.
    """
    if find_spec("matplotlib") is None:
        raise MissingExtraError("matplotlib", "hub", "the figure of a card")


def draw(facts: Facts, path: Path) -> None:
    """Draw the figure of `facts` to `path`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), dpi=110, layout="constrained")
    panels = [_steps, _tokens, _errors, _funnel]
    for axes, panel in zip(figure.subplots(2, 2).flat, panels, strict=True):
        panel(axes, facts)
        axes.spines[["top", "right"]].set_visible(False)
        axes.title.set_fontsize(10)
        axes.tick_params(labelsize=8)
        axes.xaxis.label.set_fontsize(8)
        axes.yaxis.label.set_fontsize(8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})


def _steps(axes: Axes, facts: Facts) -> None:
    rows = facts["step_counts"]
    axes.bar([row["n_steps"] for row in rows], [row["trajectories"] for row in rows], color=_BLUE)
    axes.locator_params(axis="x", integer=True)
    axes.set(title="Steps of a trajectory", xlabel="steps", ylabel="trajectories")


def _tokens(axes: Axes, facts: Facts) -> None:
    rows = facts["token_counts"]
    if not rows:
        _nothing(axes, "Tokens written", "not counted by the source")
        return
    labels = [f"{row['at_least']:,}" for row in rows]
    axes.bar(labels, [row["trajectories"] for row in rows], color=_BLUE)
    axes.tick_params(axis="x", rotation=30)
    axes.set(title="Tokens written for a trajectory", xlabel="at least (up to twice as many)", ylabel="trajectories")


def _errors(axes: Axes, facts: Facts) -> None:
    rows = [row for row in facts["errors"] if row["error_kind"] != "none"]
    if not rows:
        _nothing(axes, "Steps that failed", "no step failed")
        return
    _bars(axes, [(row["error_kind"], row["steps"]) for row in rows], lambda _: _GREY)
    axes.set(title="Steps that failed, by kind", xlabel="steps")


def _funnel(axes: Axes, facts: Facts) -> None:
    left = facts["selection"]["n_input"]
    bars = [("input", left)]
    for row in facts["funnel"]:
        left -= row["dropped"]
        bars.append((row["rule"], left))
    _bars(axes, bars, lambda index: _BLUE if index == len(bars) - 1 else _GREY)
    axes.set(title="Left after each rule that dropped any", xlabel="trajectories")


def _bars(axes: Axes, bars: Sequence[tuple[str, int]], colour: Callable[[int], str]) -> None:
    drawn: Any = axes.barh(
        [label[:32] for label, _ in bars], [n for _, n in bars], color=[colour(index) for index in range(len(bars))]
    )
    axes.bar_label(drawn, labels=[f"{n:,}" for _, n in bars], fontsize=8, padding=2)
    axes.invert_yaxis()
    axes.locator_params(axis="x", integer=True)
    axes.margins(x=0.15)


def _nothing(axes: Axes, title: str, reason: str) -> None:
    axes.set(title=title, xticks=[], yticks=[])
    axes.text(0.5, 0.5, reason, ha="center", va="center", fontsize=9, color=_GREY, transform=axes.transAxes)
