"""`toolkit demo`: the main road from nothing to training data, every command shown as one would type it.

Other people's trajectories are imported, a teacher's own are generated, and both are scored,
curated and exported together. The demo calls nothing but the commands themselves, through
the command table, so that what it shows is what users get.
"""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pipelines.demo_sample import write_sample
from toolkit.cli.main import run
from toolkit.cli.output import console, plain, print_table
from toolkit.errors import RunError
from toolkit.lake.lake import Lake, open_lake
from toolkit.sandbox import MEANING, probe

WORLD = "minipedia:train?size=800"
RECIPE = """\
name: demo
steps:
  - where: "kind = 'agent'"
  - where: "correct and stop_reason = 'final_answer'"
  - where: "parse_errors = 0"
  - dedup: {by: trajectory, keep: first}
  - best_of: {per_task: 1, order_by: [n_steps, completion_tokens]}
  - mask_steps: "error_kind <> 'none'"
"""

FATES = """
SELECT dataset, kind, count(*) AS trajectories, count(*) FILTER (correct) AS correct, count(*) FILTER (kept) AS kept,
       count(*) FILTER (rule LIKE '1:%') AS other_kind, count(*) FILTER (rule LIKE '2:%') AS wrong_or_open,
       count(*) FILTER (rule LIKE '3:%') AS parse_errors, count(*) FILTER (rule LIKE '4:%') AS duplicates,
       count(*) FILTER (rule LIKE '5:%') AS worse_sample
FROM trajectories_scored JOIN decisions USING (trajectory_id) WHERE selection = 'demo' GROUP BY ALL ORDER BY ALL
"""


def demo_command(
    *,
    out: Annotated[Path, Parameter(help="Directory for sample, index, lake and export.")] = Path("demo"),
    limit: Annotated[int, Parameter(help="Minipedia questions to answer.")] = 200,
) -> None:
    """Run the main road: import, index, generate, score, filter, export. No model weights, no network.

    Args:
        out: Directory for sample, index, lake and export.
        limit: Minipedia questions to answer.
    """
    started = time.monotonic()
    lake, index, export, recipe = out / "lake", out / "index", out / "export", out / "recipe.yaml"
    react, chat, planted = write_sample(out / "sample")
    recipe.write_text(RECIPE)
    _say("1. Other people's trajectories: a made-up sample with planted faults")
    console.print(
        f"{planted.duplicates} duplicates, {planted.wrong_answers} + 3 wrong answers, "
        f"{planted.missing_actions} turns without action, {planted.unreadable_lines} unreadable line"
    )
    _type("import", react, "--dataset", "births", "--lake", lake, accept=(0, 1))
    _type("import", chat, "--dataset", "sums", "--domain", "math", "--lake", lake)
    _say("2. A teacher's own: the oracle, first-thought prefix, search over Chroma, a sandbox")
    unsafe = _accepted_level()
    _type("index", WORLD, "--index", index)
    generate = ["generate", "--tasks", WORLD, "--limit", limit, "--samples", 2, "--index", index]
    _type(*generate, "--slips", "0.3", *unsafe, "--lake", lake)
    _say("3. Curate and export both")
    _type("score", "--lake", lake)
    _type("filter", recipe, "--lake", lake)
    _type("export", "--selection", "demo", "--format", "trl", "--out", export, "--overwrite", "--lake", lake)
    _ending(open_lake(lake), lake, index, time.monotonic() - started)


def _accepted_level() -> list[str]:
    """Say how well the sandbox confines here; the options that accept it if that is below level 2."""
    level = probe().level
    console.print(f"The sandbox is level {level} here: {MEANING[level]}.")
    if level < 2:
        console.print(
            "`toolkit doctor` says what is missing; --sandbox unsafe accepts it, for the oracle means no harm."
        )
    return _unsafe()


def _unsafe() -> list[str]:
    return [] if probe().level >= 2 else ["--sandbox", "unsafe"]


def _say(text: str) -> None:
    console.print(f"\n[bold]{plain(text)}[/]")


def _type(*words: object, accept: tuple[int, ...] = (0,)) -> None:
    arguments = [str(word) for word in words]
    console.print(f"\n[bold cyan]$ toolkit {plain(shlex.join(arguments))}[/]", soft_wrap=True)
    code = run(arguments)
    if code not in accept:
        raise RunError(f"`toolkit {shlex.join(arguments)}` ended with exit code {code}")


def _ending(lake: Lake, path: Path, index: Path, elapsed_s: float) -> None:
    relation = lake.sql(FATES)
    print_table(relation.columns, relation.fetchall(), title="What became of every trajectory, and by which rule")
    _say(f"Done in {elapsed_s:.0f} s. What to try next:")
    query = "SELECT trajectory_id FROM decisions WHERE selection = 'demo' AND starts_with(rule, ?) ORDER BY 1 LIMIT 1"
    connection = lake.snapshot().connect()
    picked = [row[0] for rule in ("4:", "all") for row in connection.execute(query, [rule]).fetchall()]
    asked = "SELECT question FROM trajectories_scored WHERE n_tool_calls > 1 AND correct ORDER BY 1 LIMIT 1"
    question = connection.execute(asked).fetchall()[0][0]
    errors = (
        "SELECT dataset, error_kind, count(*) AS steps FROM steps JOIN trajectories USING (trajectory_id) GROUP BY ALL"
    )
    suggestions = [["why", trajectory[:10], "--selection", "demo", "--lake", str(path)] for trajectory in picked[:1]]
    suggestions += [["show", trajectory[:10], "--lake", str(path)] for trajectory in picked[1:]]
    suggestions += [["query", errors, "--lake", str(path)]]
    suggestions += [[look, "--selection", "demo", "--lake", str(path)] for look in ("stats", "report")]
    asking = ["ask", question, "--model", "oracle", "--tasks", WORLD, "--index", str(index), *_unsafe()]
    suggestions += [asking]
    for words in suggestions:
        console.print(f"  toolkit {plain(shlex.join(words))}", soft_wrap=True)
