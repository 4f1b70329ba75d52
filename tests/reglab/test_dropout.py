import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reglab.dropout import Dropout, dropout

PROBABILITIES = [0.0, 0.1, 0.5, 0.9, 1.0]


@pytest.mark.parametrize("p", PROBABILITIES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(7,), (1, 5), (6, 3, 4, 2)])
def test_forward_and_backward_equal_torchs(
    p: float, training: bool, dtype: torch.dtype, shape: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    values, upstream = 1e4 + torch.randn(shape, dtype=dtype), torch.randn(shape, dtype=dtype)
    outputs, gradients = [], []
    for layer in (Dropout(p), nn.Dropout(p)):
        x = values.clone().requires_grad_()
        torch.manual_seed(1)
        y = layer.train(training)(x)
        y.backward(upstream)
        outputs.append(y)
        gradients.append(x.grad)
    torch.testing.assert_close(*outputs, rtol=0, atol=0)
    torch.testing.assert_close(*gradients, rtol=0, atol=0)


def test_a_transposed_input_gets_the_mask_that_torch_would_draw() -> None:
    x = torch.randn(4, 6).mT
    torch.manual_seed(2)
    ours = dropout(x, 0.5)
    torch.manual_seed(2)
    assert torch.equal(ours, F.dropout(x, 0.5))


def test_the_gradient_is_right_by_finite_differences() -> None:
    def masked(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(3)
        return dropout(x, 0.4)

    assert torch.autograd.gradcheck(masked, torch.randn(12, dtype=torch.float64, requires_grad=True))


def test_mean_and_variance_are_those_of_the_formula() -> None:
    torch.manual_seed(0)
    p, draws = 0.3, 200_000
    y = dropout(torch.full((draws,), 2.0), p)
    variance = p / (1 - p) * 2.0**2
    assert y.mean().item() == pytest.approx(2.0, abs=4 * math.sqrt(variance / draws))
    assert y.var().item() == pytest.approx(variance, rel=0.02)


def test_in_evaluation_mode_the_input_itself_comes_back() -> None:
    x = torch.randn(5)
    for p in PROBABILITIES:
        assert Dropout(p).eval()(x) is x
        assert Dropout(p, inplace=True).eval()(x) is x


@pytest.mark.parametrize("p", PROBABILITIES)
def test_in_place_overwrites_and_returns_the_input(p: float) -> None:
    x = torch.randn(50)
    theirs = x.clone()
    torch.manual_seed(4)
    assert Dropout(p, inplace=True)(x) is x
    torch.manual_seed(4)
    F.dropout(theirs, p, inplace=True)
    assert torch.equal(x, theirs)


def test_there_is_no_state() -> None:
    assert not Dropout().state_dict()
    assert not list(Dropout().parameters())


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_p_must_be_a_probability(p: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Dropout(p)
    with pytest.raises(ValueError, match="between 0 and 1"):
        dropout(torch.ones(2), p)


def test_the_representation_is_torchs() -> None:
    assert repr(Dropout(0.2)) == repr(nn.Dropout(0.2))
