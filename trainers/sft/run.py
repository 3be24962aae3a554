"""Train on rows: data, model and settings in, a directory with the student out.

    out/                  the adapter, or the model of `method: full`, with its tokenizer
    out/training.json     what was trained on what; a training with other settings does not go on here
    out/checkpoints/      states to go on from

Invariant: one call of TRL's `train`, whatever the curriculum, so that optimizer and schedule live through it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.compute as pc
import torch
import transformers
from accelerate import PartialState
from transformers import EarlyStoppingCallback, PrinterCallback
from trl import SFTConfig

from toolkit.chat import ChatEncoder
from toolkit.cli.output import progress
from toolkit.errors import RunError
from trainers.sft.models import adapter_config, check_tokens, compute_dtype, load_base, write_end_tokens
from trainers.sft.progress import Watch
from trainers.sft.rows import Plan, lengths_of, plan
from trainers.sft.settings import TrainSettings
from trainers.sft.trainer import WeightedTrainer

CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class Primer:
    """Rows that open the training: copy strings teach a student without pretraining to look back."""

    rows: pa.Table
    """Of `trainers.sft.rows.SCHEMA`."""
    batches: int
    """Batches of it before all others."""
    share: float = 0.0
    """Share of the later batches that are of it."""


@dataclass(frozen=True)
class TrainResult:
    """What came out."""

    out: Path
    steps: int
    plan: Plan
    is_complete: bool
    """False: Ctrl-C ended it; the same call goes on."""
    metrics: dict[str, float]
    """`train_loss` (mean of this call's steps), `eval_loss` of what was kept, `tokens_per_s`, `peak_memory_gb`, …"""
    is_main: bool
    """False in all processes but one."""
    trained: Any = field(repr=False)
    """The model, with its adapter."""
    history: list[dict[str, float]] = field(repr=False, default_factory=list)
    """What was logged, by step."""


def train_rows(
    train: pa.Table,
    validation: pa.Table | None,
    tokenizer: Any,
    model: Any,
    settings: TrainSettings,
    out: Path,
    *,
    primer: Primer | None = None,
    resume_from: Path | None = None,
) -> TrainResult:
    """Train `model`, a directory, a name or a loaded model, on rows (`trainers.sft.rows.as_table`), and save it.

    Raises:
        InputError: rows, settings and model do not fit together; nothing was written.
        RunError: it began and could not finish.
    """
    turn_end = ChatEncoder(tokenizer).turn_end_id
    with quiet():
        planned = plan(
            train,
            settings,
            primer=primer.rows if primer else None,
            primer_batches=primer.batches if primer else 0,
            primer_share=primer.share if primer else 0.0,
            processes=processes(),
        )
        name = model if isinstance(model, str) else type(model).__name__
        loaded = load_base(model, settings) if isinstance(model, str) else model
        for table in (train, validation, primer.rows if primer else None):
            if table is not None and table.num_rows:
                highest = int(pc.max(pc.list_flatten(table["input_ids"])).as_py())
                check_tokens(loaded, highest, max(lengths_of(table)), name)
        with progress("train", planned.steps, unit="steps") as advance:
            watch = Watch(advance)
            trainer = _trainer(planned, validation, tokenizer, loaded, settings, out, watch)
            with watch.stopping_on_interrupt(processes()), memory_advice(settings):
                outcome = trainer.train(resume_from_checkpoint=str(resume_from) if resume_from else None)
        trained = trainer.accelerator.unwrap_model(trainer.model)
        if not watch.is_stopping:
            trainer.save_model(str(out))
            if trainer.accelerator.is_main_process:
                tokenizer.save_pretrained(out)
                write_end_tokens(out, trained.generation_config.eos_token_id, turn_end)
    return TrainResult(
        out,
        outcome.global_step,
        planned,
        not watch.is_stopping,
        _metrics(trainer, outcome),
        trainer.accelerator.is_main_process,
        trained,
        watch.history,
    )


def processes() -> int:
    """How many train together: those of `accelerate launch`, or this one."""
    return int(PartialState(cpu=not torch.cuda.is_available()).num_processes)


@contextmanager
def main_process_first() -> Iterator[bool]:
    """The block runs in the main process first, then in the others; whether this is the main one."""
    state = PartialState(cpu=not torch.cuda.is_available())
    with state.main_process_first():
        yield bool(state.is_main_process)


def part() -> None:
    """Let the processes of a training go, all at once: one that ended alone was seen to abort in its last moment."""
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def _trainer(
    planned: Plan,
    validation: pa.Table | None,
    tokenizer: Any,
    model: Any,
    settings: TrainSettings,
    out: Path,
    watch: Watch,
) -> WeightedTrainer:
    has_validation = validation is not None and validation.num_rows > 0
    callbacks: list[Any] = [watch]
    if settings.early_stop is not None and has_validation:
        callbacks.append(EarlyStoppingCallback(early_stopping_patience=settings.early_stop))
    trainer = WeightedTrainer(
        settings=settings,
        args=arguments(planned, settings, out, longest_validated=max(lengths_of(validation)) if has_validation else 0),
        train_dataset=planned.dataset,
        eval_dataset=datasets.Dataset(validation) if has_validation else None,
        batches=planned.batches,
        model=model,
        processing_class=tokenizer,
        peft_config=adapter_config(settings),
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)
    watch.trainer = trainer
    return trainer


def arguments(planned: Plan, settings: TrainSettings, out: Path, *, longest_validated: int = 0) -> SFTConfig:
    """TRL's arguments; `longest_validated` in tokens, 0: nothing is validated."""
    has_gpu = torch.cuda.is_available()
    wants_checkpointing = settings.gradient_checkpointing
    eval_steps = settings.eval_steps or planned.steps_per_epoch
    stops_early = settings.early_stop is not None and longest_validated > 0
    room = settings.batch_tokens or settings.max_tokens
    return SFTConfig(
        output_dir=str(out / CHECKPOINTS),
        # The batches of `batch_tokens` are those of all epochs.
        num_train_epochs=1 if planned.batches is not None else settings.epochs,
        max_steps=planned.steps,
        per_device_train_batch_size=settings.micro_batch,
        per_device_eval_batch_size=min(64, max(1, room // longest_validated)) if longest_validated else 1,
        gradient_accumulation_steps=planned.accumulation,
        learning_rate=settings.learning_rate,
        adam_beta1=settings.adam_beta1,
        adam_beta2=settings.adam_beta2,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        optim="adamw_torch_fused",
        # `wsd` is made by the trainer.
        lr_scheduler_type={"constant": "constant_with_warmup", "wsd": "linear"}.get(
            settings.schedule, settings.schedule
        ),
        warmup_steps=round(settings.warmup * planned.steps),
        eval_strategy="steps" if longest_validated else "no",
        eval_steps=eval_steps if longest_validated else None,
        save_strategy="steps",
        # The best can only be kept if it was saved.
        save_steps=eval_steps if stops_early else settings.save_steps or eval_steps,
        save_total_limit=2,
        load_best_model_at_end=stops_early,
        metric_for_best_model="eval_loss" if stops_early else None,
        greater_is_better=False if stops_early else None,
        logging_steps=settings.log_steps,
        report_to=settings.report_to or "none",
        # Every trained weight is in every loss; looking for others costs a walk over the graph each step.
        ddp_find_unused_parameters=False,
        disable_tqdm=True,
        bf16=compute_dtype(settings) == torch.bfloat16,
        use_cpu=not has_gpu,
        gradient_checkpointing=has_gpu if wants_checkpointing is None else wants_checkpointing,
        seed=settings.seed,
        data_seed=settings.seed,
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        packing=False,
        max_length=None,
        loss_type="nll",
        dataloader_pin_memory=has_gpu,
        # Batches of rows by tokens have no fixed size to fill the last one up to; `TokenBatches` makes them even.
        accelerator_config={"even_batches": planned.batches is None},
    )


def _metrics(trainer: WeightedTrainer, outcome: Any) -> dict[str, float]:
    seconds = outcome.metrics.get("train_runtime", 0.0)
    tokens = trainer.tokens_seen * trainer.accelerator.num_processes
    found = {
        "train_loss": float(outcome.training_loss),
        "train_runtime_s": float(seconds),
        "train_tokens": float(tokens),
        "tokens_per_s": tokens / seconds if seconds else 0.0,
    }
    best = trainer.state.best_metric
    last = [row["eval_loss"] for row in trainer.state.log_history if "eval_loss" in row]
    if best is not None or last:
        found["eval_loss"] = float(best if best is not None else last[-1])
    if torch.cuda.is_available():
        found["peak_memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
    return found


@contextmanager
def quiet() -> Iterator[None]:
    """Without the chatter of the libraries; errors are raised, not logged."""
    logging: Any = transformers.utils.logging
    verbosity = logging.get_verbosity()
    had_bars = datasets.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    datasets.disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning)
            yield
    finally:
        logging.set_verbosity(verbosity)
        logging.enable_progress_bar()
        if had_bars:
            datasets.enable_progress_bars()


@contextmanager
def memory_advice(settings: TrainSettings) -> Iterator[None]:
    """Out of memory, on a GPU or not, becomes an error that says what to lower."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        text = str(error)
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "allocate memory" not in text:
            raise
        raise RunError(f"out of memory while training: {_advice(settings)} ({text.partition(chr(10))[0]})") from error


def _advice(settings: TrainSettings) -> str:
    hints = []
    if settings.batch_tokens is not None:
        hints.append(f"batch_tokens (now {settings.batch_tokens:,})")
    else:
        hints += [f"micro_batch (now {settings.micro_batch})"] if settings.micro_batch > 1 else []
        hints.append(f"max_tokens (now {settings.max_tokens:,})")
    also = [] if settings.gradient_checkpointing is not False else ["set gradient_checkpointing: true"]
    also += ["set method: lora"] if settings.method == "full" else [f"lower lora_r (now {settings.lora_r})"]
    return "; ".join([f"lower {' or '.join(hints)}", *also])
