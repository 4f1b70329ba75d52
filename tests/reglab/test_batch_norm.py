import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reglab.batch_norm import BatchNorm, batch_norm

SHAPES = [(6, 4), (6, 4, 5), (6, 4, 5, 3), (6, 4, 5, 3, 2)]
TORCHS = dict(zip(SHAPES, (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d), strict=True))


def random_pair(shape: tuple[int, ...], dtype: torch.dtype, **options: object) -> tuple[BatchNorm, nn.Module]:
    """Ours and torch's layer for inputs of that shape, with the same random parameters."""
    theirs = TORCHS[shape](4, **options)
    for parameter in theirs.parameters():
        nn.init.normal_(parameter)
    ours = BatchNorm(4, **options)
    ours.load_state_dict(theirs.state_dict())
    return ours.to(dtype), theirs.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mean", [0.0, 1e4])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_forward_backward_and_buffers_equal_torchs(
    shape: tuple[int, ...], training: bool, mean: float, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    ours, theirs = random_pair(shape, dtype)
    for _ in range(5):  # so that there is something recorded
        batch = mean + 2 * torch.randn(shape, dtype=dtype)
        ours(batch)
        theirs(batch)
    values, upstream = mean + 2 * torch.randn(shape, dtype=dtype), torch.randn(shape, dtype=dtype)
    found = []
    for layer in (ours, theirs):
        layer.train(training)
        x = values.clone().requires_grad_()
        y = layer(x)
        y.backward(upstream)
        gradients = [parameter.grad for parameter in layer.parameters()]
        found.append([y, x.grad, *gradients, *layer.buffers()])
    # Behind a mean of 1e4 float32 has three decimals left.
    tolerance = {"rtol": 1e-2, "atol": 1e-2} if mean and dtype == torch.float32 else {"rtol": 1e-5, "atol": 1e-5}
    for mine, other in zip(*found, strict=True):
        torch.testing.assert_close(mine, other, **tolerance)


def test_the_variance_survives_a_large_mean() -> None:
    torch.manual_seed(0)
    x = 1e4 + torch.randn(256, 4)
    layer = BatchNorm(4, momentum=1.0)
    layer(x)
    torch.testing.assert_close(layer.running_var, x.double().var(0).float(), rtol=1e-3, atol=0)
    assert ((x.square().mean(0) - x.mean(0).square()) - layer.running_var).abs().max() > 0.5  # the short cut


@pytest.mark.parametrize("momentum", [0.1, 0.7, 1.0, None])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("track_running_stats", [True, False])
def test_options_are_torchs(momentum: float | None, affine: bool, track_running_stats: bool) -> None:
    torch.manual_seed(0)
    shape = (6, 4, 5)
    ours, theirs = random_pair(
        shape, torch.float64, momentum=momentum, affine=affine, track_running_stats=track_running_stats
    )
    assert {name: p.shape for name, p in ours.named_parameters()} == {
        name: p.shape for name, p in theirs.named_parameters()
    }
    assert [name for name, _ in ours.named_buffers()] == [name for name, _ in theirs.named_buffers()]
    for training in (True, True, True, False, True):
        x = 3 + torch.randn(shape, dtype=torch.float64)
        torch.testing.assert_close(ours.train(training)(x), theirs.train(training)(x))
        for mine, other in zip(ours.buffers(), theirs.buffers(), strict=True):
            torch.testing.assert_close(mine, other)


def test_states_can_be_exchanged_with_torch() -> None:
    torch.manual_seed(0)
    x = torch.randn(8, 4, 3, 3)
    ours, theirs = BatchNorm(4), nn.BatchNorm2d(4)
    ours(5 + x)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(theirs.eval()(x), ours.eval()(x))
    theirs.train()(x)
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours(x), theirs.eval()(x))
    assert ours.num_batches_tracked == theirs.num_batches_tracked == 2


def test_the_function_has_torchs_signature() -> None:
    torch.manual_seed(0)
    x, weight, bias = torch.randn(6, 4, 5), torch.randn(4), torch.randn(4)
    mine, other = ([torch.zeros(4), torch.ones(4)] for _ in range(2))
    for training in (True, False):
        y = batch_norm(x, *mine, weight, bias, training, 0.3, 1e-3)
        torch.testing.assert_close(y, F.batch_norm(x, *other, weight, bias, training, 0.3, 1e-3))
        torch.testing.assert_close(mine, other)
    torch.testing.assert_close(batch_norm(x, None, None, training=True), F.batch_norm(x, None, None, training=True))


@pytest.mark.parametrize("training", [True, False])
def test_the_gradient_is_right_by_finite_differences(training: bool) -> None:
    torch.manual_seed(0)
    x, weight, bias = torch.randn(3, 2, 2).double(), torch.randn(2).double(), torch.randn(2).double()
    leaves = [leaf.requires_grad_() for leaf in (x, weight, bias)]
    assert torch.autograd.gradcheck(
        lambda x, w, b: batch_norm(x, torch.ones(2).double(), torch.ones(2).double(), w, b, training), leaves
    )


def test_buffers_keep_no_graph_and_evaluation_changes_none() -> None:
    layer = BatchNorm(4)
    x = torch.randn(6, 4, requires_grad=True)
    layer(x).sum().backward()
    layer(x)
    assert all(buffer.grad_fn is None and not buffer.requires_grad for buffer in layer.buffers())
    before = copy.deepcopy(layer.state_dict())
    layer.eval()(x)
    assert all(torch.equal(before[name], value) for name, value in layer.state_dict().items())


def test_the_mode_is_training_and_not_whether_gradients_are_on() -> None:
    layer = BatchNorm(4)
    x = 3 + torch.randn(6, 4)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), layer(x.clone().requires_grad_()))
    assert layer.num_batches_tracked == 2


def test_buffers_move_and_are_copied_with_the_layer() -> None:
    layer = BatchNorm(4)
    layer(torch.randn(6, 4))
    assert copy.deepcopy(layer).double().running_var.dtype == torch.float64
    assert {buffer.device.type for buffer in layer.to("meta").buffers()} == {"meta"}


def test_a_batch_of_one_is_refused_in_training_and_leaves_no_trace() -> None:
    for layer in (BatchNorm(4), BatchNorm(4, track_running_stats=False).eval()):
        with pytest.raises(ValueError, match=r"\(1, 4\) has 1 element a channel"):
            layer(torch.randn(1, 4))
    layer = BatchNorm(4)
    with pytest.raises(ValueError, match="1 element a channel"):
        layer(torch.randn(1, 4, 1, 1))
    assert layer.num_batches_tracked == 0
    torch.testing.assert_close(layer(torch.randn(1, 4, 3, 3)).mean((0, 2, 3)), torch.zeros(4), atol=1e-6, rtol=0)
    x = torch.randn(1, 4)
    theirs = nn.BatchNorm1d(4).eval()
    theirs.load_state_dict(layer.state_dict())
    torch.testing.assert_close(layer.eval()(x), theirs(x))


def test_statistics_are_needed_outside_training() -> None:
    with pytest.raises(ValueError, match="are needed"):
        batch_norm(torch.randn(6, 4), None, None)


def test_another_number_of_channels_is_refused() -> None:
    with pytest.raises(ValueError, match="5 channels, the layer has 4"):
        BatchNorm(4)(torch.randn(6, 5))


def test_statistics_can_be_forgotten() -> None:
    layer = BatchNorm(4)
    layer(3 + torch.randn(6, 4))
    layer.reset_running_stats()
    assert all(torch.equal(mine, new) for mine, new in zip(layer.buffers(), BatchNorm(4).buffers(), strict=True))
    BatchNorm(4, track_running_stats=False).reset_running_stats()
