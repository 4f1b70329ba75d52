import pytest
import torch
from torch import nn

from reglab.instance_norm import (
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    adaptive_instance_norm,
    instance_norm,
)

OURS = {1: InstanceNorm1d, 2: InstanceNorm2d, 3: InstanceNorm3d}
THEIRS = {1: nn.InstanceNorm1d, 2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
SPACE = {1: (7,), 2: (3, 5), 3: (2, 3, 4)}


def results(layer: nn.Module, values: torch.Tensor, upstream: torch.Tensor) -> list[torch.Tensor]:
    """Output, gradients and buffers."""
    x = values.clone().requires_grad_()
    y = layer(x)
    y.backward(upstream)
    assert all(buffer.grad_fn is None for buffer in layer.buffers())
    assert x.grad is not None
    grads = [parameter.grad for parameter in layer.parameters() if parameter.grad is not None]
    return [y, x.grad, *grads, *layer.buffers()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mean", [0.0, 1e4])
@pytest.mark.parametrize("num", [1, 6])
@pytest.mark.parametrize("tracked", [False, True])
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("spatial", [1, 2, 3])
def test_forward_backward_and_buffers_equal_torchs_in_both_modes(
    spatial: int, affine: bool, tracked: bool, num: int, mean: float, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    shape = (num, 4, *SPACE[spatial])
    options = {"momentum": 0.3, "affine": affine, "track_running_stats": tracked}
    theirs = THEIRS[spatial](4, **options).to(dtype)
    if affine:
        nn.init.normal_(theirs.weight)
        nn.init.normal_(theirs.bias)
    ours = OURS[spatial](4, **options).to(dtype)
    ours.load_state_dict(theirs.state_dict())
    # Behind a mean of 1e4 float32 has three decimals left.
    tolerance = {"rtol": 2e-2, "atol": 2e-2} if mean and dtype == torch.float32 else {"rtol": 1e-5, "atol": 1e-5}
    for training in (True, True, False):
        values, upstream = mean + torch.randn(shape, dtype=dtype), torch.randn(shape, dtype=dtype)
        for layer in (ours, theirs):
            layer.train(training).zero_grad()
        for mine, other in zip(*(results(layer, values, upstream) for layer in (ours, theirs)), strict=True):
            torch.testing.assert_close(mine, other, **tolerance)
    theirs.load_state_dict(ours.state_dict())


@pytest.mark.parametrize("spatial", [1, 2, 3])
def test_an_input_without_a_batch_is_normalized_like_a_batch_of_one(spatial: int) -> None:
    x = torch.randn(4, *SPACE[spatial])
    torch.testing.assert_close(OURS[spatial](4)(x), THEIRS[spatial](4)(x))
    torch.testing.assert_close(OURS[spatial](4)(x), OURS[spatial](4)(x.unsqueeze(0)).squeeze(0))


@pytest.mark.parametrize("tracked", [False, True])
@pytest.mark.parametrize(("affine", "bias"), [(False, True), (True, True), (True, False)])
def test_parameters_and_state_are_torchs(affine: bool, bias: bool, tracked: bool) -> None:
    ours, theirs = (kind(4, affine=affine, bias=bias, track_running_stats=tracked) for kind in (OURS[2], THEIRS[2]))
    assert [*ours.state_dict()] == [*theirs.state_dict()]
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]


def test_no_momentum_freezes_the_running_statistics_as_in_torch() -> None:
    layers = [kind(4, momentum=None, track_running_stats=True) for kind in (OURS[2], THEIRS[2])]
    for layer in layers:
        layer(5 + torch.randn(8, 4, 3, 3))
        assert layer.running_mean.abs().max() == 0
        assert layer.num_batches_tracked == 0


def test_one_position_is_enough_only_where_running_statistics_are_used() -> None:
    x = torch.randn(8, 4, 1, 1)
    for training in (True, False):
        with pytest.raises(ValueError, match="needs two positions or more"):
            InstanceNorm2d(4).train(training)(x)
    ours, theirs = (kind(4, track_running_stats=True).eval() for kind in (OURS[2], THEIRS[2]))
    torch.testing.assert_close(ours(x), theirs(x))


def test_a_wrong_number_of_channels_or_axes_is_refused() -> None:
    with pytest.raises(ValueError, match="has 5 channels, and this layer was made for 4"):
        InstanceNorm2d(4)(torch.randn(8, 5, 3, 3))
    with pytest.raises(ValueError, match=r"takes 3 or 4 axes, not the shape \(8, 4\)"):
        InstanceNorm2d(4)(torch.randn(8, 4))
    with pytest.raises(ValueError, match="no running statistics"):
        instance_norm(torch.randn(8, 4, 3), use_input_stats=False)


def test_the_gradient_is_right_by_finite_differences() -> None:
    torch.manual_seed(0)
    x, weight, bias = (torch.randn(2, 3, 4).double().requires_grad_(), *(torch.randn(3).double() for _ in "wb"))
    assert torch.autograd.gradcheck(lambda x: instance_norm(x, weight=weight, bias=bias), x)


def test_adaptive_instance_norm_transfers_mean_and_standard_deviation() -> None:
    torch.manual_seed(0)
    content, style = torch.randn(2, 3, 8, 8).double(), 4 + 2 * torch.randn(2, 3, 5, 9).double()
    y = adaptive_instance_norm(content, style)
    torch.testing.assert_close(y.mean((2, 3)), style.mean((2, 3)))
    torch.testing.assert_close(y.std((2, 3), correction=0), style.std((2, 3), correction=0), rtol=1e-4, atol=0)
    torch.testing.assert_close(adaptive_instance_norm(content, content), content, rtol=1e-4, atol=1e-4)
