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

A step `use: other.yaml` stands for the steps of that recipe; `within: NAME` for what a selection in the lake keeps.
Invariant: an unknown key, step or value is an error that names its file and line.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from toolkit.contamination.hits import Kind
from toolkit.errors import InputError, RecipeError
from toolkit.recipe_text import explain, hint, line_of, most_telling, read_recipe, read_yaml


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    _place: str = PrivateAttr("")

    @property
    def place(self) -> str:
        """Line and file of a step, in brackets; empty if it was not read from a file."""
        return self._place


class Where(_Strict):
    """Keep what fulfils a SQL predicate over `trajectories_scored`."""

    where: Annotated[str, Field(min_length=1)]


class DedupOptions(_Strict):
    """What counts as the same, and which one stays."""

    by: Literal["task", "actions", "code", "observations", "trajectory"]
    """`task`: the question. `actions`: the agent's thoughts and code; without `jaccard`, its code alone. `code`: the
    shape of its programs, whatever they name things or write out; different questions often have the same, so rather
    with `per_task`. `observations`: what it saw. `trajectory`: all that it said and saw. Rows that have nothing of the
    kind are never duplicates."""
    jaccard: Annotated[float, Field(gt=0, le=1, strict=True)] | None = None
    """Rows are the same from this Jaccard similarity of their shingles on, in (0, 1]. None: only if they are equal (a
    task ignoring case and spacing)."""
    keep: Literal["first", "shortest", "best_score"] = "first"
    """`first`: in the order of dataset and position. `shortest`: fewest steps, then first. `best_score`: right before
    undecided before wrong, then the higher F1 or reward, then shortest."""
    per_task: Annotated[int, Field(ge=1)] | None = None
    """Compare only rows of one task, and keep so many that differ. None: compare all rows, keep all that differ."""

    @model_validator(mode="after")
    def _jaccard_where_it_must_be(self) -> Self:
        needing = f"by: {self.by}" if self.by in ("code", "observations") else "per_task" if self.per_task else None
        if self.jaccard is None and needing:
            raise PydanticCustomError("needs_jaccard", f"{needing} needs `jaccard`, for example 0.8")
        return self


class Dedup(_Strict):
    """Keep one of each group of equal or similar trajectories."""

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
    (correct, wrong, unsure or null), and `judge_step`, whether a model that judged it found it correct (or null).
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


def _as_text(value: object) -> object:
    """Values of a column as YAML gives them, in the words that DuckDB has for them."""
    if not isinstance(value, dict):
        return value
    return {str(key).lower() if isinstance(key, bool) else str(key): share for key, share in value.items()}


class MixOptions(_Strict):
    """Which values of a column make up how much of what stays."""

    by: Annotated[str, Field(pattern=r"^\w+$")]
    """Column of `trajectories_scored`, such as `teacher`, `source`, `kind` or `dataset`."""
    shares: Annotated[dict[str, Annotated[float, Field(gt=0, le=1)]], BeforeValidator(_as_text), Field(min_length=1)]
    """Share of each value; they add up to 1. Rows with other values, or with none, are dropped."""
    n: Annotated[int, Field(ge=1)] | None = None
    """At most so many trajectories in all. None: as many as the shares allow."""
    seed: Annotated[int, Field(ge=0)] = 0

    @field_validator("shares")
    @classmethod
    def _whole(cls, shares: dict[str, float]) -> dict[str, float]:
        total = sum(Fraction(str(share)) for share in shares.values())
        if total != 1:
            raise PydanticCustomError(
                "shares", "the shares must add up to 1, but add up to {total}", {"total": float(total)}
            )
        return shares


class Mix(_Strict):
    """Keep values of a column in set shares."""

    mix: MixOptions


class BalanceOptions(_Strict):
    """What is made equal."""

    by: Annotated[str, Field(pattern=r"^\w+$")]
    """Column of `trajectories_scored`; rows with none are a group, too."""
    per_value: Annotated[int, Field(ge=1)] | None = None
    """At most so many of each value; rarer ones stay whole. None: of each as many as of the rarest."""
    seed: Annotated[int, Field(ge=0)] = 0


class Balance(_Strict):
    """Keep equally many of each value of a column."""

    balance: BalanceOptions


class MaxTokensOptions(_Strict):
    """How long a trajectory may be, and how that is estimated."""

    n: Annotated[int, Field(ge=1)]
    """Tokens of question, turns and observations together; the system prompt is not counted."""
    chars_per_token: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 4.0
    """Characters a token. `export --format sft` counts with the student's tokenizer."""


class MaxTokens(_Strict):
    """Drop trajectories that are too long."""

    max_tokens: MaxTokensOptions


class Within(_Strict):
    """Keep what a selection of the lake keeps, with the weights that it gives to steps."""

    within: Annotated[str, Field(min_length=1)]


Rule = Where | Dedup | Decontaminate | BestOf | MaskSteps | Review | Sample | Mix | Balance | MaxTokens | Within
RULES: dict[str, type[Rule]] = {
    "where": Where,
    "dedup": Dedup,
    "decontaminate": Decontaminate,
    "best_of": BestOf,
    "mask_steps": MaskSteps,
    "review": Review,
    "sample": Sample,
    "mix": Mix,
    "balance": Balance,
    "max_tokens": MaxTokens,
    "within": Within,
}
USE = "use"
"""The step that stands for the steps of another recipe."""


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
    """Read and check a recipe, and those that it uses; their paths are relative to it.

    Raises:
        InputError: the file cannot be read.
        RecipeError: it is not YAML, or does not validate; the message names file and line.
    """
    return _parse(read_recipe(path), str(path), (path,))


def parse_recipe(text: str, place: str) -> FilterRecipe:
    """Check the text of a recipe; `place` is its path, or any name for it in errors.

    Raises:
        RecipeError: as `load_recipe`.
    """
    return _parse(text, place, (Path(place),))


def renamed(recipe: FilterRecipe, name: str) -> FilterRecipe:
    """The same recipe under another name.

    Raises:
        InputError: it is no name for a selection.
    """
    try:
        return FilterRecipe.model_validate({"name": name, "steps": recipe.steps})
    except ValidationError as error:
        raise InputError(f"--name: expected letters, digits, dots, dashes and underscores, got {name!r}") from error


def _parse(text: str, place: str, trail: Sequence[Path]) -> FilterRecipe:
    """`trail` are the files that led here, this one last."""
    root, values = read_yaml(text, place)
    if not isinstance(values, dict) or root is None:
        got = "nothing" if values is None else type(values).__name__
        raise RecipeError(f"{place}: expected a mapping with `name` and `steps`, got {got}")
    if "stages" in values and "steps" not in values:
        raise RecipeError(f"{place} is a recipe of stages; it is for `toolkit run {place}`")
    try:
        steps = values.get("steps")
        if isinstance(steps, list):
            lines = (f"{line_of(root, ('steps', index))} of {place}" for index in range(len(steps)))
            values["steps"] = [
                rule
                for index, (step, line) in enumerate(zip(steps, lines, strict=True))
                for rule in _rules(step, index, line, trail)
            ]
        return FilterRecipe.model_validate(values)
    except _StepError as error:
        raise RecipeError(f"{line_of(root, error.path)} of {place}: {error}") from error
    except ValidationError as error:
        first = most_telling(error)
        raise RecipeError(f"{line_of(root, first['loc'])} of {place}: {explain(first, FilterRecipe)}") from error


class _StepError(Exception):
    def __init__(self, message: str, path: Sequence[int | str]) -> None:
        super().__init__(message)
        self.path = path


def _rules(step: object, index: int, place: str, trail: Sequence[Path]) -> list[Rule]:
    """The rules that a step stands for: one, or those of the recipe that it uses."""
    known = (*RULES, USE)
    if not isinstance(step, dict) or len(step) != 1:
        raise _StepError(f"a step is one of {', '.join(known)}, with its options; got {step!r}", ("steps", index))
    name = next(iter(step))
    if name == USE:
        return _used(step[name], ("steps", index, name), trail)
    if name not in RULES:
        raise _StepError(f"unknown step {name!r}{hint(str(name), known)}", ("steps", index, name))
    try:
        rule = RULES[name].model_validate(step)
    except ValidationError as error:
        first = most_telling(error)
        raise _StepError(explain(first, RULES[name]), ("steps", index, *first["loc"])) from error
    rule._place = f" ({place})"
    return [rule]


def _used(given: object, path: Sequence[int | str], trail: Sequence[Path]) -> list[Rule]:
    if not isinstance(given, str) or not given:
        raise _StepError(f"use: expected the path of a recipe, got {given!r}", path)
    file = trail[-1].parent / given
    if any(file.resolve() == earlier.resolve() for earlier in trail):
        way = " → ".join(str(earlier) for earlier in (*trail, file))
        raise _StepError(f"use: a recipe cannot contain itself: {way}", path)
    try:
        text = read_recipe(file)
    except InputError as error:
        raise _StepError(f"use: {error}", path) from error
    return _parse(text, str(file), (*trail, file)).steps
