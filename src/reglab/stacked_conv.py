"""Many small convolutional nets as one module, for experiments that repeat a training over many seeds."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class StackedConvNet(nn.Module):
    r"""Several convolutional nets of equal shape that compute side by side, as the groups of grouped convolutions.

    Net $k$ is what it was alone: its channels are a block of the stack's channels, convolutions do not look beyond
    their block, and batch, instance and group norm treat every channel, or group of channels, by itself. The gradient
    of the **sum** of the nets' losses is, for the parameters of one net, that of its own loss; with SGD each net
    therefore learns what it would learn alone, up to rounding, in a fraction of the time.

    Args:
        nets: `nn.Sequential`s of equal layers, which are copied: convolutions, normalization layers and what acts on
            each element or map, then `nn.Flatten` and linear layers.

    Attributes:
        layers: the stacked layers, in order.

    Raises:
        ValueError: no net, nets of different layers, or a layer that cannot be stacked, such as layer norm, which would
            average over all nets.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from reglab.stacked_conv import StackedConvNet
        >>> def make_net():
        ...     return nn.Sequential(nn.Conv2d(1, 4, 5), nn.GroupNorm(2, 4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 10))
        >>> nets = [make_net() for _ in range(3)]
        >>> x = torch.randn(3, 7, 1, 8, 8)
        >>> y = StackedConvNet(nets)(x)
        >>> y.shape, torch.allclose(y[2], nets[2](x[2]), atol=1e-5)
        (torch.Size([3, 7, 10]), True)
    """

    def __init__(self, nets: Sequence[nn.Sequential]) -> None:
        super().__init__()
        if not nets:
            raise ValueError("no nets to stack")
        if any(str(net) != str(nets[0]) for net in nets):
            raise ValueError("nets of different layers cannot be stacked")
        self.layers = nn.ModuleList(_stack(same) for same in zip(*nets, strict=True))

    def forward(self, x: Float[Tensor, "nets n c h w"]) -> Float[Tensor, "nets n outputs"]:
        """The output of every net for its own pictures."""
        h = x.transpose(0, 1).flatten(1, 2)  # (n, nets · c, h, w)
        for layer in self.layers:
            h = layer(h)
        return h


class _StackedFlatten(nn.Module):
    """Several `nn.Flatten`, one for each net; from here on the nets are the first axis."""

    def __init__(self, num_nets: int) -> None:
        super().__init__()
        self.num_nets = num_nets

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), self.num_nets, -1).transpose(0, 1)  # (nets, n, features)


class _StackedLinear(nn.Module):
    """Several `nn.Linear`, one for each net."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach().mT for layer in layers]))
        self.bias = nn.Parameter(torch.stack([layer.bias.detach().unsqueeze(0) for layer in layers]))

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


def _stack(layers: Sequence[nn.Module]) -> nn.Module:
    """One layer that does for all nets what `layers` do for one each."""
    num, first = len(layers), layers[0]
    if isinstance(first, nn.Linear):
        if first.bias is None:
            raise ValueError("a linear layer without bias cannot be stacked")
        return _StackedLinear([layer for layer in layers if isinstance(layer, nn.Linear)])
    if isinstance(first, nn.Flatten):
        return _StackedFlatten(num)
    if isinstance(first, nn.Conv2d):
        stacked: nn.Module = nn.Conv2d(
            num * first.in_channels,
            num * first.out_channels,
            first.kernel_size,  # type: ignore[arg-type]
            first.stride,  # type: ignore[arg-type]
            first.padding,  # type: ignore[arg-type]
            first.dilation,  # type: ignore[arg-type]
            groups=num * first.groups,
            bias=first.bias is not None,
            padding_mode=first.padding_mode,
        )
    elif isinstance(first, nn.BatchNorm2d | nn.InstanceNorm2d):
        stacked = type(first)(
            num * first.num_features,
            first.eps,
            first.momentum,  # type: ignore[arg-type]
            first.affine,
            first.track_running_stats,
        )
    elif isinstance(first, nn.GroupNorm):
        stacked = nn.GroupNorm(num * first.num_groups, num * first.num_channels, first.eps, first.affine)
    elif isinstance(first, nn.ReLU | nn.Identity | nn.MaxPool2d | nn.AvgPool2d | nn.AdaptiveAvgPool2d):
        return first
    else:
        raise ValueError(f"{type(first).__name__} cannot be stacked")
    states = [layer.state_dict() for layer in layers]
    stacked.load_state_dict(
        {
            name: value if value.dim() == 0 else torch.cat([state[name] for state in states])
            for name, value in states[0].items()
        }
    )
    return stacked
