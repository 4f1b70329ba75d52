import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reglab.label_smoothing import optimal_logit_gap, smooth_targets, smoothed_cross_entropy


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize(("samples", "spread"), [(1, 1.0), (20, 1.0), (20, 1e4)])
def test_loss_and_gradient_equal_torchs(dtype: torch.dtype, smoothing: float, samples: int, spread: float) -> None:
    torch.manual_seed(0)
    values, labels = spread * torch.randn(samples, 7, dtype=dtype), torch.randint(7, (samples,))
    losses, gradients = [], []
    for function in (
        lambda logits: smoothed_cross_entropy(logits, labels, smoothing),
        lambda logits: nn.CrossEntropyLoss(label_smoothing=smoothing)(logits, labels),
        lambda logits: F.cross_entropy(logits, smooth_targets(labels, 7, smoothing).to(dtype)),
    ):
        logits = values.clone().requires_grad_()
        loss = function(logits)
        loss.backward()
        losses.append(loss.detach())
        gradients.append(logits.grad)
    for found in (losses, gradients):
        torch.testing.assert_close(found[0], found[1])
        torch.testing.assert_close(found[0], found[2])


def test_targets_are_distributions_of_any_shape() -> None:
    labels = torch.randint(5, (3, 4))
    targets = smooth_targets(labels, 5, 0.2)
    assert targets.shape == (3, 4, 5)
    torch.testing.assert_close(targets.sum(-1), torch.ones(3, 4))
    torch.testing.assert_close(targets.amax(-1), torch.full((3, 4), 0.84))
    assert torch.equal(targets.argmax(-1), labels)


@pytest.mark.parametrize("smoothing", [0.05, 0.1, 0.5])
def test_the_loss_is_lowest_at_the_optimal_gap(smoothing: float) -> None:
    labels = torch.tensor([2])
    logits = torch.zeros(1, 6, dtype=torch.float64)
    logits[0, 2] = optimal_logit_gap(6, smoothing)
    logits.requires_grad_()
    smoothed_cross_entropy(logits, labels, smoothing).backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-12


def test_limits_of_the_gap_and_impossible_arguments() -> None:
    assert optimal_logit_gap(10, 0.0) == math.inf
    assert optimal_logit_gap(10, 1.0) == pytest.approx(0)
    for wrong in (-0.1, 1.1):
        with pytest.raises(ValueError, match="from 0 to 1"):
            smooth_targets(torch.tensor([0]), 2, wrong)
