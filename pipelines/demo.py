"""`toolkit demo`: the main road on a small sample, every command shown as one would type it.

The demo calls nothing but the commands themselves, through the command table, so that what
it shows is what users get.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pipelines.demo_sample import write_sample
from toolkit.cli.main import run
from toolkit.cli.output import console, plain
from toolkit.errors import RunError
from toolkit.lake.lake import open_lake

RECIPE = """\
name: demo
steps:
  - where: "correct and stop_reason = 'final_answer'"
  - dedup: {by: trajectory, keep: first}
  - mask_steps: "error_kind <> 'none'"
  - sample: {n: 40, by: dataset, seed: 0}
"""


def demo_command(
    *, out: Annotated[Path, Parameter(help="Directory for sample, lake and export.")] = Path("demo")
) -> None:
    """Run the main road on a small sample made on the spot: import, score, filter, export.

    Args:
        out: Directory for sample, lake and export.
    """
    react, chat, planted = write_sample(out / "sample")
    recipe, lake, export = out / "recipe.yaml", out / "lake", out / "export"
    recipe.write_text(RECIPE)
    console.print(f"A sample of 65 trajectories is in {plain(str(out / 'sample'))}, with planted faults:")
    console.print(
        f"{planted.duplicates} duplicates, {planted.wrong_answers} + 3 wrong answers, "
        f"{planted.missing_actions} turns without action, {planted.unreadable_lines} unreadable line."
    )
    _type("import", react, "--dataset", "births", "--lake", lake, accept=(0, 1))
    _type("import", chat, "--dataset", "sums", "--domain", "math", "--lake", lake)
    _type("score", "--lake", lake)
    _type("filter", recipe, "--lake", lake)
    _type("export", "--selection", "demo", "--format", "trl", "--out", export, "--overwrite", "--lake", lake)
    _type("stats", "--selection", "demo", "--lake", lake)
    _look_further(lake)


def _type(*words: object, accept: tuple[int, ...] = (0,)) -> None:
    arguments = [str(word) for word in words]
    console.print(f"\n[bold cyan]$ toolkit {plain(shlex.join(arguments))}[/]")
    code = run(arguments)
    if code not in accept:
        raise RunError(f"`toolkit {shlex.join(arguments)}` ended with exit code {code}")


def _look_further(lake: Path) -> None:
    query = "SELECT trajectory_id FROM decisions WHERE selection = 'demo' AND rule LIKE '2:%' ORDER BY 1 LIMIT 1"
    dropped = open_lake(lake).sql(query).fetchall()[0][0]
    searches = (
        "SELECT dataset, n_steps, count(*) AS trajectories, avg(n_tool_calls) AS calls "
        "FROM trajectories GROUP BY ALL ORDER BY ALL"
    )
    console.print("\n[bold]Look further[/]")
    for words in (
        ["why", dropped[:10], "--selection", "demo"],
        ["show", dropped[:10]],
        ["query", searches],
        ["doctor"],
    ):
        console.print(f"  toolkit {plain(shlex.join([*words, '--lake', str(lake)]))}", soft_wrap=True)
