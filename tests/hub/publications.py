"""Lakes with a selection to publish, and the command that publishes it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from episodes import Fill, episode

from pipelines.filter import filter_lake
from pipelines.recipe import parse_recipe
from toolkit.api import Lake
from toolkit.cli.main import run
from toolkit.formats.parsed import ParsedTrajectory

RECIPE = """\
name: v1
steps:
  - where: "stop_reason = 'final_answer'"
  - mask_steps: "error_kind <> 'none'"
"""
LICENSES = ("--license", "d=CC-BY-4.0")
REPO = "org/name"


def select(lake: Lake, recipe: str = RECIPE) -> None:
    filter_lake(lake, parse_recipe(recipe, "recipe"))


def filled(fill: Fill, episodes: Iterable[ParsedTrajectory] | None = None) -> Lake:
    """A lake with a selection `v1` that keeps four of five episodes and masks a step."""
    if episodes is None:
        episodes = [episode(f"question {index}", failing=index % 2, reward=1.0) for index in range(4)]
        episodes = [*episodes, episode("left open", None)]
    lake = fill(episodes)
    select(lake)
    return lake


def publish(lake: Lake, *options: str | Path, repo: str = REPO, licenses: Iterable[str] = LICENSES) -> int:
    return run(["publish", repo, "--selection", "v1", "--lake", str(lake.path), *licenses, *map(str, options)])
