"""Many small nets as one module, for experiments that repeat a training over many seeds."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class StackedMLP(nn.Module):
    r"""Several nets of equal shape, linear layers with ReLU between them, that compute side by side.

    Formula, for net $k$: $h_0 = x_k$, $h_l = \mathrm{ReLU}(h_{l-1} W_{kl}^\top + b_{kl})$, and no ReLU after the last
    layer.

    No number passes from one net to another. The gradient of the **sum** of the nets' losses is, for the parameters
    of one net, the gradient of that net's own loss; and SGD, with momentum and weight decay, treats every number by
    itself. Each net therefore learns what it would learn alone, up to rounding; one matrix product for all of them
    halves the time.

    The weights are stored as `(nets, inputs, outputs)`, transposed against `nn.Linear`, which `torch.baddbmm` likes.

    Args:
        nets: `nn.Sequential`s of `nn.Linear` with `nn.ReLU` between them, of the same sizes; they are copied.

    Attributes:
        weights: one parameter a layer, `(nets, inputs, outputs)`.
        biases: one parameter a layer, `(nets, 1, outputs)`.

    Raises:
        ValueError: no net, a module other than those two, or nets of different sizes.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from reglab.stacked import StackedMLP
        >>> nets = [nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Linear(8, 1)) for _ in range(3)]
        >>> x = torch.randn(3, 5, 1)
        >>> y = StackedMLP(nets)(x)
        >>> y.shape, torch.allclose(y[2], nets[2](x[2]), atol=1e-6)
        (torch.Size([3, 5, 1]), True)
    """

    def __init__(self, nets: Sequence[nn.Sequential]) -> None:
        super().__init__()
        if not nets:
            raise ValueError("no nets to stack")
        layers = [_linears(net) for net in nets]
        sizes = [[tuple(layer.weight.shape) for layer in net] for net in layers]
        if any(other != sizes[0] for other in sizes):
            raise ValueError(f"nets of different sizes cannot be stacked: {sizes}")
        self.weights = nn.ParameterList(
            torch.stack([layer.weight.detach().mT for layer in same]) for same in zip(*layers, strict=True)
        )
        self.biases = nn.ParameterList(
            torch.stack([layer.bias.detach().unsqueeze(0) for layer in same]) for same in zip(*layers, strict=True)
        )

    def forward(self, x: Float[Tensor, "nets samples inputs"]) -> Float[Tensor, "nets samples outputs"]:
        """The output of every net for its own samples."""
        last = len(self.weights) - 1
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)  # (nets, samples, outputs of this layer)
            if index < last:
                x = x.relu()
        return x


def _linears(net: nn.Sequential) -> list[nn.Linear]:
    """The linear layers of `net`, which must alternate with ReLUs."""
    linears = [module for module in net if isinstance(module, nn.Linear)]
    between = [module for module in net if isinstance(module, nn.ReLU)]
    if list(net)[::2] != linears or list(net)[1::2] != between or len(linears) != len(between) + 1:
        raise ValueError(f"not linear layers with ReLUs between them: {net}")
    if any(layer.bias is None for layer in linears):
        raise ValueError("a linear layer without bias cannot be stacked")
    return linears
