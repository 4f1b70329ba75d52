import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reglab.weight_standardization import WSConv2d, standardize_weight


@pytest.mark.parametrize("shape", [(4, 5), (4, 3, 2), (4, 3, 2, 2)])
@pytest.mark.parametrize("mean", [0.0, 1e4])
def test_each_output_has_weights_of_mean_0_and_variance_1(shape: tuple[int, ...], mean: float) -> None:
    torch.manual_seed(0)
    w = standardize_weight(mean + torch.randn(shape).double()).flatten(1)
    torch.testing.assert_close(w.mean(1), torch.zeros(4).double())
    torch.testing.assert_close(w.var(1, correction=0), torch.ones(4).double())


def test_it_is_layer_norm_of_the_weights() -> None:
    weight = torch.randn(4, 3, 2, 2).double()
    torch.testing.assert_close(standardize_weight(weight), F.layer_norm(weight, [3, 2, 2], eps=1e-10))


def test_the_layer_is_a_convolution_with_the_standardized_weight() -> None:
    torch.manual_seed(0)
    layer, x = WSConv2d(3, 6, 3, stride=2, padding=1, groups=3).double(), torch.randn(2, 3, 9, 9).double()
    plain = nn.Conv2d(3, 6, 3, stride=2, padding=1, groups=3).double()
    plain.load_state_dict(layer.state_dict())
    plain.weight.data = standardize_weight(plain.weight.data)
    torch.testing.assert_close(layer(x), plain(x))
    layer(x).square().sum().backward()
    gradient = layer.weight.grad.flatten(1)
    torch.testing.assert_close(gradient.sum(1), torch.zeros(6).double(), atol=1e-8, rtol=0)
    centred = layer.weight.detach() - layer.weight.detach().mean((1, 2, 3), keepdim=True)
    products = (gradient * centred.flatten(1)).sum(1)
    torch.testing.assert_close(products, torch.zeros(6).double(), atol=1e-4, rtol=0)  # eps leaves a trace


def test_the_gradient_is_right_by_finite_differences() -> None:
    assert torch.autograd.gradcheck(standardize_weight, torch.randn(3, 4).double().requires_grad_())
