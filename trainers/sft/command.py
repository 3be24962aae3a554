"""`toolkit train`: a student from a selection."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from pydantic import ValidationError

from toolkit.cli.options import DEFAULT_LAKE, AsJson, At, DryRun, LakePath
from toolkit.cli.output import note, print_json, print_table
from toolkit.errors import MissingExtraError, RecipeError
from toolkit.lake.lake import open_lake
from toolkit.recipe_text import explain, load_yaml_as, most_telling
from trainers.sft.settings import TrainSettings


def train_command(
    *,
    selection: str,
    base: str,
    out: Path,
    lake: LakePath = DEFAULT_LAKE,
    config: Annotated[Path | None, Parameter(help="YAML file with settings; flags override it.")] = None,
    kind: Annotated[
        Literal["agent", "cot", "cot_rag"] | None, Parameter(help="Refuse a selection that keeps another kind.")
    ] = None,
    validation: Annotated[str | None, Parameter(help="Selection to validate on.")] = None,
    prompts: Annotated[Path | None, Parameter(help="Directory with your own prompt templates.")] = None,
    at: At = None,
    method: Literal["lora", "full"] | None = None,
    lora_r: int | None = None,
    lora_alpha: int | None = None,
    epochs: float | None = None,
    max_steps: int | None = None,
    batch_size: int | None = None,
    micro_batch: int | None = None,
    batch_tokens: int | None = None,
    packing: bool | None = None,
    max_tokens: int | None = None,
    prefix_loss: bool | None = None,
    context_weight: float | None = None,
    optimizer: Literal["adamw", "muon"] | None = None,
    learning_rate: float | None = None,
    schedule: Literal["cosine", "linear", "constant", "wsd"] | None = None,
    validation_share: float | None = None,
    eval_steps: int | None = None,
    early_stop: int | None = None,
    save_steps: int | None = None,
    report_to: tuple[str, ...] | None = None,
    dtype: Literal["auto", "float32", "bfloat16"] | None = None,
    gradient_checkpointing: bool | None = None,
    seed: int | None = None,
    merge: Annotated[bool, Parameter(negative="", help="Also write OUT/merged, a model without adapter.")] = False,
    resume: Annotated[bool, Parameter(help="Go on with a training of the same settings in --out.")] = True,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> None:
    """Train a student on a selection, and keep its lineage in the lake.

    Defaults are the paper's; recipes/paper-student.yaml names all settings. After Ctrl-C or a kill, the same command
    goes on from the last checkpoint. Several GPUs: `accelerate launch -m toolkit.cli train …`.

    Args:
        selection: Name of the selection.
        base: Model to start from: a directory, or a name of the Hub with or without `@REVISION`.
        out: Directory for the student; made if missing.
        lake: Directory of the lake.
        config: YAML file with settings; flags override it.
        kind: Refuse a selection that keeps another kind.
        validation: Selection to validate on, instead of a held-out share.
        prompts: Directory with your own prompt templates.
        at: Read the selection as it was after this commit.
        method: An adapter, or all weights.
        lora_r: Rank of the adapter.
        lora_alpha: Scale of the adapter, times its rank.
        epochs: Passes over the rows.
        max_steps: End after so many steps.
        batch_size: Rows a step.
        micro_batch: Rows, or packs of them, in one forward pass.
        batch_tokens: A step is a batch of rows of like length with so many tokens, instead of `batch_size` rows.
        packing: Several rows in one sequence, none seeing another.
        max_tokens: Longest row.
        prefix_loss: Whether injected first thoughts are trained.
        context_weight: Loss weight of what is not trained otherwise.
        optimizer: AdamW, or Muon for matrices.
        learning_rate: Of AdamW, at its highest.
        schedule: Of the learning rates.
        validation_share: Share of the questions held out.
        eval_steps: Steps between validations.
        early_stop: End after so many validations without a better loss.
        save_steps: Steps between checkpoints.
        report_to: Trackers, such as tensorboard; may be given several times.
        dtype: Of computing.
        gradient_checkpointing: Compute activations twice, hold fewer.
        seed: Of order, adapter and held-out questions.
        merge: Also write OUT/merged; of a training that is done, only that.
        resume: Go on with a training of the same settings in --out.
        dry_run: Say what would be trained in how many steps.
        json: Print one JSON document.
    """
    given = {name: value for name, value in locals().items() if name in TrainSettings.model_fields}
    settings = resolve(config, given)
    try:
        from trainers.sft.checkpoints import is_done
        from trainers.sft.lineage import prepare, train
        from trainers.sft.merging import check_merge
    except ImportError as error:
        raise MissingExtraError(error.name or "trl", "train", "training") from error
    if merge:
        check_merge(settings)
    opened = open_lake(lake)
    prepared = prepare(
        opened, selection, settings, base, kind=kind, validation_name=validation, templates=prompts, at=at
    )
    if dry_run:
        _say_plan(prepared.as_json(settings), json)
        return
    if merge and is_done(out, prepared.identity):
        _merge_again(out, base, settings, prepared.tokenizer, json)
        return
    result = train(opened, prepared, settings, base, out, at=at, merge=merge, resume=resume)
    if not result.is_complete:
        note(f"stopped at step {result.steps:,} of {result.plan.steps:,}; the same command goes on from there")
        raise KeyboardInterrupt
    if result.is_main:
        _say_result(result, json)


def resolve(config: Path | None, given: dict[str, Any]) -> TrainSettings:
    """Settings of a file, overridden by those `given` that are not None.

    Raises:
        RecipeError: a key or value does not fit; the message names line or flag.
    """
    settings = load_yaml_as(TrainSettings, config) if config is not None else TrainSettings()
    chosen = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    try:
        return TrainSettings.model_validate({**settings.model_dump(), **chosen})
    except ValidationError as error:
        raise RecipeError(f"--{explain(most_telling(error), TrainSettings).replace('_', '-')}") from error


def _merge_again(out: Path, base: str, settings: TrainSettings, tokenizer: Any, json: bool) -> None:
    """What `--merge` does where nothing is left to train."""
    from trainers.sft.merging import merge_saved
    from trainers.sft.run import main_process_first, part, quiet

    with main_process_first() as is_main:
        if is_main:
            with quiet():
                merged = merge_saved(out, base, settings, tokenizer)
            note(f"{out} holds this training, and it is done; merged into {merged}")
            if json:
                print_json({"out": str(out), "merged": str(merged)})
    part()


def _say_plan(numbers: dict[str, object], json: bool) -> None:
    if json:
        print_json(numbers)
        return
    shown = {name: value for name, value in numbers.items() if name != "dropped_reasons"}
    print_table(["would train", ""], [[name.replace("_", " "), value] for name, value in shown.items()])
    reasons = numbers["dropped_reasons"]
    assert isinstance(reasons, dict)
    for reason, count in reasons.items():
        note(f"dropped {count:,}: {reason}")


def _say_result(result: Any, json: bool) -> None:
    if json:
        print_json({"out": str(result.out), "steps": result.steps, "metrics": result.metrics, **result.plan.as_json()})
        return
    rows = [[name.replace("_", " "), value] for name, value in {"steps": result.steps, **result.metrics}.items()]
    print_table(["trained", ""], rows, title=str(result.out))
    note(f"card: {result.out / 'README.md'}")
