"""`toolkit demo`: the main road from nothing to compared students, every command shown as one would type it.

Other people's trajectories are imported, a teacher's own are generated, and both are scored,
curated and exported together; then students are trained (`demo_students`). The demo calls nothing
but the commands themselves, through the command table, so that what it shows is what users get.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pipelines.demo_sample import write_sample
from pipelines.demo_students import check_extras, make_students
from pipelines.demo_typing import accepted_level, say, show, tell_level, type_command
from toolkit.cli.output import console, print_table
from toolkit.errors import InputError
from toolkit.lake.lake import Lake, open_lake

MARK = "made-by-toolkit-demo.txt"
"""By this file the demo knows a directory of its own."""
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
    out: Annotated[Path, Parameter(help="Directory for everything that it makes.")] = Path("demo"),
    limit: Annotated[int, Parameter(help="Minipedia questions to answer.")] = 200,
    quick: Annotated[bool, Parameter(help="Stop before students are trained.", negative=())] = False,
) -> None:
    """Run the main road: import, index, generate, score, filter, export, train, evaluate, compare. No network.

    The first part, `--quick`, takes a minute at most; students take a quarter of an hour on two cores.

    Args:
        out: Directory for everything that it makes.
        limit: Minipedia questions to answer.
        quick: Stop before students are trained.
    """
    started = time.monotonic()
    if not quick:
        check_extras()
    claim(out)
    lake, index, export, recipe = out / "lake", out / "index", out / "export", out / "recipe.yaml"
    react, chat, planted = write_sample(out / "sample")
    recipe.write_text(RECIPE)
    say("1. Other people's trajectories: a made-up sample with planted faults")
    console.print(
        f"{planted.duplicates} duplicates, {planted.wrong_answers} + 3 wrong answers, "
        f"{planted.missing_actions} turns without action, {planted.unreadable_lines} unreadable line"
    )
    type_command("import", react, "--dataset", "births", "--lake", lake, accept=(0, 1))
    type_command("import", chat, "--dataset", "sums", "--domain", "math", "--lake", lake)
    say("2. A teacher's own: the oracle, first-thought prefix, search over Chroma, a sandbox")
    tell_level()
    unsafe = accepted_level()
    type_command("index", WORLD, "--index", index)
    generate = ["generate", "--tasks", WORLD, "--limit", limit, "--samples", 2, "--index", index]
    type_command(*generate, "--slips", "0.3", *unsafe, "--lake", lake)
    say("3. Curate and export both")
    type_command("score", "--lake", lake)
    type_command("filter", recipe, "--lake", lake)
    type_command("export", "--selection", "demo", "--format", "trl", "--out", export, "--overwrite", "--lake", lake)
    relation = open_lake(lake).sql(FATES)
    print_table(relation.columns, relation.fetchall(), title="What became of every trajectory, and by which rule")
    suggestions = _suggestions(open_lake(lake), lake, index, unsafe)
    if not quick:
        suggestions += make_students(out / "students", unsafe)
    say(f"Done in {time.monotonic() - started:.0f} s. What to try next:")
    for words in suggestions:
        show(*words)


def claim(out: Path) -> None:
    """Make `out` the demo's own, unless it is already: the demo replaces what stands there under its names.

    Raises:
        InputError: it holds something, and no demo made it.
    """
    if out.is_dir() and any(out.iterdir()) and not (out / MARK).exists():
        raise InputError(f"{out} is not empty, and no demo made it; choose another --out")
    if not out.exists():
        out.mkdir(parents=True)
    (out / MARK).write_text("`toolkit demo` made this directory and replaces its files when it runs again.\n")


def _suggestions(lake: Lake, path: Path, index: Path, unsafe: list[str]) -> list[list[str]]:
    """Commands that look at what was made."""
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
    suggestions += [["ask", question, "--model", "oracle", "--tasks", WORLD, "--index", str(index), *unsafe]]
    return suggestions
