from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reglab.optimizers import adam_step, adamw_step, sgd_step, sgdw_step

STEPS = 120
SGD: list[dict[str, Any]] = [
    {"lr": 0.05},
    {"lr": 0.05, "weight_decay": 0.1},
    {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1},
    {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1},
    {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    {"lr": 0.01, "momentum": 0.5, "dampening": 0.5, "weight_decay": 3.0, "maximize": True},
]
ADAM: list[dict[str, Any]] = [
    {},
    {"lr": 0.05, "weight_decay": 0.1},
    {"lr": 0.05, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.3},
    {"lr": 0.01, "weight_decay": 2.0, "maximize": True},
]
CASES = [
    *((sgd_step, torch.optim.SGD, options) for options in SGD),
    *((adam_step, torch.optim.Adam, options) for options in ADAM),
    *((adamw_step, torch.optim.AdamW, options) for options in ADAM),
]


def gradients(step: int) -> list[Tensor | None]:
    """Of three parameters: one that always has a gradient, one that has none at first and at times, one that never."""
    generator = torch.Generator().manual_seed(step)
    sometimes = torch.randn(5, dtype=torch.float64, generator=generator)
    always = 100 * torch.randn(3, 4, dtype=torch.float64, generator=generator)
    return [always, sometimes if step > 10 and step % 3 else None, None]


@pytest.mark.parametrize(("step", "optimizer_class", "options"), CASES)
def test_every_step_equals_torchs(
    step: Callable[..., None], optimizer_class: type[torch.optim.Optimizer], options: dict[str, Any]
) -> None:
    torch.manual_seed(0)
    theirs = [nn.Parameter(torch.randn(shape, dtype=torch.float64)) for shape in ((3, 4), (5,), (2,))]
    ours = [w.detach().clone() for w in theirs]
    states: list[dict[str, Any]] = [{}, {}, {}]
    optimizer = optimizer_class(theirs, **options)
    for index in range(STEPS):
        for w, g in zip(theirs, gradients(index), strict=True):
            w.grad = None if g is None else g.clone()
        optimizer.step()
        for w, g, state in zip(ours, gradients(index), states, strict=True):
            step(w, g, state, **options)
        for w, same in zip(ours, theirs, strict=True):
            torch.testing.assert_close(w, same.detach(), rtol=1e-10, atol=1e-12)


def test_a_parameter_that_requires_grad_and_its_gradient_are_handled() -> None:
    w = nn.Parameter(torch.ones(3))
    w.square().sum().backward()
    for step in (sgd_step, sgdw_step, adam_step, adamw_step):
        step(w, w.grad, {}, lr=0.1)
    assert w.requires_grad
    assert torch.equal(w.grad, torch.full((3,), 2.0))  # type: ignore[arg-type]


def test_sgdw_decays_outside_of_the_velocity() -> None:
    w, state = torch.tensor([4.0]), {}
    for _ in range(3):
        sgdw_step(w, torch.zeros(1), state, lr=0.5, momentum=0.9, weight_decay=1.0)
    assert w.item() == 0.5
    assert torch.equal(state["v"], torch.zeros(1))


def test_sgdw_and_sgd_agree_without_momentum_only() -> None:
    for momentum, same in ((0.0, True), (0.9, False)):
        one, other = torch.ones(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
        states: tuple[dict[str, Any], dict[str, Any]] = {}, {}
        for index in range(20):
            g = torch.randn(3, dtype=torch.float64, generator=torch.Generator().manual_seed(index))
            sgd_step(one, g, states[0], lr=0.1, momentum=momentum, weight_decay=0.5)
            sgdw_step(other, g, states[1], lr=0.1, momentum=momentum, weight_decay=0.5)
        assert torch.allclose(one, other, rtol=1e-10) is same


@pytest.mark.parametrize("step", [sgd_step, sgdw_step, adam_step, adamw_step])
def test_no_gradient_no_decay_and_no_state(step: Callable[..., None]) -> None:
    w, state = torch.ones(2), {}
    step(w, None, state, lr=0.1, weight_decay=0.5)
    assert torch.equal(w, torch.ones(2))
    assert state == {}


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9, "dampening": 0.1}])
def test_nesterov_needs_momentum_without_dampening(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="nesterov"):
        sgd_step(torch.ones(2), torch.ones(2), {}, lr=0.1, nesterov=True, **options)
