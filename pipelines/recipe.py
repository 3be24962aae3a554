"""Filter recipes: one YAML file, checked against these models before anything is read.

    name: v1
    steps:
      - where: "correct and stop_reason = 'final_answer' and parse_errors = 0"
      - dedup: {by: trajectory, keep: first}
      - decontaminate: {against: [math_500.json]}
      - best_of: {per_task: 2, order_by: [n_steps, completion_tokens]}
      - mask_steps: "error_kind <> 'none'"
      - review: {require: accepted}
      - sample: {n: 2000, by: dataset, seed: 0}

Invariant: an unknown key, step or value is an error that names its line.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from toolkit.contamination.hits import Kind
from toolkit.errors import RecipeError
from toolkit.recipe_text import explain, line_of, most_telling, read_recipe, read_yaml


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Where(_Strict):
    """Keep what fulfils a SQL predicate over `trajectories_scored`."""

    where: Annotated[str, Field(min_length=1)]


class DedupOptions(_Strict):
    """What counts as the same, and which one stays."""

    by: Literal["task", "actions", "trajectory"]
    """`task`: the question, ignoring case and spacing. `actions`: the sequence of actions, whatever the
    question; trajectories without any action are never duplicates. `trajectory`: all that was said and observed."""
    keep: Literal["first", "shortest"] = "first"
    """`first`: in the order of dataset and position. `shortest`: fewest steps, then first."""


class Dedup(_Strict):
    """Keep one of each group of equal trajectories."""

    dedup: DedupOptions


class DecontaminateOptions(_Strict):
    """Which benchmarks, what counts as overlap, and what becomes of it."""

    against: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
    """Question files, `minipedia:test`, or `tasks where PREDICATE` for questions of the lake's own table."""
    ngram: Annotated[int, Field(ge=1, strict=True)] = 13
    """Words of a shared run that count as overlap, boilerplate counted by its weight."""
    jaccard: Annotated[float, Field(gt=0, le=1, strict=True)] | None = 0.5
    """Similarity of shingles from which a task is a near-duplicate of a question. None: runs and equality count."""
    drop: list[Kind] = ["task", "answer"]
    """Kinds of hits that drop a trajectory. `task`: the benchmark's question was put to the agent or quoted by it.
    `answer`: its gold answer stands in the agent's own words, with enough of the question around it. `passage`: either
    stands only in what the agent was shown, which is normal for retrieval."""
    drop_mentions: bool = False
    """Whether answers that stand alone, without their question, drop, too. They are nearly always accidents."""
    report: list[Kind] = ["passage"]
    """Kinds of hits that are written into the decision and drop nothing."""

    @model_validator(mode="after")
    def _each_kind_once(self) -> Self:
        both = sorted({*self.drop} & {*self.report})
        if both:
            raise PydanticCustomError("kind_twice", "{kind} cannot be both dropped and reported", {"kind": both[0]})
        return self


class Decontaminate(_Strict):
    """Drop trajectories that overlap benchmarks."""

    decontaminate: DecontaminateOptions


class BestOfOptions(_Strict):
    """How many of a task stay, and by which order."""

    per_task: Annotated[int, Field(ge=1)]
    order_by: Annotated[list[Annotated[str, Field(pattern=r"^\w+( (asc|desc))?$")]], Field(min_length=1)]
    """Columns of `trajectories_scored`, best first; `completion_tokens desc` turns one round. Nulls come last."""


class BestOf(_Strict):
    """Keep the best trajectories of each task."""

    best_of: BestOfOptions


class MaskSteps(_Strict):
    """Give steps that fulfil a SQL predicate over `steps_scored` the loss weight 0; nothing is dropped.

    That view has the columns of `steps`, those of process signals, `review_verdict`, what people say of a step
    (correct, wrong, unsure or null), and `judge_step`, whether a judge found it correct.
    """

    mask_steps: Annotated[str, Field(min_length=1)]


class ReviewOptions(_Strict):
    """What people must have said."""

    require: Literal["accepted"]
    """More people accept the trajectory as a whole than reject it; `unsure` does not count, a tie is not accepted."""
    project: Annotated[str, Field(min_length=1)] | None = None
    """Only words of this review project. None: of all."""


class Review(_Strict):
    """Keep what people accepted."""

    review: ReviewOptions


class SampleOptions(_Strict):
    """How many trajectories stay, and of which strata."""

    n: Annotated[int, Field(ge=1)]
    by: Annotated[str, Field(pattern=r"^\w+$")] | None = None
    """Column of `trajectories_scored`; each of its values keeps its share. None: one stratum."""
    seed: Annotated[int, Field(ge=0)] = 0


class Sample(_Strict):
    """Keep a seeded random sample."""

    sample: SampleOptions


Rule = Where | Dedup | Decontaminate | BestOf | MaskSteps | Review | Sample
RULES: dict[str, type[Rule]] = {
    "where": Where,
    "dedup": Dedup,
    "decontaminate": Decontaminate,
    "best_of": BestOf,
    "mask_steps": MaskSteps,
    "review": Review,
    "sample": Sample,
}


class FilterRecipe(_Strict):
    """An ordered list of rules and the name of the selection that they make."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=96)]
    steps: list[Rule]

    def as_json(self) -> dict[str, object]:
        """The resolved recipe as plain values."""
        return self.model_dump(mode="json")


def rule_name(rule: Rule) -> str:
    """The recipe word of a rule, for example `where`."""
    return next(iter(type(rule).model_fields))


def load_recipe(path: Path) -> FilterRecipe:
    """Read and check a recipe.

    Raises:
        InputError: the file cannot be read.
        RecipeError: it is not YAML, or does not validate; the message names file and line.
    """
    return parse_recipe(read_recipe(path), str(path))


def parse_recipe(text: str, place: str) -> FilterRecipe:
    """Check the text of a recipe; `place` names it in errors.

    Raises:
        RecipeError: as `load_recipe`.
    """
    root, values = read_yaml(text, place)
    if not isinstance(values, dict) or root is None:
        raise RecipeError(f"{place}: expected a mapping with `name` and `steps`, got {type(values).__name__}")
    if "stages" in values and "steps" not in values:
        raise RecipeError(f"{place} is a recipe of stages; it is for `toolkit run {place}`")
    try:
        steps = values.get("steps")
        if isinstance(steps, list):
            values["steps"] = [_rule(step, index) for index, step in enumerate(steps)]
        return FilterRecipe.model_validate(values)
    except _StepError as error:
        raise RecipeError(f"{line_of(root, error.path)} of {place}: {error}") from error
    except ValidationError as error:
        first = most_telling(error)
        raise RecipeError(f"{line_of(root, first['loc'])} of {place}: {explain(first)}") from error


class _StepError(Exception):
    def __init__(self, message: str, path: Sequence[int | str]) -> None:
        super().__init__(message)
        self.path = path


def _rule(step: object, index: int) -> Rule:
    if not isinstance(step, dict) or len(step) != 1:
        raise _StepError(f"a step is one of {', '.join(RULES)}, with its options; got {step!r}", ("steps", index))
    name = next(iter(step))
    if name not in RULES:
        close = get_close_matches(str(name), RULES, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(RULES)}"
        raise _StepError(f"unknown step {name!r}{hint}", ("steps", index, name))
    try:
        return RULES[name].model_validate(step)
    except ValidationError as error:
        first = most_telling(error)
        raise _StepError(explain(first), ("steps", index, *first["loc"])) from error
