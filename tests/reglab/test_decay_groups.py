import pytest
import torch
from torch import nn

from reglab.decay_groups import decay_groups


class Everything(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.conv = nn.Conv2d(1, 4, 3)
        self.norms = nn.ModuleList(
            [nn.BatchNorm2d(4), nn.InstanceNorm1d(4, affine=True), nn.GroupNorm(2, 4), nn.LayerNorm(4), nn.RMSNorm(4)]
        )
        self.prelu = nn.PReLU()
        self.attention = nn.MultiheadAttention(4, 2)
        self.lstm = nn.LSTM(4, 3)
        self.own = nn.Parameter(torch.ones(4))


def names(model: nn.Module, group: dict[str, object]) -> set[str]:
    name_of = {id(parameter): name for name, parameter in model.named_parameters()}
    return {name_of[id(parameter)] for parameter in group["params"]}  # type: ignore[attr-defined]


def test_which_parameters_decay() -> None:
    model = Everything()
    decaying, spared = decay_groups(model, 0.1)
    assert (decaying["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)
    assert names(model, decaying) == {
        "embedding.weight",
        "conv.weight",
        "attention.in_proj_weight",
        "attention.out_proj.weight",
        "lstm.weight_ih_l0",
        "lstm.weight_hh_l0",
        "own",
    }
    assert names(model, decaying) | names(model, spared) == {name for name, _ in model.named_parameters()}
    assert len(decaying["params"]) + len(spared["params"]) == len(list(model.parameters()))


def test_frozen_parameters_are_left_out() -> None:
    net = nn.Linear(2, 2)
    net.weight.requires_grad_(False)
    decaying, spared = decay_groups(net, 0.1)
    assert decaying["params"] == []
    assert len(spared["params"]) == 1


def test_a_shared_parameter_is_listed_once_and_decays_if_any_owner_wants_it() -> None:
    net = nn.Sequential(nn.Linear(1, 1), nn.PReLU())
    net[1].weight = net[0].bias = nn.Parameter(torch.ones(1))
    assert [len(group["params"]) for group in decay_groups(net, 0.1)] == [1, 1]
    net[0].register_parameter("also", net[1].weight)
    assert [len(group["params"]) for group in decay_groups(net, 0.1)] == [2, 0]


def test_the_optimizer_shrinks_the_first_group_only() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.PReLU(), nn.LayerNorm(3))
    before = [parameter.detach().clone() for parameter in net.parameters()]
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    torch.optim.AdamW(decay_groups(net, 0.5), lr=0.1).step()
    changed = [not torch.equal(now, then) for now, then in zip(net.parameters(), before, strict=True)]
    assert changed == [True, False, False, False, False]
    torch.testing.assert_close(net[0].weight, before[0] * (1 - 0.1 * 0.5))


def test_a_negative_decay_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        decay_groups(nn.Linear(1, 1), -0.1)
