import copy

import pytest
import torch
from torch import nn

from reglab.stacked import StackedMLP


def make_net(width: int = 6) -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 3))


def test_each_net_computes_what_it_computes_alone_forward_and_backward() -> None:
    torch.manual_seed(0)
    nets = [make_net().double() for _ in range(4)]
    stacked = StackedMLP(nets)
    x = torch.randn(4, 5, 2, dtype=torch.float64)
    upstream = torch.randn(4, 5, 3, dtype=torch.float64)
    y = stacked(x)
    y.backward(upstream)
    for index, net in enumerate(nets):
        alone = net(x[index])
        alone.backward(upstream[index])
        torch.testing.assert_close(y[index], alone)
        linears = [module for module in net if isinstance(module, nn.Linear)]
        for linear, weight, bias in zip(linears, stacked.weights, stacked.biases, strict=True):
            assert weight.grad is not None
            assert bias.grad is not None
            torch.testing.assert_close(weight.grad[index].mT, linear.weight.grad)
            torch.testing.assert_close(bias.grad[index, 0], linear.bias.grad)


def test_training_together_is_training_alone() -> None:
    torch.manual_seed(0)
    nets = [make_net().double() for _ in range(3)]
    stacked = StackedMLP(nets)
    x = torch.randn(3, 5, 2, dtype=torch.float64)
    y = torch.randn(3, 5, 3, dtype=torch.float64)

    def optimizer_of(module: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(module.parameters(), lr=0.05, momentum=0.9, weight_decay=0.1)

    together = optimizer_of(stacked)
    for _ in range(50):
        together.zero_grad()
        (stacked(x) - y).square().mean((1, 2)).sum().backward()
        together.step()
    for index, net in enumerate(nets):
        alone = optimizer_of(net)
        for _ in range(50):
            alone.zero_grad()
            (net(x[index]) - y[index]).square().mean().backward()
            alone.step()
        torch.testing.assert_close(stacked(x)[index], net(x[index]))


def test_the_nets_are_copied() -> None:
    net = make_net()
    before = copy.deepcopy(net.state_dict())
    stacked = StackedMLP([net, net])
    with torch.no_grad():
        for parameter in stacked.parameters():
            parameter += 1
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize(
    ("nets", "message"),
    [
        ([], "no nets"),
        ([make_net(6), make_net(7)], "different sizes"),
        ([nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))], "not linear layers"),
        ([nn.Sequential(nn.Linear(2, 3), nn.ReLU())], "not linear layers"),
        ([nn.Sequential(nn.Linear(2, 3, bias=False))], "without bias"),
    ],
)
def test_nets_that_cannot_be_stacked_are_refused(nets: list[nn.Sequential], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StackedMLP(nets)
