import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reglab.signal_propagation import (
    batch_norm_relu_std,
    log_rms_walk,
    mean_cosine,
    probe,
    relu_cosine,
    relu_gain,
)


def _net(depth: int, width: int, std: float) -> list[nn.Module]:
    net = []
    for _ in range(depth):
        linear = nn.Linear(width, width, bias=False).double()
        nn.init.normal_(linear.weight, std=std)
        net.append(nn.Sequential(linear, nn.ReLU()))
    return net


def test_the_probe_measures_what_autograd_and_numpy_would() -> None:
    torch.manual_seed(0)
    net, x = _net(3, 8, 0.5), torch.randn(4, 8).double()
    upstream = torch.randn(4, 8).double()
    found = probe(net, x, upstream)
    first = net[0](x).detach().requires_grad_()
    last = net[2](net[1](first))
    last.backward(upstream)
    torch.testing.assert_close(found.gradient[0], first.grad.square().mean().sqrt())
    torch.testing.assert_close(found.gradient[2], upstream.square().mean().sqrt())
    assert found.rms[2].item() == pytest.approx((last.detach().numpy() ** 2).mean() ** 0.5)
    assert found.std[2].item() == pytest.approx(last.detach().numpy().std())
    pairs = F.cosine_similarity(last[:, None], last[None], dim=2)
    torch.testing.assert_close(found.cosine[2], ((pairs.sum() - 4) / 12).detach())
    assert all(p.grad is None for p in net[0].parameters())


def test_the_probe_leaves_the_input_alone() -> None:
    x = torch.randn(4, 8).double()
    probe(_net(1, 8, 0.5), x, torch.ones(4, 8).double())
    assert not x.requires_grad


def test_nothing_to_probe_is_refused() -> None:
    with pytest.raises(ValueError, match="no layers"):
        probe([], torch.randn(4, 8), torch.ones(4, 8))
    with pytest.raises(ValueError, match="one sample"):
        probe([nn.ReLU()], torch.randn(1, 8), torch.ones(1, 8))


def test_gain_forward_and_backward() -> None:
    width, std = 512, 0.1
    gains = []
    for seed in range(10):
        torch.manual_seed(seed)
        x, upstream = torch.randn(2, 16, width).double()
        found = probe(_net(3, width, std), x, upstream)
        gains.append([(found.rms[1] / found.rms[0]).item(), (found.gradient[0] / found.gradient[1]).item()])
    mean = torch.tensor(gains).mean(0)
    assert mean.tolist() == pytest.approx([relu_gain(std, width)] * 2, rel=0.05)


def test_cosine_of_two_and_its_fixed_point() -> None:
    torch.manual_seed(0)
    width = 20_000
    a = torch.randn(width).double()
    for angle in (0.0, 0.7, math.pi / 2, 2.5):
        b = math.cos(angle) * a + math.sin(angle) * torch.randn(width).double()
        cosine = mean_cosine(torch.stack([a, b]).relu()).item()
        assert cosine == pytest.approx(relu_cosine(math.cos(angle)), abs=0.02)
    assert relu_cosine(1.0) == 1.0
    assert relu_cosine(-1.0) == pytest.approx(0.0, abs=1e-12)


def test_the_walk_of_the_logarithm() -> None:
    width, depth, samples = 64, 20, 2000
    torch.manual_seed(0)
    # One sample after another sees weights of its own, so only its size matters.
    factors = 2 * torch.randn(samples, depth, width).double().relu().square().mean(-1)
    logs = factors.log().sum(1) / 2
    mean, std = log_rms_walk(depth, width)
    assert logs.mean().item() == pytest.approx(mean, rel=0.15)
    assert logs.std().item() == pytest.approx(std, rel=0.1)


@pytest.mark.parametrize("batch_size", [2, 4, 16, 256])
def test_std_behind_batch_norm_and_relu(batch_size: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(batch_size, 100_000).double()
    y = F.batch_norm(x, None, None, training=True, eps=1e-12).relu()
    assert y.std(correction=0).item() == pytest.approx(batch_norm_relu_std(batch_size), abs=2e-3)


def test_std_tends_to_its_limit() -> None:
    assert batch_norm_relu_std() == pytest.approx(math.sqrt(0.5 - 0.5 / math.pi))
    assert batch_norm_relu_std(100_000) == pytest.approx(batch_norm_relu_std(), abs=1e-5)
    with pytest.raises(ValueError, match="at least 2"):
        batch_norm_relu_std(1)
