import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils.parametrize import register_parametrization

from reglab.spectral_norm import SpectralNorm, conv_operator_norm, power_iteration


def test_power_iteration_finds_the_largest_singular_value() -> None:
    torch.manual_seed(0)
    matrix, start = torch.randn(6, 9).double(), torch.randn(6).double()
    u, v, sigma = power_iteration(matrix, start, 500)
    left, values, right = torch.linalg.svd(matrix)
    assert sigma.item() == pytest.approx(values[0].item())
    assert (u @ left[:, 0]).abs().item() == pytest.approx(1)
    assert (v @ right[0]).abs().item() == pytest.approx(1)
    assert power_iteration(matrix, start, 1)[2] <= values[0]
    with pytest.raises(ValueError, match="at least 1"):
        power_iteration(matrix, start, 0)


def test_the_gradient_of_sigma_is_the_outer_product() -> None:
    torch.manual_seed(0)
    matrix = torch.randn(4, 5).double().requires_grad_()
    u, v, sigma = power_iteration(matrix, torch.randn(4).double(), 300)
    sigma.backward()
    torch.testing.assert_close(matrix.grad, torch.outer(u, v))


@pytest.mark.parametrize(
    ("layer", "x"), [(nn.Linear(5, 4), torch.randn(3, 5)), (nn.Conv2d(2, 4, 3), torch.randn(3, 2, 6, 6))]
)
def test_forward_backward_and_buffers_equal_torchs(layer: nn.Module, x: torch.Tensor) -> None:
    torch.manual_seed(0)
    ours, theirs, x = copy.deepcopy(layer).double(), copy.deepcopy(layer).double(), x.double()
    register_parametrization(ours, "weight", SpectralNorm(ours.weight))
    parametrizations.spectral_norm(theirs)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    ours.load_state_dict(theirs.state_dict())
    for training in (True, True, False):
        ours.train(training)
        theirs.train(training)
        outputs = []
        for net in (ours, theirs):
            net.zero_grad()
            y = net(x)
            y.square().sum().backward()
            outputs.append(y)
        torch.testing.assert_close(*outputs)
        for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(p.grad, q.grad, msg=name)
        for name, value in ours.state_dict().items():
            torch.testing.assert_close(value, theirs.state_dict()[name], msg=name)
    assert not any(buffer.requires_grad for buffer in ours.buffers())


@pytest.mark.parametrize("padding", [0, 1])
def test_the_norm_of_a_convolution_is_that_of_its_matrix(padding: int) -> None:
    torch.manual_seed(0)
    weight = torch.randn(3, 2, 3, 3).double()
    basis = torch.eye(2 * 6 * 6).double().reshape(-1, 2, 6, 6)
    matrix = torch.conv2d(basis, weight, padding=padding).flatten(1)
    exact = torch.linalg.matrix_norm(matrix, 2).item()
    found = conv_operator_norm(weight, 6, padding=padding, num_steps=500)
    assert found == pytest.approx(exact, rel=1e-3)
    reshaped = torch.linalg.matrix_norm(weight.flatten(1), 2).item()
    assert reshaped / 3 <= exact <= 3 * reshaped
