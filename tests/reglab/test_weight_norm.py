import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils.parametrize import register_parametrization

from reglab.weight_norm import WeightNorm

LAYERS = [
    (nn.Linear(5, 4), torch.randn(3, 5)),
    (nn.Conv2d(2, 4, 3), torch.randn(3, 2, 6, 6)),
    (nn.ConvTranspose2d(2, 4, 3), torch.randn(3, 2, 6, 6)),
]


@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize(("layer", "x"), LAYERS)
def test_forward_backward_and_state_equal_torchs(layer: nn.Module, x: torch.Tensor, dim: int) -> None:
    ours, theirs = copy.deepcopy(layer).double(), copy.deepcopy(layer).double()
    register_parametrization(ours, "weight", WeightNorm(dim))
    parametrizations.weight_norm(theirs, dim=dim)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for name, value in ours.state_dict().items():
        torch.testing.assert_close(value, theirs.state_dict()[name])
    with torch.no_grad():
        for p in theirs.parameters():
            p += 0.1 * torch.randn_like(p)
    ours.load_state_dict(theirs.state_dict())
    for net in (ours, theirs):
        net(x.double()).square().sum().backward()
    torch.testing.assert_close(ours(x.double()), theirs(x.double()))
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, msg=name)


def test_registering_leaves_the_weight_as_it_was() -> None:
    layer = nn.Linear(5, 4)
    before = layer.weight.detach().clone()
    register_parametrization(layer, "weight", WeightNorm())
    torch.testing.assert_close(layer.weight, before)
