"""`toolkit run`: the stages of a recipe, one command after another.

Every stage goes through the command table with the words that are printed in front of it, so that a run can be
repeated by hand, stage by stage. Invariant: nothing runs before the whole recipe has been checked and every input of
the stages to run is there or made by one before. Resuming is running again: each command finds what it has done.
Not covered: skipping stages that would do nothing; they are asked, and say so.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

import orjson
from cyclopts import Parameter

from pipelines.recipe import load_recipe
from pipelines.run_recipe import RunRecipe, load_run
from pipelines.run_stage import INPUTS, Stage, all_names, missing_inputs, options_of
from toolkit.cli.main import run
from toolkit.cli.options import AsJson, DryRun
from toolkit.cli.output import console, note, plain, print_json, print_table
from toolkit.errors import InputError

FORESEEN = ("generate", "evaluate")
"""Commands whose dry run says what they would spend, whatever the stages before them will have done."""
NEEDED = {command: ("adapter",) for command in FORESEEN}
"""Options of theirs that name what a dry run cannot do without, and an earlier stage may make."""
FORESEEN_OF_A_LAKE = ("judge",)
"""Commands whose dry run says what they would spend on what is in the lake now."""

Numbered = tuple[int, Stage]


def run_command(
    recipe: Path,
    /,
    *,
    lake: Annotated[Path | None, Parameter(help="Directory of the lake, instead of the recipe's.")] = None,
    first: Annotated[int, Parameter(name="--from", help="Begin with this stage, counted from 1.")] = 1,
    last: Annotated[int | None, Parameter(name="--to", help="End with this stage.")] = None,
    dry_run: DryRun = False,
    json: AsJson = False,
    **overrides: Annotated[str, Parameter(help="Any option of a stage: --limit 10, --base-url URL.")],
) -> int:
    """Run the stages of a recipe, one command after another; running again goes on where it stopped.

    Any other option, such as --limit 10 or --base-url URL, takes the place of the recipe's in every stage that has
    it; flags want a value, as in --overwrite true. Paths are relative to the working directory. Exit code 2 if the
    recipe or a stage is wrong, 1 if a stage is not complete; the stages after it are then not run.

    Args:
        recipe: YAML file with `name` and `stages`; see recipes/paper-generate.yaml and recipes/your-own-task.yaml.
        lake: Directory of the lake, instead of the recipe's.
        first: Begin with this stage, counted from 1.
        last: End with this stage.
        dry_run: Print the commands, what is missing, and what asking models would take; run nothing.
        json: Print one JSON document.
        overrides: Any option of a stage.
    """
    loaded = load_run(recipe, lake=lake, overrides=overrides)
    chosen = _chosen(loaded, first, last)
    for name, text in overrides.items():
        taking = [str(number) for number, stage in chosen if name.replace("-", "_") in options_of(stage.command)]
        note(f"--{name} {text}, in stage {', '.join(taking)}" if taking else f"--{name} {text}: in no stage of these")
    stages = [stage for _, stage in chosen]
    missing = missing_inputs(stages)
    _check_filters(stages)
    if dry_run:
        return _foresee(loaded, chosen, missing, json)
    if missing:
        raise InputError("nothing was run, for these are missing:\n" + "\n".join(_named(missing)))
    return _run_all(loaded, chosen, json)


def _chosen(recipe: RunRecipe, first: int, last: int | None) -> list[Numbered]:
    count = len(recipe.stages)
    last = count if last is None else last
    if not 1 <= first <= last <= count:
        raise InputError(f"{recipe.name} has the stages 1 to {count}; --from {first} --to {last} names none of them")
    return list(enumerate(recipe.stages, start=1))[first - 1 : last]


def _check_filters(stages: Sequence[Stage]) -> None:
    """Find a mistake in a filter recipe before hours of generating, not after."""
    for stage in stages:
        if stage.command == "filter":
            for path in stage.paths(INPUTS):
                if path.exists():
                    load_recipe(path)


def _run_all(recipe: RunRecipe, chosen: Sequence[Numbered], json: bool) -> int:
    code, told = 0, []
    for number, stage in chosen:
        _announce(recipe, number, stage, json)
        code, result = _captured(stage.words) if json else (run(stage.words), None)
        told.append({"command": _line(stage), "exit_code": code, "result": result})
        if code:
            note(_stopped(recipe, number, stage, code))
            break
    if json:
        print_json({"recipe": recipe.name, "lake": str(recipe.lake), "exit_code": code, "stages": told})
    return code


def _stopped(recipe: RunRecipe, number: int, stage: Stage, code: int) -> str:
    where = f"stage {number} of {len(recipe.stages)} ({stage.command}, line {stage.line})"
    if code == 2:
        return f"{where} failed; when that is mended, the same command goes on from there"
    further = f", and --from {number + 1} goes on without it" if number < len(recipe.stages) else ""
    return f"{where} is not complete: the same command goes on from there{further}"


def _foresee(recipe: RunRecipe, chosen: Sequence[Numbered], missing: list[tuple[Stage, Path]], json: bool) -> int:
    """Say what would be run, and ask the stages that spend what they would spend."""
    code, told = 0, []
    askable = (*FORESEEN, *FORESEEN_OF_A_LAKE) if recipe.lake.exists() else FORESEEN
    for number, stage in chosen:
        _announce(recipe, number, stage, json)
        found = None
        lacks = any(stage is lacking for lacking, _ in missing) or not all(
            path.exists() for path in stage.paths(NEEDED)
        )
        if stage.command in askable and not lacks:
            failed, found = _captured([*stage.words, "--dry-run"])
            code = code or failed
        told.append({"number": number, "command": _line(stage), "forecast": found})
    code = 2 if missing else code
    if json:
        about = {"recipe": recipe.name, "lake": str(recipe.lake), "dry_run": True, "exit_code": code}
        print_json({**about, "missing": [str(path) for _, path in missing], "stages": told})
        return code
    _print_forecasts(told)
    if missing:
        note("missing:\n" + "\n".join(_named(missing)))
    return code


def _named(missing: list[tuple[Stage, Path]]) -> list[str]:
    return [f"  {path} ({stage.command}, line {stage.line})" for stage, path in missing]


def _print_forecasts(told: list[dict[str, Any]]) -> None:
    found = {one["number"]: one["forecast"] for one in told if one["forecast"]}
    if not found:
        return
    columns = ["stage", "in the lake", "to run or ask", "tokens read", "tokens written", "hours", "USD"]
    rows = [[str(number), *_figures(forecast)] for number, forecast in found.items()]
    sums = [None if None in column else sum(column) for column in zip(*(row[1:] for row in rows), strict=True)]
    console.print()
    print_table(columns, [*rows, ["all", *sums]], title="Nothing was run; it would take about")
    for basis in dict.fromkeys(forecast["basis"] for forecast in found.values()):
        numbers = ", ".join(str(number) for number, forecast in found.items() if forecast["basis"] == basis)
        note(f"stage {numbers}: {basis}")


def _figures(forecast: dict[str, Any]) -> list[Any]:
    parts = ("calls",) if "calls" in forecast else ("to_retry", "begun", "new")
    to_run = sum(forecast[part] for part in parts)
    tokens = [round(forecast["read"]), round(forecast["written"])]
    cost = forecast["cost_usd"]
    return [forecast["done"], to_run, *tokens, round(forecast["hours"], 3), None if cost is None else round(cost, 2)]


def _captured(words: list[str]) -> tuple[int, Any]:
    """Run a command for machines; its exit code and the document that it printed, None if it printed none."""
    words = [*words, "--json"] if "--json" in all_names(words[0]) else words
    with redirect_stdout(StringIO()) as printed:
        code = run(words)
    try:
        return code, orjson.loads(printed.getvalue())
    except orjson.JSONDecodeError:
        return code, None


def _announce(recipe: RunRecipe, number: int, stage: Stage, json: bool) -> None:
    """Print the command of a stage as one would type it."""
    title = f"{recipe.name} {number}/{len(recipe.stages)}"
    if json:
        note(f"{title} $ {_line(stage)}")
    else:
        console.print(f"\n[bold]{plain(title)}[/] [bold cyan]$ {plain(_line(stage))}[/]", soft_wrap=True)


def _line(stage: Stage) -> str:
    return shlex.join(["toolkit", *stage.words])
