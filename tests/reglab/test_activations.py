from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reglab.activations import (
    PReLU,
    celu,
    elu,
    gelu,
    hardswish,
    leaky_relu,
    mish,
    prelu,
    silu,
    softplus,
)

PAIRS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "leaky_relu": (leaky_relu, F.leaky_relu),
    "leaky_relu, steep": (partial(leaky_relu, negative_slope=1.5), partial(F.leaky_relu, negative_slope=1.5)),
    "elu": (elu, F.elu),
    "elu, alpha 2": (partial(elu, alpha=2.0), partial(F.elu, alpha=2.0)),
    "celu, alpha 2": (partial(celu, alpha=2.0), partial(F.celu, alpha=2.0)),
    "softplus": (softplus, F.softplus),
    "softplus, beta 3": (partial(softplus, beta=3.0), partial(F.softplus, beta=3.0)),
    "softplus, threshold 2": (partial(softplus, threshold=2.0), partial(F.softplus, threshold=2.0)),
    "gelu": (gelu, F.gelu),
    "gelu, tanh": (partial(gelu, approximate="tanh"), partial(F.gelu, approximate="tanh")),
    "silu": (silu, F.silu),
    "mish": (mish, F.mish),
    "hardswish": (hardswish, F.hardswish),
}
EDGES = [0.0, -0.0, 3.0, -3.0, 20.0, -20.0, 21.0, 88.0, -88.0, 89.0, 200.0, -200.0, 1e4, -1e4]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spread", [1e-6, 1.0, 30.0, 1e4])
@pytest.mark.parametrize("name", PAIRS)
def test_forward_and_backward_equal_torchs(name: str, spread: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    values = torch.cat([spread * torch.randn(500, dtype=dtype), torch.tensor(EDGES, dtype=dtype)])
    upstream = torch.randn(len(values), dtype=dtype)
    outputs, gradients = [], []
    for function in PAIRS[name]:
        x = values.clone().requires_grad_()
        y = function(x)
        y.backward(upstream)
        outputs.append(y)
        gradients.append(x.grad)
    # Torch's own GELU cancels in its left tail, in float32 by some 1e-7 times the input.
    torch.testing.assert_close(*outputs, rtol=1e-5, atol=2e-6)
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=5e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("num_parameters", "shape"),
    [(1, (7,)), (1, (4, 6)), (6, (4, 6)), (6, (4, 6, 5)), (6, (4, 6, 5, 3)), (6, (1, 6)), (1, (2, 3, 4, 5))],
)
def test_prelu_equals_torchs(num_parameters: int, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    values, upstream = torch.randn(shape, dtype=dtype), torch.randn(shape, dtype=dtype)
    values.flatten()[0] = 0
    theirs = nn.PReLU(num_parameters, dtype=dtype)
    nn.init.normal_(theirs.weight)
    ours = PReLU(num_parameters).to(dtype)
    ours.load_state_dict(theirs.state_dict())
    found = []
    for layer in (ours, theirs):
        x = values.clone().requires_grad_()
        y = layer(x)
        y.backward(upstream)
        found.append([y, x.grad, layer.weight.grad])
    for mine, other in zip(*found, strict=True):
        torch.testing.assert_close(mine, other)


def test_prelu_starts_and_is_stored_as_torchs() -> None:
    for num_parameters in (1, 5):
        ours, theirs = PReLU(num_parameters), nn.PReLU(num_parameters)
        assert ours.state_dict().keys() == theirs.state_dict().keys()
        assert torch.equal(ours.weight, theirs.weight)


def test_the_gradients_are_right_by_finite_differences() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 4, 2).double().requires_grad_()
    slopes = torch.randn(4).double().requires_grad_()
    assert torch.autograd.gradcheck(prelu, (x, slopes))
    for ours, _ in PAIRS.values():
        assert torch.autograd.gradcheck(ours, x)


def test_slopes_that_do_not_fit_the_channels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"5 slopes for 10 channels; dimension 1 of \(2, 10, 5\)"):
        prelu(torch.zeros(2, 10, 5), torch.zeros(5))
    with pytest.raises(ValueError, match="5 slopes for 1 channels"):
        prelu(torch.zeros(5), torch.zeros(5))


def test_an_unknown_approximation_is_refused() -> None:
    with pytest.raises(ValueError, match="approximate is 'erf'"):
        gelu(torch.zeros(1), "erf")
