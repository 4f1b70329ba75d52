"""Weight normalization from scratch, as a parametrization of a layer's weight."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class WeightNorm(nn.Module):
    r"""A weight as a length times a direction: what `torch.nn.utils.parametrizations.weight_norm` registers.

    Formula: $w = g\,\frac{v}{\lVert v \rVert}$, for each index of the dimension `dim` by itself. The parameters are
    then `original0`, which is $g$, and `original1`, which is $v$.

    Args:
        dim: the dimension that keeps a length for each index: 0, the outputs, for linear and convolutional layers.

    Source:
        Salimans, Kingma: Weight Normalization, 2016, arXiv:1602.07868, equation 2.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from torch.nn.utils.parametrize import register_parametrization
        >>> from reglab.weight_norm import WeightNorm
        >>> layer = register_parametrization(nn.Linear(3, 2), "weight", WeightNorm())
        >>> [(name, tuple(p.shape)) for name, p in layer.named_parameters()][1:]
        [('parametrizations.weight.original0', (2, 1)), ('parametrizations.weight.original1', (2, 3))]
    """

    def __init__(self, dim: int = 0) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, g: Float[Tensor, "*lengths"], v: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The weight that `g` and `v` stand for."""
        return g * v / self._length(v)

    def right_inverse(self, weight: Float[Tensor, "*shape"]) -> tuple[Tensor, Tensor]:
        """`g` and `v` for a given weight: its length, and itself."""
        return self._length(weight), weight

    def _length(self, v: Tensor) -> Tensor:
        """The length over all dimensions but `dim`, which are kept with size 1."""
        others = [d for d in range(v.ndim) if d != self.dim % v.ndim]
        length: Tensor = torch.linalg.vector_norm(v, dim=others, keepdim=True)
        return length
