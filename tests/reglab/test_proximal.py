import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reglab.proximal import ProximalSGD, soft_threshold


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("spread", [1e-3, 1.0, 1e4])
def test_forward_and_backward_equal_softshrink(dtype: torch.dtype, threshold: float, spread: float) -> None:
    torch.manual_seed(0)
    values, upstream = spread * torch.randn(7, 30, dtype=dtype), torch.randn(7, 30, dtype=dtype)
    outputs, gradients = [], []
    for function in (soft_threshold, F.softshrink):
        w = values.clone().requires_grad_()
        z = function(w, threshold)
        z.backward(upstream)
        outputs.append(z.detach())
        gradients.append(w.grad)
    torch.testing.assert_close(*outputs)
    if threshold:  # at a threshold of 0 nothing is flat, but clamp's gradient counts its ends
        torch.testing.assert_close(*gradients)


def test_soft_threshold_minimizes_its_objective() -> None:
    # The optimum over a fine grid, and by an optimizer that knows nothing of thresholds.
    w, threshold = torch.linspace(-3, 3, 41).double(), 0.7
    grid = torch.linspace(-8, 8, 160_001).double()
    for value, found in zip(w, soft_threshold(w, threshold), strict=True):
        best = grid[((grid - value).square() / 2 + threshold * grid.abs()).argmin()]
        assert found.item() == pytest.approx(best.item(), abs=1e-4)
    z = nn.Parameter(w.clone())
    optimizer = torch.optim.SGD([z], lr=0.5)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.99)
    for _ in range(1500):
        optimizer.zero_grad()
        ((z - w).square() / 2 + threshold * z.abs()).sum().backward()
        optimizer.step()
        schedule.step()
    torch.testing.assert_close(z.detach(), soft_threshold(w, threshold), atol=1e-4, rtol=0)


def test_zeros_are_exact_and_positive_and_signs_are_kept() -> None:
    z = soft_threshold(torch.tensor([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0]), 1.0)
    assert z.tolist() == [-1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    assert not torch.signbit(z[1:]).any()
    with pytest.raises(ValueError, match="at least 0"):
        soft_threshold(z, -1.0)


def lasso_problem() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    x = torch.randn(60, 10).double()
    truth = torch.tensor([3.0, -2.0, 1.0] + 7 * [0.0]).double()
    return x, x @ truth + 0.3 * torch.randn(60).double()


def test_it_reaches_the_minimum_of_the_lasso() -> None:
    x, y = lasso_problem()
    w = nn.Parameter(torch.zeros(10).double())
    optimizer = ProximalSGD([w], lr=0.3, l1=0.2)
    for _ in range(500):
        optimizer.zero_grad()
        ((x @ w - y).square().mean() / 2).backward()
        optimizer.step()
    slopes = x.T @ (y - x @ w) / 60
    kept = w != 0
    torch.testing.assert_close(slopes[kept], 0.2 * w[kept].sign())  # what a minimum asks of the weights that are kept
    assert (slopes[~kept].abs() < 0.2).all()  # and of those at zero
    assert kept.tolist() == [True] * 3 + [False] * 7


def test_without_a_penalty_it_is_sgd() -> None:
    x, y = lasso_problem()
    results = []
    for make in (lambda p: ProximalSGD(p, lr=0.1), lambda p: torch.optim.SGD(p, lr=0.1)):
        w = nn.Parameter(torch.ones(10).double())
        optimizer = make([w])
        for _ in range(20):
            optimizer.zero_grad()
            ((x @ w - y).square().mean()).backward()
            optimizer.step()
        results.append(w.detach())
    assert torch.equal(*results)


def test_groups_have_their_own_strength_and_the_rate_follows_a_schedule() -> None:
    net = nn.Linear(3, 1)
    nn.init.constant_(net.weight, 1.0)
    nn.init.constant_(net.bias, 1.0)
    optimizer = ProximalSGD([{"params": [net.weight]}, {"params": [net.bias], "l1": 0.0}], lr=0.5, l1=0.2)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    for expected in (0.9, 0.85):
        optimizer.step()
        schedule.step()
        torch.testing.assert_close(net.weight.detach(), torch.full((1, 3), expected))
        assert net.bias.item() == 1
    with pytest.raises(ValueError, match="at least 0"):
        ProximalSGD(net.parameters(), lr=0.1, l1=-1.0)


def test_a_parameter_without_gradient_is_left_alone_and_a_closure_is_called() -> None:
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = ProximalSGD([used, unused], lr=0.1, l1=1.0)

    def closure() -> float:
        optimizer.zero_grad()
        loss = used.square().sum()
        loss.backward()
        return loss.item()

    assert optimizer.step(closure) == 2
    torch.testing.assert_close(used.detach(), torch.full((2,), 0.7))
    assert unused.tolist() == [1, 1]
    assert used.requires_grad


def test_the_penalty_survives_save_and_load() -> None:
    w = nn.Parameter(torch.ones(1))
    saved = ProximalSGD([w], lr=0.1, l1=0.5).state_dict()
    other = ProximalSGD([w], lr=1.0)
    other.load_state_dict(saved)
    assert (other.param_groups[0]["l1"], other.param_groups[0]["lr"]) == (0.5, 0.1)
