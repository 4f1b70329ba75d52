import pytest
import torch
from torch import nn

from reglab.local_response_norm import local_response_norm


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mean", [0.0, 1e4])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("positions", [(4,), (3, 4), (2, 3, 4)])
def test_forward_and_backward_equal_torchs(
    positions: tuple[int, ...], size: int, mean: float, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    values = mean + torch.randn(2, 6, *positions, dtype=dtype)
    upstream = torch.randn_like(values)
    options = {"alpha": 0.5, "beta": 0.6, "k": 2.0}
    found = []
    for function in (local_response_norm, nn.functional.local_response_norm):
        x = values.clone().requires_grad_()
        y = function(x, size, **options)
        y.backward(upstream)
        found.append([y, x.grad])
    for mine, other in zip(*found, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)


def test_the_defaults_are_torchs() -> None:
    x = 100 * torch.randn(1, 6, 3)
    torch.testing.assert_close(local_response_norm(x, 5), nn.LocalResponseNorm(5)(x))
