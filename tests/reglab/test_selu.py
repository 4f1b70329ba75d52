import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reglab.selu import ALPHA, SATURATION, SCALE, SELU, selu


def test_the_constants_are_torchs() -> None:
    far = torch.tensor([1.0, -1000.0], dtype=torch.float64)
    assert F.selu(far).tolist() == pytest.approx([SCALE, SATURATION], rel=1e-15)
    assert pytest.approx(SCALE * ALPHA, rel=1e-15) == -SATURATION


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("spread", [1e-6, 1.0, 1e4])
def test_forward_and_backward_equal_torchs(dtype: torch.dtype, training: bool, spread: float) -> None:
    torch.manual_seed(0)
    values, upstream = spread * torch.randn(6, 50, dtype=dtype), torch.randn(6, 50, dtype=dtype)
    outputs, gradients = [], []
    for layer in (SELU(), nn.SELU()):
        x = values.clone().requires_grad_()
        y = layer.train(training)(x)
        y.backward(upstream)
        outputs.append(y)
        gradients.append(x.grad)
    torch.testing.assert_close(*outputs)
    torch.testing.assert_close(*gradients)


def test_the_gradient_is_torchs_at_zero_and_finite_far_away() -> None:
    gradients = []
    for function in (selu, F.selu):
        x = torch.tensor([-1e4, -0.0, 0.0, 1e4], requires_grad=True)
        function(x).sum().backward()
        gradients.append(x.grad)
    torch.testing.assert_close(*gradients)
    assert gradients[0] is not None
    assert gradients[0].isfinite().all()


def test_a_standard_normal_input_keeps_mean_and_variance() -> None:
    torch.manual_seed(0)
    y = selu(torch.randn(1_000_000))
    assert y.mean().item() == pytest.approx(0, abs=0.005)
    assert y.var().item() == pytest.approx(1, abs=0.01)


def test_there_is_no_state() -> None:
    assert not SELU().state_dict()
