import pytest
import torch
from torch import nn

from reglab.layer_norm import LayerNorm, layer_norm


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mean", [0.0, 1e4])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("normalized_shape", [4, [4], [3, 4], [2, 3, 4]])
def test_forward_and_backward_equal_torchs(
    normalized_shape: int | list[int], training: bool, mean: float, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    values = mean + torch.randn(8, 2, 3, 4, dtype=dtype)
    upstream = torch.randn(8, 2, 3, 4, dtype=dtype)
    theirs = nn.LayerNorm(normalized_shape, dtype=dtype).train(training)
    nn.init.normal_(theirs.weight)
    nn.init.normal_(theirs.bias)
    ours = LayerNorm(normalized_shape).to(dtype).train(training)
    ours.load_state_dict(theirs.state_dict())
    found = []
    for layer in (ours, theirs):
        x = values.clone().requires_grad_()
        y = layer(x)
        y.backward(upstream)
        found.append([y, x.grad, layer.weight.grad, layer.bias.grad])
    # Behind a mean of 1e4 float32 has three decimals left.
    tolerance = {"rtol": 2e-2, "atol": 2e-2} if mean and dtype == torch.float32 else {"rtol": 1e-5, "atol": 1e-5}
    for mine, other in zip(*found, strict=True):
        torch.testing.assert_close(mine, other, **tolerance)


@pytest.mark.parametrize(("affine", "bias"), [(True, True), (True, False), (False, True)])
def test_parameters_and_state_are_torchs(affine: bool, bias: bool) -> None:
    ours = LayerNorm([3, 4], elementwise_affine=affine, bias=bias)
    theirs = nn.LayerNorm([3, 4], elementwise_affine=affine, bias=bias)
    assert {name: p.shape for name, p in ours.named_parameters()} == {
        name: p.shape for name, p in theirs.named_parameters()
    }
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    assert not list(ours.buffers())
    x = torch.randn(5, 3, 4)
    torch.testing.assert_close(ours(x), theirs(x))


def test_the_gradient_is_right_by_finite_differences() -> None:
    torch.manual_seed(0)
    x, weight, bias = (torch.randn(2, 3, 4).double().requires_grad_(), *(torch.randn(3, 4).double() for _ in "wb"))
    assert torch.autograd.gradcheck(lambda x: layer_norm(x, [3, 4], weight, bias), x)


def test_a_sample_alone_gives_what_it_gives_in_a_batch() -> None:
    x = torch.randn(6, 5)
    torch.testing.assert_close(LayerNorm(5)(x)[:1], LayerNorm(5)(x[:1]))


def test_an_input_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(8, 2, 3, 4\), which does not end in \(2, 3\)"):
        LayerNorm([2, 3])(torch.randn(8, 2, 3, 4))
