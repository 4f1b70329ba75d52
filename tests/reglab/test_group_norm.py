import pytest
import torch
from torch import nn

from reglab.group_norm import GroupNorm, group_norm


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mean", [0.0, 1e4])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(6, 16, 3, 5), (1, 16, 3, 5), (6, 16, 7), (6, 16), (2, 16, 2, 3, 4)])
@pytest.mark.parametrize("num_groups", [1, 2, 4])
def test_forward_and_backward_equal_torchs(
    num_groups: int, shape: tuple[int, ...], training: bool, mean: float, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    values, upstream = mean + torch.randn(shape, dtype=dtype), torch.randn(shape, dtype=dtype)
    theirs = nn.GroupNorm(num_groups, 16, dtype=dtype).train(training)
    nn.init.normal_(theirs.weight)
    nn.init.normal_(theirs.bias)
    ours = GroupNorm(num_groups, 16).to(dtype).train(training)
    ours.load_state_dict(theirs.state_dict())
    found = []
    for layer in (ours, theirs):
        x = values.clone().requires_grad_()
        y = layer(x)
        y.backward(upstream)
        found.append([y, x.grad, layer.weight.grad, layer.bias.grad])
    # Behind a mean of 1e4 float32 has three decimals left.
    tolerance = {"rtol": 5e-2, "atol": 5e-2} if mean and dtype == torch.float32 else {"rtol": 1e-4, "atol": 1e-5}
    for mine, other in zip(*found, strict=True):
        torch.testing.assert_close(mine, other, **tolerance)


def test_as_many_groups_as_channels_equals_torch_where_there_are_positions() -> None:
    x = torch.randn(6, 8, 3, 5)
    torch.testing.assert_close(GroupNorm(8, 8)(x), nn.GroupNorm(8, 8)(x))


@pytest.mark.parametrize(("affine", "bias"), [(True, True), (True, False), (False, True)])
def test_parameters_and_state_are_torchs(affine: bool, bias: bool) -> None:
    ours, theirs = (kind(2, 4, affine=affine, bias=bias) for kind in (GroupNorm, nn.GroupNorm))
    assert [*ours.state_dict()] == [*theirs.state_dict()]
    assert not list(ours.buffers())
    x = torch.randn(5, 4, 3)
    torch.testing.assert_close(ours(x), theirs(x))


def test_the_gradient_is_right_by_finite_differences() -> None:
    torch.manual_seed(0)
    x, weight, bias = (torch.randn(2, 4, 3).double().requires_grad_(), *(torch.randn(4).double() for _ in "wb"))
    assert torch.autograd.gradcheck(lambda x: group_norm(x, 2, weight, bias), x)


def test_channels_last_memory_makes_no_difference() -> None:
    x = torch.randn(2, 4, 3, 5)
    torch.testing.assert_close(group_norm(x.to(memory_format=torch.channels_last), 2), group_norm(x, 2))


def test_what_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="3 groups do not divide 4 channels"):
        GroupNorm(3, 4)
    with pytest.raises(ValueError, match="0 groups do not divide 4 channels"):
        group_norm(torch.randn(2, 4), 0)
    with pytest.raises(ValueError, match="has 8 channels, and this layer was made for 4"):
        GroupNorm(2, 4)(torch.randn(4, 8, 8))


def test_a_group_of_one_number_is_refused() -> None:
    with pytest.raises(ValueError, match="holds a single number; take fewer than 4"):
        GroupNorm(4, 4)(torch.randn(2, 4))
