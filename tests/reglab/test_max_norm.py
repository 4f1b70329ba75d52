import pytest
import torch
from torch import nn

from reglab.max_norm import max_norm_


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(6, 5), (4, 3, 2, 2), (7,), (1, 8)])
@pytest.mark.parametrize("dim", [0, -1])
@pytest.mark.parametrize("spread", [1e-3, 1.0, 1e4])
def test_it_equals_torch_renorm(dtype: torch.dtype, shape: tuple[int, ...], dim: int, spread: float) -> None:
    torch.manual_seed(0)
    weight = spread * torch.randn(shape, dtype=dtype)
    expected = torch.renorm(weight, p=2, dim=dim, maxnorm=1.5) if len(shape) > 1 else weight.clamp(-1.5, 1.5)
    torch.testing.assert_close(max_norm_(weight.clone(), 1.5, dim=dim), expected, rtol=1e-5, atol=0)


def test_units_within_the_bound_are_left_alone_bit_by_bit() -> None:
    weight = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    projected = max_norm_(weight.clone(), 1.0)
    assert torch.equal(projected[1:], weight[1:])
    torch.testing.assert_close(projected[0], torch.tensor([0.6, 0.8]))


def test_it_works_in_place_on_a_parameter_and_records_no_graph() -> None:
    layer = nn.Linear(4, 3)
    nn.init.constant_(layer.weight, 2.0)
    result = max_norm_(layer.weight, 1.0)
    assert result is layer.weight
    assert layer.weight.grad_fn is None
    assert layer.weight.requires_grad
    torch.testing.assert_close(layer.weight.norm(dim=1).detach(), torch.ones(3))


def test_projecting_twice_changes_nothing_more() -> None:
    torch.manual_seed(0)
    once = max_norm_(torch.randn(5, 5).double(), 0.7)
    torch.testing.assert_close(max_norm_(once.clone(), 0.7), once)


def test_the_bound_must_be_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        max_norm_(torch.ones(2, 2), 0.0)
