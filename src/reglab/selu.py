"""SELU from scratch: the activation function whose constants make mean 0 and variance 1 a stable fixed point."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

ALPHA = 1.6732632423543772
"""How deep the negative branch goes, before `SCALE`."""

SCALE = 1.0507009873554805
"""The slope of the positive branch, the paper's λ."""

SATURATION = -SCALE * ALPHA
"""What SELU approaches for very negative inputs, the paper's α′: about -1.7581."""


def selu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Scaled exponential linear unit.

    Formula: $\mathrm{selu}(x) = \lambda x$ for $x > 0$ and $\lambda\alpha(\mathrm{e}^x - 1)$ for $x \le 0$, with
    $\lambda$ = `SCALE` and $\alpha$ = `ALPHA`. For a standard normal $x$ the result has mean 0 and variance 1. The
    derivative at 0 is that of the left branch, $\lambda\alpha$, as in torch.

    The exponential sees nothing above 0: there it would overflow, and the branch not taken would turn the gradient
    into `nan` (0 times infinity).

    Args:
        x: any shape.

    Source:
        Klambauer et al., Self-Normalizing Neural Networks, 2017, arXiv:1706.02515, equation 2.

    Example:
        >>> import torch
        >>> from reglab.selu import selu
        >>> selu(torch.tensor([-100.0, 0.0, 1.0])).tolist()
        [-1.7580993175506592, 0.0, 1.0507010221481323]
    """
    return SCALE * torch.where(x > 0, x, ALPHA * torch.expm1(x.clamp(max=0)))


class SELU(nn.Module):
    """`selu` as a layer; it has neither parameters nor buffers, and no modes.

    Example:
        >>> import torch
        >>> from reglab.selu import SELU
        >>> _ = torch.manual_seed(0)
        >>> y = SELU()(torch.randn(100_000))
        >>> abs(y.mean().item()) < 0.01, abs(y.var().item() - 1) < 0.02
        (True, True)
    """

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The activation of every element."""
        return selu(x)
