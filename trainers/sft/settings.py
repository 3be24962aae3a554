"""What decides how a student is trained; the defaults are the paper's (arXiv 2505.17612).

Filled by YAML (`toolkit train --config FILE`), overridden by flags. Invariant: an unknown key or a value that does
not fit is an error. Not here: what is trained on what (selection, base, place), which belongs to the command.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class TrainSettings(BaseModel):
    """One training; every field stands in the model's card."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    method: Literal["lora", "full"] = "lora"
    """`lora` trains an adapter beside frozen weights, `full` all weights."""
    lora_r: Count = 64
    lora_alpha: Count = 128
    lora_dropout: Share = 0.0
    lora_target: str | list[str] = "all-linear"
    """Modules that get an adapter, as peft names them; the output layer cannot be one."""

    epochs: Positive = 2.0
    """Passes over the rows; the last one may be a part."""
    max_steps: Count | None = None
    """Ends the training after so many steps of the optimizer. None: `epochs` decides."""
    batch_size: Count = 8
    """Rows (trajectories) a step, over all processes; packed, on average."""
    micro_batch: Count = 1
    """Rows, or packs of rows, in one forward pass of one process; the rest of a step is accumulated."""
    batch_tokens: Count | None = None
    """A step is a batch of rows of like length with at most so many tokens, padding counted, in each process;
    `batch_size`, `micro_batch` and `packing` do not apply. For small students. None: a step counts rows."""
    packing: bool = True
    """Several rows in one sequence; none sees another."""

    max_tokens: Count = 10_240
    """Longest row; see `over_long`."""
    over_long: Literal["cut", "drop"] = "cut"
    """Longer rows end behind their last step that fits, or are left out."""
    prefix_loss: bool = True
    """Whether injected beginnings of first thoughts are trained."""
    prompt: Literal["student", "recorded"] = "student"
    """The dialect's short prompt for students, or the one that the teacher had."""
    context_weight: Share = 0.0
    """Loss weight of every token that has none otherwise: prompts, observations, and also steps of weight 0.
    Students without pretraining need about 0.2; a pretrained one should not learn to speak for its tools."""

    optimizer: Literal["adamw", "muon"] = "adamw"
    """`muon`: Muon for the matrices between embedding and output layer, AdamW for the rest."""
    learning_rate: Positive = 2e-4
    """Of AdamW, at its highest."""
    muon_learning_rate: Positive = 0.01
    """Of Muon, at its highest."""
    muon_momentum: Share = 0.95
    adam_beta1: Share = 0.9
    adam_beta2: Share = 0.999
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(ge=0)] = 1.0
    """Longer gradients are scaled down to this norm. 0: never."""
    schedule: Literal["cosine", "linear", "constant", "wsd"] = "cosine"
    """Of the learning rates behind the warm-up; `wsd` holds them and falls linearly at the end."""
    warmup: Share = 0.03
    """Share of the steps in which learning rates rise."""
    decay_share: Share = 0.3
    """Share of the steps in which `wsd` falls to zero."""

    validation_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the questions held out; 0, and no validation selection: nothing is validated."""
    eval_steps: Count | None = None
    """Steps between validations. None: at the end of each epoch."""
    early_stop: Count | None = None
    """Ends the training after so many validations without a better loss, and keeps the best. None: never."""
    save_steps: Count | None = None
    """Steps between checkpoints. None: as validations."""
    report_to: list[str] = []
    """Trackers as transformers names them, such as wandb or tensorboard. They send metrics where they are set up to."""
    log_steps: Count = 10
    """Steps between two lines of the log."""

    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of computing; trained weights are held in float32. `auto`: bfloat16 on a GPU that has it, else float32."""
    gradient_checkpointing: bool | None = None
    """Computes activations twice to hold fewer. None: on a GPU."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    @model_validator(mode="after")
    def _fits_together(self) -> TrainSettings:
        if self.schedule == "wsd" and self.warmup + self.decay_share > 1:
            raise ValueError(f"warmup {self.warmup} and decay_share {self.decay_share} are more than all steps")
        if self.batch_size % self.micro_batch:
            raise ValueError(f"batch_size {self.batch_size} is not a multiple of micro_batch {self.micro_batch}")
        return self

    def as_json(self) -> dict[str, object]:
        """Plain values, as YAML would give them."""
        return self.model_dump(mode="json")
