from collections.abc import Callable

import pytest
import torch
from torch import nn

from reglab.stacked_conv import StackedConvNet

NORMS = [
    lambda c: nn.Identity(),
    nn.BatchNorm2d,
    lambda c: nn.InstanceNorm2d(c, affine=True, track_running_stats=True),
    lambda c: nn.GroupNorm(2, c),
]


def make_net(norm: Callable[[int], nn.Module]) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2),
        norm(4),
        nn.ReLU(),
        nn.Conv2d(4, 8, 2, padding=1, dilation=2, padding_mode="reflect"),
        norm(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(8, 3),
    )


@pytest.mark.parametrize("norm", NORMS, ids=["none", "batch", "instance", "group"])
def test_each_net_learns_what_it_would_learn_alone(norm: Callable[[int], nn.Module]) -> None:
    torch.manual_seed(0)
    nets = [make_net(norm) for _ in range(3)]
    stack = StackedConvNet(nets)
    x, labels = torch.randn(3, 5, 2, 6, 6), torch.randint(3, (3, 5))
    optimizer = torch.optim.SGD(stack.parameters(), lr=0.1, momentum=0.9)
    alone = [torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9) for net in nets]
    for _ in range(3):
        optimizer.zero_grad()
        out = stack(x)
        sum(nn.functional.cross_entropy(out[k], labels[k]) for k in range(3)).backward()
        optimizer.step()
        for k, (net, one) in enumerate(zip(nets, alone, strict=True)):
            one.zero_grad()
            nn.functional.cross_entropy(net(x[k]), labels[k]).backward()
            one.step()
    stack.eval()
    for k, net in enumerate(nets):
        torch.testing.assert_close(stack(x)[k], net.eval()(x[k]), rtol=1e-4, atol=1e-4)


def test_what_cannot_be_stacked_is_refused() -> None:
    with pytest.raises(ValueError, match="no nets"):
        StackedConvNet([])
    with pytest.raises(ValueError, match="different layers"):
        StackedConvNet([nn.Sequential(nn.Conv2d(1, c, 3)) for c in (2, 3)])
    with pytest.raises(ValueError, match="without bias"):
        StackedConvNet([nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))] * 2)
    with pytest.raises(ValueError, match="LayerNorm cannot be stacked"):
        StackedConvNet([nn.Sequential(nn.LayerNorm([1, 8, 8]))] * 2)
