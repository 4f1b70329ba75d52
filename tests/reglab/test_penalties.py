import pytest
import torch
from torch import nn

from reglab.decay_groups import decay_groups
from reglab.penalties import l1_penalty, l2_penalty


def tensors(dtype: torch.dtype = torch.float64) -> list[nn.Parameter]:
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(shape, dtype=dtype)) for shape in ((3, 4), (5,), (2, 3, 2, 2), (1, 1))]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_equal_torchs_norms(dtype: torch.dtype) -> None:
    parameters = tensors(dtype)
    flat = torch.cat([w.flatten() for w in parameters])
    torch.testing.assert_close(l1_penalty(parameters), torch.linalg.vector_norm(flat, ord=1))
    torch.testing.assert_close(l2_penalty(parameters), torch.linalg.vector_norm(flat).square() / 2)
    assert l1_penalty(parameters).dtype == dtype


def test_gradients_are_sign_and_weight() -> None:
    parameters = tensors()
    with torch.no_grad():
        parameters[1][2] = 0
    for penalty, expected in ((l1_penalty, torch.sign), (l2_penalty, torch.clone)):
        gradients = torch.autograd.grad(penalty(parameters), parameters)
        for w, gradient in zip(parameters, gradients, strict=True):
            torch.testing.assert_close(gradient, expected(w.detach()))


def test_large_values_stay_finite() -> None:
    far = [torch.full((10, 10), 1e4)]
    assert l1_penalty(far).item() == pytest.approx(1e6)
    assert l2_penalty(far).item() == pytest.approx(5e9)


def test_l2_penalty_in_the_loss_is_weight_decay_in_sgd() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(20, 3).double(), torch.randn(20, 1).double()
    nets = [nn.Linear(3, 1).double() for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    by_torch = torch.optim.SGD(decay_groups(nets[0], 0.3), lr=0.1, momentum=0.9)
    by_hand = torch.optim.SGD(nets[1].parameters(), lr=0.1, momentum=0.9)
    for _ in range(20):
        for net, optimizer, strength in ((nets[0], by_torch, 0.0), (nets[1], by_hand, 0.3)):
            optimizer.zero_grad()
            loss = (net(x) - y).square().mean() + strength * l2_penalty([net.weight])
            loss.backward()
            optimizer.step()
    torch.testing.assert_close(nets[0].state_dict(), nets[1].state_dict())


def test_it_takes_a_generator_but_not_twice() -> None:
    generator = nn.Linear(2, 2).parameters()
    assert l1_penalty(generator) > 0
    with pytest.raises(ValueError, match="no parameter"):
        l1_penalty(generator)
    with pytest.raises(ValueError, match="no parameter"):
        l2_penalty([])
