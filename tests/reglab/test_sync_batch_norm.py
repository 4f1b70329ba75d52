import pytest
import torch
from torch.nn import functional as F

from reglab.sync_batch_norm import combine_statistics, sync_backward, sync_forward


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mean", [0.0, 1e4])
@pytest.mark.parametrize("counts", [[6, 2], [1, 7], [3, 3, 2], [8]])
def test_forward_and_backward_are_those_of_one_batch(counts: list[int], mean: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    values, upstream = mean + torch.randn(8, 3, dtype=dtype), torch.randn(8, 3, dtype=dtype)
    whole = values.clone().requires_grad_()
    running_mean, running_var = torch.zeros(3, dtype=dtype), torch.ones(3, dtype=dtype)
    y = F.batch_norm(whole, running_mean, running_var, training=True, momentum=1.0)
    y.backward(upstream)
    normalized, found_mean, variance = sync_forward(values.split(counts))
    gradients = sync_backward(normalized, upstream.split(counts), variance)
    # Behind a mean of 1e4 float32 has three decimals left.
    tolerance = {"rtol": 2e-2, "atol": 2e-2} if mean and dtype == torch.float32 else {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(torch.cat(normalized), y, **tolerance)
    torch.testing.assert_close(torch.cat(gradients), whole.grad, **tolerance)
    torch.testing.assert_close(found_mean, running_mean, **tolerance)
    torch.testing.assert_close(variance * 8 / 7, running_var, **tolerance)


def test_an_empty_shard_counts_for_nothing() -> None:
    mean, variance = combine_statistics([4, 0], [torch.ones(2), torch.zeros(2)], [torch.ones(2), torch.zeros(2)])
    assert mean.tolist() == variance.tolist() == [1.0, 1.0]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="2 counts, 1 means"):
        combine_statistics([1, 2], [torch.ones(1)], [torch.ones(1)])
    with pytest.raises(ValueError, match="no values"):
        combine_statistics([0], [torch.ones(1)], [torch.ones(1)])
