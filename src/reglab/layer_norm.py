"""Layer normalization from scratch: the layer that torch calls `nn.LayerNorm`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


def layer_norm(
    x: Float[Tensor, "*shape"],
    normalized_shape: Sequence[int],
    weight: Float[Tensor, "*normalized"] | None = None,
    bias: Float[Tensor, "*normalized"] | None = None,
    eps: float = 1e-5,
) -> Float[Tensor, "*shape"]:
    r"""Normalize each sample over its last dimensions, whatever else is in the batch.

    Formula: $y_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \varepsilon}}\,\gamma_i + \beta_i$, where $i$ runs over the $D$
    elements of the last dimensions, $\mu = \frac{1}{D} \sum_i x_i$ and $\sigma^2 = \frac{1}{D} \sum_i (x_i - \mu)^2$,
    which divides by $D$ and not by $D - 1$. There is one $\mu$ and one $\sigma^2$ for each index of the dimensions in
    front, and one $\gamma$ and one $\beta$ for each element behind.

    Args:
        x: of the shape `(*, *normalized_shape)`.
        normalized_shape: the sizes of the last dimensions, over which to normalize.
        weight: γ, of the shape `normalized_shape`; 1 where it is missing.
        bias: β, likewise; 0 where it is missing.
        eps: ε, added to the variance under the root.

    Raises:
        ValueError: `x` does not end in `normalized_shape`.

    Source:
        Ba, Kiros, Hinton: Layer Normalization, 2016, arXiv:1607.06450, equation 3.

    Example:
        >>> import torch
        >>> from reglab.layer_norm import layer_norm
        >>> layer_norm(torch.tensor([[-3.0, 5.0], [100.0, 300.0]]), [2], eps=0).tolist()
        [[-1.0, 1.0], [-1.0, 1.0]]
    """
    shape = tuple(normalized_shape)
    if tuple(x.shape[-len(shape) :]) != shape:
        raise ValueError(f"the input has the shape {tuple(x.shape)}, which does not end in {shape}")
    over = tuple(range(-len(shape), 0))
    centred = x - x.mean(over, keepdim=True)
    variance = centred.square().mean(over, keepdim=True)  # of the centred values: E[x²] - E[x]² cancels for large means
    y = centred / torch.sqrt(variance + eps)
    if weight is not None:
        y = y * weight
    return y if bias is None else y + bias


class LayerNorm(nn.Module):
    """`layer_norm` as a layer, with torch's argument names; train and eval are the same.

    Args:
        normalized_shape: the sizes of the last dimensions; a number stands for one dimension.
        eps: added to the variance under the root.
        elementwise_affine: whether there are a `weight` and a `bias`.
        bias: whether there is a `bias` beside the `weight`.

    Attributes:
        weight: γ, of the shape `normalized_shape`, all ones at the start; or None.
        bias: β, of the same shape, all zeros at the start; or None.

    Raises:
        ValueError: the input does not end in `normalized_shape`.

    Example:
        >>> import torch
        >>> from reglab.layer_norm import LayerNorm
        >>> layer = LayerNorm([2, 3, 4])
        >>> layer(torch.randn(8, 2, 3, 4)).shape, layer.weight.shape
        (torch.Size([8, 2, 3, 4]), torch.Size([2, 3, 4]))
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(self.normalized_shape)) if elementwise_affine else None
        self.bias = nn.Parameter(torch.zeros(self.normalized_shape)) if elementwise_affine and bias else None

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Normalize `x` over its last dimensions; the shape stays."""
        return layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
