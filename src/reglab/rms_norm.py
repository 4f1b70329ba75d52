"""RMS normalization from scratch: the layer that torch calls `nn.RMSNorm`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


def rms_norm(
    x: Float[Tensor, "*shape"],
    normalized_shape: Sequence[int],
    weight: Float[Tensor, "*normalized"] | None = None,
    eps: float | None = None,
) -> Float[Tensor, "*shape"]:
    r"""Divide each sample by the root mean square over its last dimensions; nothing is subtracted.

    Formula: $y_i = \frac{x_i}{\sqrt{\frac{1}{D} \sum_j x_j^2 + \varepsilon}}\,\gamma_i$, where $i$ and $j$ run over the
    $D$ elements of the last dimensions. Without $\varepsilon$ and $\gamma$, $y$ has the length $\sqrt{D}$ and the
    direction of $x$.

    Half precision is computed in float32, and only the result is rounded.

    Args:
        x: of the shape `(*, *normalized_shape)`.
        normalized_shape: the sizes of the last dimensions, over which to normalize.
        weight: γ, of the shape `normalized_shape`; 1 where it is missing.
        eps: ε; where it is missing, the machine epsilon of the type in which this computes: float32 for half precision.

    Raises:
        ValueError: `x` does not end in `normalized_shape`.

    Source:
        Zhang, Sennrich: Root Mean Square Layer Normalization, 2019, arXiv:1910.07467, equation 4.

    Example:
        >>> import torch
        >>> from reglab.rms_norm import rms_norm
        >>> [round(value, 4) for value in rms_norm(torch.tensor([3.0, 4.0]), [2]).tolist()]
        [0.8485, 1.1314]
    """
    shape = tuple(normalized_shape)
    if tuple(x.shape[-len(shape) :]) != shape:
        raise ValueError(f"the input has the shape {tuple(x.shape)}, which does not end in {shape}")
    over = tuple(range(-len(shape), 0))
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    epsilon = torch.finfo(wide.dtype).eps if eps is None else eps
    y = wide * torch.rsqrt(wide.square().mean(over, keepdim=True) + epsilon)
    return (y if weight is None else y * weight).to(x.dtype)


class RMSNorm(nn.Module):
    """`rms_norm` as a layer, with torch's argument names; train and eval are the same.

    Args:
        normalized_shape: the sizes of the last dimensions; a number stands for one dimension.
        eps: added to the mean square under the root; `None` is the machine epsilon, as in `rms_norm`.
        elementwise_affine: whether there is a `weight`; there is never a bias.

    Attributes:
        weight: γ, of the shape `normalized_shape`, all ones at the start; or None.

    Raises:
        ValueError: the input does not end in `normalized_shape`.

    Example:
        >>> import torch
        >>> from reglab.rms_norm import RMSNorm
        >>> layer = RMSNorm(64)
        >>> layer(torch.randn(8, 10, 64)).shape, list(layer.state_dict())
        (torch.Size([8, 10, 64]), ['weight'])
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
    ) -> None:
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(self.normalized_shape)) if elementwise_affine else None

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Normalize `x` over its last dimensions; the shape stays."""
        return rms_norm(x, self.normalized_shape, self.weight, self.eps)
