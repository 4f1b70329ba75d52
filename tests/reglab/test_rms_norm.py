import pytest
import torch
from torch import nn

from reglab.rms_norm import RMSNorm, rms_norm


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mean", [0.0, 1e4])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("eps", [None, 1e-5])
@pytest.mark.parametrize("normalized_shape", [4, [3, 4], [2, 3, 4]])
def test_forward_and_backward_equal_torchs(
    normalized_shape: int | list[int], eps: float | None, training: bool, mean: float, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    values = mean + torch.randn(8, 2, 3, 4, dtype=dtype)
    upstream = torch.randn(8, 2, 3, 4, dtype=dtype)
    theirs = nn.RMSNorm(normalized_shape, eps=eps, dtype=dtype).train(training)
    nn.init.normal_(theirs.weight)
    ours = RMSNorm(normalized_shape, eps=eps).to(dtype).train(training)
    ours.load_state_dict(theirs.state_dict())
    found = []
    for layer in (ours, theirs):
        x = values.clone().requires_grad_()
        y = layer(x)
        y.backward(upstream)
        found.append([y, x.grad, layer.weight.grad])
    for mine, other in zip(*found, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_default_eps_is_that_of_torch_for_tiny_inputs(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = (1e-3 * torch.randn(50, 8)).to(dtype)
    torch.testing.assert_close(rms_norm(x, [8]), nn.RMSNorm(8, dtype=dtype)(x))


@pytest.mark.parametrize("affine", [True, False])
def test_parameters_and_state_are_torchs(affine: bool) -> None:
    ours, theirs = RMSNorm([3, 4], elementwise_affine=affine), nn.RMSNorm([3, 4], elementwise_affine=affine)
    assert {n: p.shape for n, p in ours.named_parameters()} == {n: p.shape for n, p in theirs.named_parameters()}
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    assert not list(ours.buffers())


def test_the_gradient_is_right_by_finite_differences() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(2, 3, 4).double().requires_grad_(), torch.randn(3, 4).double()
    assert torch.autograd.gradcheck(lambda x: rms_norm(x, [3, 4], weight), x)


def test_a_sample_alone_gives_what_it_gives_in_a_batch() -> None:
    x = torch.randn(6, 5)
    torch.testing.assert_close(RMSNorm(5)(x)[:1], RMSNorm(5)(x[:1]))


def test_an_input_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(8, 2, 3, 4\), which does not end in \(2, 3\)"):
        RMSNorm([2, 3])(torch.randn(8, 2, 3, 4))
