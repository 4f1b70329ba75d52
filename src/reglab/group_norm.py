"""Group normalization from scratch: the layer that torch calls `nn.GroupNorm`."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


def group_norm(
    x: Float[Tensor, "n c *space"],
    num_groups: int,
    weight: Float[Tensor, " c"] | None = None,
    bias: Float[Tensor, " c"] | None = None,
    eps: float = 1e-5,
) -> Float[Tensor, "n c *space"]:
    r"""Normalize each sample over the channels of a group and all their positions.

    Formula: $y_{ncs} = \frac{x_{ncs} - \mu_{ng}}{\sqrt{\sigma^2_{ng} + \varepsilon}}\,\gamma_c + \beta_c$, where
    channel $c$ belongs to group $g$, and $\mu_{ng}$ and $\sigma^2_{ng}$ are the mean and the (biased) variance of the
    $\frac{C}{G} \cdot S$ numbers that sample $n$ has in that group. Groups are neighbours: the first $\frac{C}{G}$
    channels are the first group. That makes $N \times G$ means and as many variances, but $C$ γ and $C$ β.

    Args:
        x: `(N, C, *)`, with any number of axes of positions, or none.
        num_groups: $G$, which must divide $C$.
        weight: γ, one number a channel; 1 where it is missing.
        bias: β, likewise; 0 where it is missing.
        eps: ε, added to the variance under the root.

    Raises:
        ValueError: `num_groups` does not divide the number of channels, or a group holds a single number, which is
            its own mean. (Torch raises for the latter only if the batch has a single sample, and otherwise returns β.)

    Source:
        Wu, He: Group Normalization, 2018, arXiv:1803.08494, equation 7.

    Example:
        >>> import torch
        >>> from reglab.group_norm import group_norm
        >>> group_norm(torch.tensor([[1.0, 3.0, 100.0, 500.0]]), num_groups=2, eps=0).tolist()
        [[-1.0, 1.0, -1.0, 1.0]]
    """
    n, c = x.shape[:2]
    if num_groups < 1 or c % num_groups:
        raise ValueError(f"{num_groups} groups do not divide {c} channels")
    if x.shape[1:].numel() == num_groups:
        raise ValueError(f"a group of the shape {tuple(x.shape)} holds a single number; take fewer than {num_groups}")
    groups = x.reshape(n, num_groups, -1)  # (n, g, c/g · s)
    centred = groups - groups.mean(2, keepdim=True)
    variance = centred.square().mean(2, keepdim=True)  # of the centred values: E[x²] - E[x]² cancels for large means
    y = (centred / torch.sqrt(variance + eps)).view(x.shape)
    per_channel = (1, c, *[1] * (x.dim() - 2))
    if weight is not None:
        y = y * weight.view(per_channel)
    return y if bias is None else y + bias.view(per_channel)


class GroupNorm(nn.Module):
    """`group_norm` as a layer, with torch's argument names; train and eval are the same.

    Args:
        num_groups: how many groups, which must divide `num_channels`.
        num_channels: how many channels.
        eps: added to the variance under the root.
        affine: whether there are a `weight` and a `bias`.
        bias: whether there is a `bias` beside the `weight`.

    Attributes:
        weight: γ, one number a channel, ones at the start; or None.
        bias: β, likewise, zeros at the start; or None.

    Raises:
        ValueError: `num_groups` does not divide `num_channels`; or an input has other channels, for which torch raises
            only where `affine` is true.

    Example:
        >>> import torch
        >>> from reglab.group_norm import GroupNorm
        >>> layer = GroupNorm(8, 64)
        >>> layer(torch.randn(20, 64, 32, 32)).shape, layer.weight.shape
        (torch.Size([20, 64, 32, 32]), torch.Size([64]))
    """

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, *, bias: bool = True
    ) -> None:
        super().__init__()
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"{num_groups} groups do not divide {num_channels} channels")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(num_channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_channels)) if affine and bias else None

    def forward(self, x: Float[Tensor, "n c *space"]) -> Float[Tensor, "n c *space"]:
        """Normalize each group of each sample; the shape stays."""
        if x.shape[1] != self.num_channels:
            raise ValueError(f"the input has {x.shape[1]} channels, and this layer was made for {self.num_channels}")
        return group_norm(x, self.num_groups, self.weight, self.bias, self.eps)
