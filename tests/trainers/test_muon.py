"""Muon by stacks of matrices against torch's own, one by one."""

from copy import deepcopy

import pytest
import torch

from trainers.sft.muon import StackedMuon

SHAPES = ((16, 16), (48, 16), (16, 48), (16, 16), (48, 16))


def parameters() -> list[torch.nn.Parameter]:
    draw = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, generator=draw)) for shape in SHAPES]


def give_gradients(trained: list[torch.nn.Parameter], seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    for parameter in trained:
        parameter.grad = torch.randn(parameter.shape, generator=draw)


@pytest.mark.parametrize("options", [{"weight_decay": 0.0}, {"weight_decay": 0.1, "nesterov": False, "momentum": 0.8}])
def test_it_steps_as_torch_does(options: dict[str, float]) -> None:
    ours, theirs, first = parameters(), parameters(), parameters()
    stacked, single = StackedMuon(ours, lr=0.05, **options), torch.optim.Muon(theirs, lr=0.05, **options)
    for seed in range(4):
        for trained, optimizer in ((ours, stacked), (theirs, single)):
            give_gradients(trained, seed)
            optimizer.step()
    for one, other, before in zip(ours, theirs, first, strict=True):
        assert (one - before).detach().norm() > 0.1
        # bfloat16 keeps eight bits; products of stacks may be added up in another order
        torch.testing.assert_close(one, other, rtol=0.0, atol=0.01 * (other - before).detach().abs().max().item())


def test_checkpoints_of_torch_are_gone_on_from() -> None:
    ours, theirs = parameters(), parameters()
    single = torch.optim.Muon(theirs, lr=0.05)
    give_gradients(theirs, 0)
    single.step()
    for one, other in zip(ours, theirs, strict=True):
        one.data.copy_(other.data)
    stacked = StackedMuon(ours, lr=0.01)
    stacked.load_state_dict(deepcopy(single.state_dict()))
    for trained, optimizer in ((ours, stacked), (theirs, single)):
        give_gradients(trained, 1)
        optimizer.step()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0.0, atol=2e-3)


def test_what_has_no_gradient_stays_and_the_closure_is_called() -> None:
    ours, before = parameters(), parameters()
    give_gradients(ours, 0)
    ours[1].grad = None
    assert StackedMuon(ours, lr=0.05).step(lambda: 1.5) == 1.5
    moved = [not torch.equal(one, other) for one, other in zip(ours, before, strict=True)]
    assert moved == [True, False, True, True, True]
