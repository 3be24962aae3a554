"""TRL's trainer with a weight for every token.

The loss of a step is sum(weight x negative log-likelihood) / sum(weight) over its rows, however they are padded,
packed, accumulated or spread over processes. The validation loss is the same mean over all validation rows, without
the weight of context.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from datasets import Dataset
from torch.utils.data import DataLoader
from transformers import get_scheduler
from transformers.trainer_utils import EvalLoopOutput
from trl import SFTConfig, SFTTrainer

from trainers.sft.batches import TokenBatches, collate
from trainers.sft.loss import token_nll
from trainers.sft.optimizers import MuonAdamW, split_parameters
from trainers.sft.settings import TrainSettings


class WeightedTrainer(SFTTrainer):  # type: ignore[misc]
    """Rows are `input_ids`, `loss_weights`, and packed also `seq_lengths`, prepared by `trainers.sft.rows`."""

    loss_is_scaled_for_ga = True
    optimizer: torch.optim.Optimizer | None
    lr_scheduler: Any

    def __init__(
        self,
        *,
        settings: TrainSettings,
        args: SFTConfig,
        train_dataset: Dataset,
        batches: TokenBatches | None = None,
        **kwargs: Any,
    ) -> None:
        """`batches` orders the rows of a whole training; None: transformers does."""
        self.settings = settings
        self.batches = batches
        self.tokens_seen = 0
        """Tokens of this process, without padding where rows are packed."""
        pad = kwargs["processing_class"].pad_token_id
        pad = pad if pad is not None else kwargs["processing_class"].eos_token_id or 0
        self._collate_evaluated = partial(collate, pad=pad)
        kwargs["data_collator"] = partial(collate, pad=pad, context_weight=settings.context_weight)
        super().__init__(args=args, train_dataset=train_dataset, **kwargs)
        self._vocabulary = self.model.get_output_embeddings().weight.shape[0]

    def _send_telemetry(self) -> None:
        """Nothing: TRL would tell the Hub's makers of every training."""

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], torch.Tensor]:
        """The micro-batches of a step, and the weight of all of them in all processes."""
        samples = [batch for _, batch in zip(range(num_batches), epoch_iterator, strict=False)]
        total = sum((batch["loss_weights"].sum() for batch in samples), start=torch.zeros(()))
        return samples, self.accelerator.reduce(total.to(device), reduction="sum")

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """This micro-batch's part of the step's loss."""
        weights = inputs["loss_weights"]
        self.tokens_seen += inputs["input_ids"].numel()
        total = weights.sum() if num_items_in_batch is None else num_items_in_batch
        nll = token_nll(model, inputs, self._vocabulary)
        loss: torch.Tensor = (nll * weights[:, 1:]).sum() / total.clamp(min=torch.finfo(torch.float32).tiny)
        # Gradients are averaged over processes, and `total` is of all of them.
        return cast(torch.Tensor, loss * self.accelerator.num_processes)

    def evaluation_loop(
        self,
        dataloader: DataLoader[Any],
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        """The weighted mean over all rows; transformers averages means of batches."""
        self.model.eval()
        sums = torch.zeros(2, dtype=torch.float64)
        rows = 0
        for inputs in dataloader:
            inputs = self._prepare_inputs(inputs)
            with torch.no_grad(), self.compute_loss_context_manager():
                weights = inputs["loss_weights"][:, 1:]
                parts = torch.stack(
                    [(token_nll(self.model, inputs, self._vocabulary) * weights).sum(1), weights.sum(1)], dim=1
                )
            # By row, because rows that fill up the last batch of several processes are taken off again.
            gathered = self.accelerator.gather_for_metrics(parts)
            sums += gathered.double().sum(0).cpu()
            rows += len(gathered)
        loss = float(sums[0] / sums[1]) if sums[1] else float("nan")
        return EvalLoopOutput(np.empty(0), None, {f"{metric_key_prefix}_loss": loss}, rows)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches by tokens, or as transformers has it."""
        if self.batches is None:
            return cast(DataLoader[Any], super().get_train_dataloader())
        loader = DataLoader(self.train_dataset, batch_sampler=self.batches, collate_fn=self.data_collator)
        return cast(DataLoader[Any], self.accelerator.prepare(loader))

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader[Any]:
        """Rows one after another, without the weight of context."""
        rows = self.eval_dataset if eval_dataset is None or isinstance(eval_dataset, str) else eval_dataset
        loader = DataLoader(rows, batch_size=self.args.eval_batch_size, collate_fn=self._collate_evaluated)
        return cast(DataLoader[Any], self.accelerator.prepare(loader))

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Muon with AdamW, or as transformers has it."""
        if self.settings.optimizer == "adamw" or self.optimizer is not None:
            return cast(torch.optim.Optimizer, super().create_optimizer(model))
        matrices, rest = split_parameters(self.model if model is None else model)
        self.optimizer = MuonAdamW(
            matrices,
            rest,
            muon_rate=self.settings.muon_learning_rate,
            momentum=self.settings.muon_momentum,
            rate=self.settings.learning_rate,
            betas=(self.settings.adam_beta1, self.settings.adam_beta2),
            weight_decay=self.settings.weight_decay,
        )
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Warm-up, constant, linear decay; or as transformers has it."""
        if self.settings.schedule != "wsd" or self.lr_scheduler is not None:
            return super().create_scheduler(num_training_steps, optimizer)
        falling = round(self.settings.decay_share * num_training_steps)
        self.lr_scheduler = get_scheduler(
            "warmup_stable_decay",
            optimizer=cast(torch.optim.Optimizer, self.optimizer if optimizer is None else optimizer),
            num_warmup_steps=round(self.settings.warmup * num_training_steps),
            num_training_steps=num_training_steps,
            scheduler_specific_kwargs={"num_decay_steps": falling, "decay_type": "linear"},
        )
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the card is written once, when all is known."""
