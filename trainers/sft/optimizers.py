"""Muon and AdamW as one optimizer, so that a trainer can schedule, save and load them as one.

Invariant: `param_groups` are the inner optimizers' own dictionaries, also behind `load_state_dict`, which makes new
ones: a schedule that sets a rate here sets it there. Source: Jordan et al. 2024, "Muon".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW, Optimizer

from trainers.sft.muon import StackedMuon, loss_of


def split_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Trained parameters for Muon (matrices inside the network), and the rest: embedding, output layer, vectors."""
    outside = {id(p) for module in model.modules() if isinstance(module, nn.Embedding) for p in module.parameters()}
    head = getattr(model, "get_output_embeddings", lambda: None)()
    outside |= {id(p) for p in head.parameters()} if head is not None else set()
    trained = [p for p in model.parameters() if p.requires_grad]
    inner = [p for p in trained if p.ndim == 2 and id(p) not in outside]
    chosen = {id(p) for p in inner}
    return inner, [p for p in trained if id(p) not in chosen]


class MuonAdamW(Optimizer):
    """Steps both; its state is the state of both."""

    def __init__(
        self,
        matrices: Iterable[nn.Parameter],
        rest: Iterable[nn.Parameter],
        *,
        muon_rate: float,
        momentum: float,
        rate: float,
        betas: tuple[float, float],
        weight_decay: float,
    ) -> None:
        self._inner: dict[str, Optimizer] = {}
        if matrices := list(matrices):
            # torch's own default of weight_decay is 0.1.
            self._inner["muon"] = StackedMuon(matrices, lr=muon_rate, momentum=momentum, weight_decay=weight_decay)
        if rest := list(rest):
            self._inner["adamw"] = AdamW(rest, lr=rate, betas=betas, weight_decay=weight_decay, fused=True)
        super().__init__([group for one in self._inner.values() for group in one.param_groups], {})
        self._share()

    def _share(self) -> None:
        self.param_groups = [group for one in self._inner.values() for group in one.param_groups]

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of both."""
        loss = loss_of(closure)
        for one in self._inner.values():
            one.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Of both, by name."""
        return {name: one.state_dict() for name, one in self._inner.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As `state_dict` gave it."""
        for name, one in self._inner.items():
            one.load_state_dict(state_dict[name])
        self._share()
