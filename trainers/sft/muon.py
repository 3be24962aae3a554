"""torch's Muon, with all matrices of one shape orthogonalized together.

A small model has many small matrices: one by one, their products take a processor longer to begin than to do. The
updates are torch's to the precision of bfloat16, in which both calculate. Source: Jordan et al. 2024, "Muon".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Muon


class StackedMuon(Muon):
    """State and settings are those of `torch.optim.Muon`, and so are checkpoints."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of all matrices that have a gradient."""
        loss = loss_of(closure)
        for group in self.param_groups:
            alike: dict[tuple[int, ...], list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike.setdefault(tuple(parameter.shape), []).append(parameter)
            for parameters in alike.values():
                self._step_alike(parameters, group)
        return loss

    def _step_alike(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        """One step of matrices of one shape."""
        rate, momentum = group["lr"], group["momentum"]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        averages = [self._average(parameter) for parameter in parameters]
        torch._foreach_lerp_(averages, gradients, 1 - momentum)
        moved = torch.stack(averages)
        if group["nesterov"]:
            moved = torch.stack(gradients).lerp_(moved, momentum)
        turned = orthogonalized(moved, group["ns_coefficients"], group["ns_steps"], group["eps"])
        rows, columns = parameters[0].shape
        torch._foreach_mul_(parameters, 1 - rate * group["weight_decay"])
        scale = -rate * math.sqrt(max(1.0, rows / columns))
        torch._foreach_add_(parameters, list(turned.to(parameters[0].dtype).unbind()), alpha=scale)

    def _average(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        average: Tensor = state["momentum_buffer"]
        return average


def loss_of(closure: Callable[[], float] | None) -> float | None:
    """What an optimizer's closure computes, with gradients; None without one."""
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def orthogonalized(matrices: Tensor, coefficients: Iterable[float], steps: int, eps: float) -> Tensor:
    """Each of `matrices` [n, rows, columns] with its singular values pushed towards 1, by Newton and Schulz."""
    a, b, c = coefficients
    is_tall = matrices.size(-2) > matrices.size(-1)
    found = matrices.bfloat16()
    found = found.mT if is_tall else found
    found = found / found.norm(dim=(-2, -1), keepdim=True).clamp(min=eps)
    for _ in range(steps):
        gram = found @ found.mT
        found = torch.baddbmm(found, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return found.mT if is_tall else found
