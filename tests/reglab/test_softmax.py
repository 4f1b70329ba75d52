from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from reglab.softmax import cross_entropy, log_softmax, softmax

PAIRS = [(softmax, torch.softmax), (log_softmax, torch.log_softmax)]
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-13}


def backward(function: Callable[..., Tensor], x: Tensor, upstream: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    leaf = x.clone().requires_grad_()
    y = function(leaf, dim)
    (gradient,) = torch.autograd.grad(y, leaf, upstream)
    return y.detach(), gradient


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mean", [0.0, 1e4, -1e4])
@pytest.mark.parametrize("scale", [1.0, 100.0, 1e4])
@pytest.mark.parametrize("dim", [0, 1, 2, -1])
@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_forward_and_backward_equal_torchs(
    ours: Callable[..., Tensor],
    theirs: Callable[..., Tensor],
    dim: int,
    scale: float,
    mean: float,
    dtype: torch.dtype,
) -> None:
    torch.manual_seed(0)
    x = mean + scale * torch.randn(4, 5, 6, dtype=dtype)
    upstream = torch.randn(4, 5, 6, dtype=dtype)
    found, expected = (backward(function, x, upstream, dim) for function in (ours, theirs))
    for mine, other in zip(found, expected, strict=True):
        assert mine.isfinite().all()
        torch.testing.assert_close(mine, other, rtol=TOLERANCE[dtype], atol=10 * TOLERANCE[dtype])


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_minus_infinity_is_probability_zero_and_a_row_of_it_is_nan(
    ours: Callable[..., Tensor], theirs: Callable[..., Tensor]
) -> None:
    inf = float("inf")
    x = torch.tensor([[0.0, -inf, 1.0], [-inf, -inf, -inf]])
    torch.testing.assert_close(ours(x, 1), theirs(x, 1), equal_nan=True)
    assert ours(x, 1)[1].isnan().all()


def test_log_softmax_keeps_its_digits_behind_large_logits() -> None:
    x = torch.tensor([1e7, 1e7])
    assert log_softmax(x, 0)[0].item() == pytest.approx(-0.6931472, rel=1e-6)
    assert (x - torch.logsumexp(x, 0))[0].item() != pytest.approx(-0.6931472, rel=0.1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("places", [(), (7,), (4, 5)])
def test_cross_entropy_is_torchs(places: tuple[int, ...], reduction: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    logits = 20 * torch.randn(3, 10, *places, dtype=dtype)
    target = torch.randint(10, (3, *places))
    found = []
    for function in (cross_entropy, F.cross_entropy):
        leaf = logits.clone().requires_grad_()
        loss = function(leaf, target, reduction=reduction)
        (gradient,) = torch.autograd.grad(loss, leaf, torch.ones_like(loss))
        found.append((loss.detach(), gradient))
    for mine, other in zip(*found, strict=True):
        torch.testing.assert_close(mine, other)


def test_the_gradients_are_right_by_finite_differences() -> None:
    torch.manual_seed(0)
    x, target = torch.randn(3, 4).double().requires_grad_(), torch.tensor([0, 3, 1])
    assert torch.autograd.gradcheck(lambda x: softmax(x, 1), x)
    assert torch.autograd.gradcheck(lambda x: log_softmax(x, 1), x)
    assert torch.autograd.gradcheck(lambda x: cross_entropy(x, target), x)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a target of the shape \(3,\), not \(4,\)"):
        cross_entropy(torch.zeros(3, 10), torch.zeros(4, dtype=torch.int64))
