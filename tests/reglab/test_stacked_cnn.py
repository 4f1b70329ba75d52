import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from reglab.stacked_cnn import StackedCNN

NORMS: dict[str, Callable[[], nn.Module]] = {
    "none": nn.Identity,
    "batch": lambda: nn.BatchNorm2d(4, momentum=0.3),
    "group": lambda: nn.GroupNorm(2, 4, eps=1e-3),
    "layer": lambda: nn.LayerNorm([4, 3, 3], eps=1e-3),
    "instance": lambda: nn.InstanceNorm2d(4, affine=True),
    "instance, plain": lambda: nn.InstanceNorm2d(4),
    "instance, tracked": lambda: nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
}


def make_net(norm: str) -> nn.Sequential:
    conv = nn.Conv2d(2, 4, 3, stride=2, padding=1)
    net = nn.Sequential(conv, NORMS[norm](), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 3 * 3, 5)).double()
    for parameter in net.parameters():  # γ and β too, or their places would not matter
        nn.init.normal_(parameter)
    return net


@pytest.mark.parametrize("norms", [["batch"] * 3, ["layer", "layer"], list(NORMS), ["batch", "group", "batch"]])
def test_each_net_computes_what_it_computes_alone(norms: list[str]) -> None:
    torch.manual_seed(0)
    nets = [make_net(norm) for norm in norms]
    x = torch.randn(len(nets), 3, 2, 6, 6, dtype=torch.float64)
    stacked = StackedCNN(nets)
    for mode in (True, False):
        y = stacked.train(mode)(x)
        for index, net in enumerate(nets):
            torch.testing.assert_close(y[index], net.train(mode)(x[index]), msg=norms[index])


def test_training_together_is_training_alone() -> None:
    torch.manual_seed(0)
    nets = [make_net(norm) for norm in NORMS for _ in range(2)]
    stacked = StackedCNN(nets)
    x = torch.randn(len(nets), 3, 2, 6, 6, dtype=torch.float64)
    y = torch.randn(len(nets), 3, 5, dtype=torch.float64)

    def optimizer_of(module: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(module.parameters(), lr=0.01, momentum=0.9, weight_decay=0.1)

    together = optimizer_of(stacked)
    for _ in range(20):
        together.zero_grad()
        (stacked(x) - y).square().mean((1, 2)).sum().backward()
        together.step()
    stacked.eval()
    for index, net in enumerate(nets):
        alone = optimizer_of(net)
        for _ in range(20):
            alone.zero_grad()
            (net(x[index]) - y[index]).square().mean().backward()
            alone.step()
        torch.testing.assert_close(stacked(x)[index], net.eval()(x[index]))


def make_deep_net(norm: Callable[[int], nn.Module]) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, groups=2),
        norm(4),
        nn.ReLU(),
        nn.Conv2d(4, 8, 2, padding=1, dilation=2, padding_mode="reflect", bias=False),
        norm(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.AvgPool2d(1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 6),
        nn.ReLU(),
        nn.Linear(6, 3),
    )


@pytest.mark.parametrize(
    "norm",
    [
        lambda c: nn.Identity(),
        nn.BatchNorm2d,
        lambda c: nn.InstanceNorm2d(c, affine=True, track_running_stats=True),
        lambda c: nn.GroupNorm(2, c),
    ],
    ids=["none", "batch", "instance", "group"],
)
def test_deep_nets_learn_what_they_would_learn_alone(norm: Callable[[int], nn.Module]) -> None:
    torch.manual_seed(0)
    nets = [make_deep_net(norm) for _ in range(3)]
    stacked = StackedCNN(nets)
    x, labels = torch.randn(3, 5, 2, 6, 6), torch.randint(3, (3, 5))
    optimizer = torch.optim.SGD(stacked.parameters(), lr=0.1, momentum=0.9)
    alone = [torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9) for net in nets]
    for _ in range(3):
        optimizer.zero_grad()
        out = stacked(x)
        sum(nn.functional.cross_entropy(out[k], labels[k]) for k in range(3)).backward()
        optimizer.step()
        for k, (net, one) in enumerate(zip(nets, alone, strict=True)):
            one.zero_grad()
            nn.functional.cross_entropy(net(x[k]), labels[k]).backward()
            one.step()
    stacked.eval()
    for k, net in enumerate(nets):
        torch.testing.assert_close(stacked(x)[k], net.eval()(x[k]), rtol=1e-4, atol=1e-4)


def test_a_batch_of_one_and_large_means() -> None:
    torch.manual_seed(0)
    nets = [make_net(norm) for norm in NORMS]
    x = 1e4 + torch.randn(len(nets), 1, 2, 6, 6, dtype=torch.float64)
    y = StackedCNN(nets)(x)
    for index, net in enumerate(nets):
        torch.testing.assert_close(y[index], net(x[index]))


def test_the_nets_are_copied() -> None:
    net = make_net("batch")
    before = copy.deepcopy(net.state_dict())
    stacked = StackedCNN([net])
    for parameter in stacked.parameters():
        nn.init.zeros_(parameter)
    stacked(torch.randn(1, 3, 2, 6, 6, dtype=torch.float64))
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize(
    ("nets", "message"),
    [
        ([], "no nets"),
        ([make_net("batch"), nn.Sequential(nn.ReLU())], "different depth"),
        ([nn.Sequential(nn.Conv2d(1, 4, 3)), nn.Sequential(nn.Conv2d(1, 5, 3))], "differ in more"),
        ([nn.Sequential(nn.MaxPool2d(2)), nn.Sequential(nn.AvgPool2d(2))], "differ in more"),
        ([nn.Sequential(nn.LayerNorm(4))], "cannot be stacked"),
        ([nn.Sequential(nn.Dropout())], "cannot be stacked"),
        ([nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))], "cannot be stacked"),
        ([nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.GroupNorm(1, 2))], "behind nn.Flatten"),
    ],
)
def test_what_cannot_be_stacked_is_refused(nets: list[nn.Sequential], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StackedCNN(nets)
