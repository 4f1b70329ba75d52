"""Many small convolutional nets as one module, whatever they normalize with: for experiments over many seeds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class StackedCNN(nn.Module):
    r"""Several convolutional nets that differ in nothing but numbers and normalization, and compute side by side.

    Formula: the channels of all nets lie side by side in one tensor. A convolution of $K$ nets is one with $K$ groups;
    BatchNorm, GroupNorm and InstanceNorm of $K$ nets are the same layers with $K$ times the channels (and groups);
    LayerNorm over $C \times H \times W$ is GroupNorm with one group a net, with $\gamma$ and $\beta$ of its own shape.

    No number passes from one net to another, so that the gradient of the **sum** of the nets' losses is, for the
    parameters of one net, the gradient of its own loss. With small batches, where nearly all of the time goes into
    calling operations, many nets cost little more than one.

    Args:
        nets: `nn.Sequential`s of `nn.Conv2d`, the normalization layers `nn.BatchNorm2d`, `nn.GroupNorm`,
            `nn.InstanceNorm2d` and `nn.LayerNorm` over all of C×H×W, pooling, `nn.ReLU` and `nn.Identity`, then
            `nn.Flatten` and linear layers; they are copied. At one place the nets may have different normalization
            layers; nets with the same one should follow each other, since what follows each other is computed at once.

    Attributes:
        num_nets: how many nets there are.
        layers: the stacked layers, in order.

    Raises:
        ValueError: no net, nets of different depth, or layers that cannot stand side by side.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from reglab.stacked_cnn import StackedCNN
        >>> def net(norm: nn.Module) -> nn.Sequential:
        ...     return nn.Sequential(nn.Conv2d(1, 4, 3), norm, nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 10))
        >>> nets = [net(nn.BatchNorm2d(4)), net(nn.BatchNorm2d(4)), net(nn.GroupNorm(2, 4))]
        >>> x = torch.randn(3, 5, 1, 8, 8)
        >>> y = StackedCNN(nets)(x)
        >>> y.shape, torch.allclose(y[2], nets[2](x[2]), atol=1e-5)
        (torch.Size([3, 5, 10]), True)
    """

    def __init__(self, nets: Sequence[nn.Sequential]) -> None:
        super().__init__()
        if not nets:
            raise ValueError("no nets to stack")
        if len({len(net) for net in nets}) > 1:
            raise ValueError(f"nets of different depth cannot be stacked: {sorted({len(net) for net in nets})}")
        behind = [layer for net in nets for layer in _behind_flatten(net)]
        if wrong := [layer for layer in behind if not isinstance(layer, nn.Linear | nn.ReLU | nn.Identity)]:
            raise ValueError(f"cannot be stacked behind nn.Flatten: {wrong[0]}")
        self.num_nets = len(nets)
        self.layers = nn.Sequential(*(_side_by_side(same) for same in zip(*nets, strict=True)))

    def forward(self, x: Float[Tensor, "nets batch channels height width"]) -> Float[Tensor, "nets batch outputs"]:
        """The output of every net for its own batch."""
        flat = x.transpose(0, 1).flatten(1, 2)  # (batch, nets * channels, height, width)
        y: Tensor = self.layers(flat)
        return y


class _Parts(nn.Module):
    """Different layers, each for its share of the channels."""

    def __init__(self, layers: Sequence[nn.Module], sizes: Sequence[int]) -> None:
        super().__init__()
        self.layers, self.sizes = nn.ModuleList(layers), list(sizes)

    def forward(self, x: Tensor) -> Tensor:
        shares = x.shape[1] // sum(self.sizes)  # channels of one net
        parts = torch.split(x, [size * shares for size in self.sizes], dim=1)
        return torch.cat([layer(part) for layer, part in zip(self.layers, parts, strict=True)], dim=1)


class _LayerNorms(nn.Module):
    """LayerNorm over all of C×H×W, for many nets."""

    def __init__(self, layers: Sequence[nn.LayerNorm]) -> None:
        super().__init__()
        self.num_nets, self.eps = len(layers), layers[0].eps
        self.weight = nn.Parameter(torch.cat([layer.weight.detach() for layer in layers]))  # (nets * channels, h, w)
        self.bias = nn.Parameter(torch.cat([layer.bias.detach() for layer in layers]))

    def forward(self, x: Tensor) -> Tensor:
        return F.group_norm(x, self.num_nets, eps=self.eps) * self.weight + self.bias


class _Flatten(nn.Module):
    """`nn.Flatten` of every net; from here on the nets are the first axis."""

    def __init__(self, num_nets: int) -> None:
        super().__init__()
        self.num_nets = num_nets

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), self.num_nets, -1).transpose(0, 1)  # (nets, batch, features)


class _Linears(nn.Module):
    """Linear layers, one for each net."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach().mT for layer in layers]))  # (nets, in, out)
        self.bias = nn.Parameter(torch.stack([layer.bias.detach().unsqueeze(0) for layer in layers]))

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)  # (nets, batch, out)


def _behind_flatten(net: nn.Sequential) -> list[nn.Module]:
    """The layers of a net behind its `nn.Flatten`."""
    layers = list(net)
    places = [place for place, layer in enumerate(layers) if isinstance(layer, nn.Flatten)]
    return layers[places[0] + 1 :] if places else []


def _side_by_side(layers: Sequence[nn.Module]) -> nn.Module:
    """One layer for what stands at one place of all nets."""
    runs = [list(run) for _, run in groupby(layers, repr)]
    norms = nn.BatchNorm2d | nn.GroupNorm | nn.InstanceNorm2d | nn.LayerNorm | nn.Identity
    if len(runs) > 1 and not all(isinstance(layer, norms) for layer in layers):
        raise ValueError(f"nets that differ in more than normalization cannot be stacked: {runs[0][0]}, {runs[1][0]}")
    merged = [_merge(run) for run in runs]
    return merged[0] if len(merged) == 1 else _Parts(merged, [len(run) for run in runs])


def _merge(layers: Sequence[nn.Module]) -> nn.Module:
    """One layer for equal layers."""
    first, count = layers[0], len(layers)
    merged: nn.Module
    match first:
        case nn.ReLU() | nn.Identity() | nn.MaxPool2d() | nn.AvgPool2d() | nn.AdaptiveAvgPool2d():
            return first
        case nn.Flatten():
            return _Flatten(count)
        case nn.Linear() if first.bias is not None:
            return _Linears([layer for layer in layers if isinstance(layer, nn.Linear)])
        case nn.LayerNorm() if len(first.normalized_shape) == 3 and first.bias is not None:
            return _LayerNorms([layer for layer in layers if isinstance(layer, nn.LayerNorm)])
        case nn.Conv2d():
            channels = first.in_channels * count, first.out_channels * count
            shape = first.kernel_size, first.stride, first.padding, first.dilation
            last = first.groups * count, first.bias is not None, first.padding_mode
            merged = nn.Conv2d(*channels, *shape, *last)  # type: ignore[arg-type]
        case nn.BatchNorm2d() | nn.InstanceNorm2d():
            options = first.eps, first.momentum, first.affine, first.track_running_stats
            merged = type(first)(first.num_features * count, *options)  # type: ignore[arg-type]
        case nn.GroupNorm():
            merged = nn.GroupNorm(first.num_groups * count, first.num_channels * count, first.eps, first.affine)
        case _:
            raise ValueError(f"cannot be stacked: {first}")
    states = [layer.state_dict() for layer in layers]
    for name, tensor in merged.state_dict(keep_vars=True).items():  # one along the first axis for each net
        values = [state[name] for state in states]
        tensor.data = torch.cat(values) if tensor.ndim else values[0].clone()
    return merged
