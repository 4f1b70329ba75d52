from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from reglab.sigmoid_tanh_relu import bce_with_logits, log_sigmoid, relu, sigmoid, tanh

PAIRS = [(sigmoid, torch.sigmoid), (tanh, torch.tanh), (relu, torch.relu), (log_sigmoid, F.logsigmoid)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spread", [1e-6, 1.0, 30.0, 1e4])
@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_forward_and_backward_equal_torchs(
    ours: Callable[[Tensor], Tensor], theirs: Callable[[Tensor], Tensor], spread: float, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    values = torch.cat([spread * torch.randn(500, dtype=dtype), torch.tensor([0.0, -0.0, 1e4, -1e4], dtype=dtype)])
    upstream = torch.randn(len(values), dtype=dtype)
    outputs, gradients = [], []
    for function in (ours, theirs):
        x = values.clone().requires_grad_()
        y = function(x)
        y.backward(upstream)
        outputs.append(y)
        gradients.append(x.grad)
    torch.testing.assert_close(*outputs)
    torch.testing.assert_close(*gradients)


def test_small_inputs_keep_their_digits() -> None:
    x = torch.tensor([1e-20, -1e-10, 1e-5])
    torch.testing.assert_close(tanh(x), torch.tanh(x), rtol=1e-6, atol=0)


def test_far_to_the_left_the_sigmoid_is_its_exponential() -> None:
    x = torch.tensor([-20.0, -50.0, -80.0])
    torch.testing.assert_close(sigmoid(x), torch.exp(x), rtol=1e-5, atol=0)


def test_an_empty_batch_stays_empty() -> None:
    assert all(function(torch.zeros(0, 3)).shape == (0, 3) for function, _ in PAIRS)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_loss_equals_torchs(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    values = torch.cat([30 * torch.randn(98, dtype=dtype), torch.tensor([1e4, -1e4, 0.0, 0.0], dtype=dtype)])
    target = torch.rand(len(values), dtype=dtype).round()
    found = []
    for loss in (bce_with_logits, F.binary_cross_entropy_with_logits):
        logits = values.clone().requires_grad_()
        value = loss(logits, target)
        value.backward()
        found.append((value, logits.grad))
    torch.testing.assert_close(found[0], found[1])


def test_targets_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(3, 1\) and targets of \(3,\)"):
        bce_with_logits(torch.zeros(3, 1), torch.zeros(3))
