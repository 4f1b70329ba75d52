"""Instance normalization from scratch, for sequences, pictures and volumes; and AdaIN, which transfers a style."""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn


def instance_norm(
    x: Float[Tensor, "n c *space"],
    running_mean: Float[Tensor, " c"] | None = None,
    running_var: Float[Tensor, " c"] | None = None,
    weight: Float[Tensor, " c"] | None = None,
    bias: Float[Tensor, " c"] | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Float[Tensor, "n c *space"]:
    r"""Normalize each channel of each sample over its positions.

    Formula: $y_{ncs} = \frac{x_{ncs} - \mu_{nc}}{\sqrt{\sigma^2_{nc} + \varepsilon}}\,\gamma_c + \beta_c$, where $s$
    runs over the $S$ positions of a channel, $\mu_{nc} = \frac{1}{S} \sum_s x_{ncs}$ and
    $\sigma^2_{nc} = \frac{1}{S} \sum_s (x_{ncs} - \mu_{nc})^2$. That makes $N \times C$ means and as many variances.

    Where there are running statistics, they are updated in place, with $m$ = `momentum`:
    $\bar\mu_c \leftarrow (1-m)\,\bar\mu_c + \frac{m}{N} \sum_n \mu_{nc}$ and
    $\bar\sigma^2_c \leftarrow (1-m)\,\bar\sigma^2_c + \frac{m}{N} \sum_n \frac{S}{S-1}\,\sigma^2_{nc}$: the mean over
    the samples of their unbiased variances, which leaves out how far the samples' means are apart.

    Args:
        x: `(N, C, *)` with one axis or more of positions.
        running_mean: $\bar\mu$, one number a channel.
        running_var: $\bar\sigma^2$, likewise.
        weight: γ, one number a channel; 1 where it is missing.
        bias: β, likewise; 0 where it is missing.
        use_input_stats: normalize by the samples' own statistics; if false, by the running ones.
        momentum: $m$, the weight of the new value.
        eps: ε, added to the variance under the root.

    Raises:
        ValueError: a channel has fewer than two positions, or there are no running statistics to normalize by.

    Source:
        Ulyanov, Vedaldi, Lempitsky: Instance Normalization: The Missing Ingredient for Fast Stylization, 2016,
        arXiv:1607.08022, equation 3.

    Example:
        >>> import torch
        >>> from reglab.instance_norm import instance_norm
        >>> instance_norm(torch.tensor([[[1.0, 3.0], [100.0, 500.0]]]), eps=0).tolist()
        [[[-1.0, 1.0], [-1.0, 1.0]]]
    """
    over = tuple(range(2, x.dim()))
    if use_input_stats:
        positions = x.shape[2:].numel()
        if positions < 2:
            raise ValueError(f"the input has the shape {tuple(x.shape)}; each channel needs two positions or more")
        mean = x.mean(over, keepdim=True)  # (n, c, 1, …)
        variance = (x - mean).square().mean(over, keepdim=True)  # of centred values: E[x²] - E[x]² cancels
        with torch.no_grad():
            if running_mean is not None:
                running_mean.lerp_(mean.flatten(1).mean(0), momentum)
            if running_var is not None:
                unbiased = variance.flatten(1).mean(0) * positions / (positions - 1)
                running_var.lerp_(unbiased, momentum)
    elif running_mean is None or running_var is None:
        raise ValueError("there are no running statistics to normalize by")
    else:
        mean, variance = (along_channels(stats, x) for stats in (running_mean, running_var))
    y = (x - mean) / torch.sqrt(variance + eps)
    if weight is not None:
        y = y * along_channels(weight, x)
    return y if bias is None else y + along_channels(bias, x)


def along_channels(values: Float[Tensor, " c"], x: Float[Tensor, "n c *space"]) -> Float[Tensor, "1 c *ones"]:
    """One value a channel, in a shape that is broadcast to that of `x`.

    Example:
        >>> import torch
        >>> from reglab.instance_norm import along_channels
        >>> along_channels(torch.ones(3), torch.randn(8, 3, 5, 5)).shape
        torch.Size([1, 3, 1, 1])
    """
    return values.view(1, -1, *[1] * (x.dim() - 2))


class _InstanceNorm(nn.Module):
    """`instance_norm` as a layer for inputs with `spatial` axes of positions."""

    spatial: ClassVar[int]
    running_mean: Tensor | None
    running_var: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine and bias else None
        tracked = track_running_stats
        self.register_buffer("running_mean", torch.zeros(num_features) if tracked else None)
        self.register_buffer("running_var", torch.ones(num_features) if tracked else None)
        self.register_buffer("num_batches_tracked", torch.tensor(0) if tracked else None)  # which torch never counts up

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Normalize each channel of `x`; the shape stays."""
        if x.dim() not in (self.spatial + 1, self.spatial + 2):
            raise ValueError(
                f"{type(self).__name__} takes {self.spatial + 1} or {self.spatial + 2} axes, "
                f"not the shape {tuple(x.shape)}"
            )
        channels = x.shape[-self.spatial - 1]
        if channels != self.num_features:
            raise ValueError(f"the input has {channels} channels, and this layer was made for {self.num_features}")
        batch = x if x.dim() == self.spatial + 2 else x.unsqueeze(0)
        y = instance_norm(
            batch,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return y if batch is x else y.squeeze(0)


class InstanceNorm1d(_InstanceNorm):
    r"""`instance_norm` as a layer for sequences, with torch's argument names and defaults.

    Args:
        num_features: the number of channels.
        eps: added to the variance under the root.
        momentum: weight of the new value in the running statistics. `None` freezes them, as in torch, whereas batch
            norm takes it for a cumulative average.
        affine: whether there are a `weight` and a `bias`.
        track_running_stats: whether to keep running statistics and, **in evaluation mode, to normalize by them**. If
            false, training and evaluation mode are the same.
        bias: whether there is a `bias` beside the `weight`.

    Attributes:
        weight: γ, one number a channel, ones at the start; or None.
        bias: β, likewise, zeros at the start; or None.
        running_mean: buffer, one number a channel, zeros at the start; or None.
        running_var: buffer, likewise, ones at the start; or None.

    Shape:
        `(N, C, L)`, or `(C, L)` without a batch. The output of a linear layer, `(N, features)`, is read as `(C, L)`.

    Raises:
        ValueError: another number of axes; another number of channels, for which torch only warns where `affine` is
            false; fewer than two positions, unless running statistics are used.

    Example:
        >>> import torch
        >>> from reglab.instance_norm import InstanceNorm1d
        >>> y = InstanceNorm1d(4)(5 + torch.randn(8, 4, 100))
        >>> y.shape, bool(y.mean(2).abs().max() < 1e-5)
        (torch.Size([8, 4, 100]), True)
    """

    spatial = 1


class InstanceNorm2d(_InstanceNorm):
    r"""`instance_norm` as a layer for pictures; arguments and attributes are those of `InstanceNorm1d`.

    Shape:
        `(N, C, H, W)`, or `(C, H, W)` without a batch.

    Raises:
        ValueError: as in `InstanceNorm1d`.

    Example:
        >>> import torch
        >>> from reglab.instance_norm import InstanceNorm2d
        >>> picture = torch.rand(1, 3, 32, 32)
        >>> layer = InstanceNorm2d(3)
        >>> torch.allclose(layer(0.5 * picture + 0.2), layer(picture), atol=1e-2)  # light and contrast are gone
        True
    """

    spatial = 2


class InstanceNorm3d(_InstanceNorm):
    r"""`instance_norm` as a layer for volumes; arguments and attributes are those of `InstanceNorm1d`.

    Shape:
        `(N, C, D, H, W)`, or `(C, D, H, W)` without a batch.

    Raises:
        ValueError: as in `InstanceNorm1d`.

    Example:
        >>> import torch
        >>> from reglab.instance_norm import InstanceNorm3d
        >>> [tuple(buffer.shape) for buffer in InstanceNorm3d(3, track_running_stats=True).buffers()]
        [(3,), (3,), ()]
    """

    spatial = 3


def adaptive_instance_norm(
    content: Float[Tensor, "n c *space"], style: Float[Tensor, "n c *other"], eps: float = 1e-5
) -> Float[Tensor, "n c *space"]:
    r"""Give each channel of `content` the mean and the standard deviation that this channel has in `style`.

    Formula: $\operatorname{AdaIN}(x, y) = \sigma(y)\,\frac{x - \mu(x)}{\sigma(x)} + \mu(y)$, with $\mu$ and $\sigma$
    over the positions of a channel of a sample, and $\varepsilon$ added to both variances under their roots.

    Args:
        content: $x$, which keeps its shapes and edges.
        style: $y$, with as many samples and channels; its positions may be other and more.
        eps: ε.

    Raises:
        ValueError: a channel of `content` has fewer than two positions.

    Source:
        Huang, Belongie: Arbitrary Style Transfer in Real-Time with Adaptive Instance Normalization, 2017,
        arXiv:1703.06868, equation 8.

    Example:
        >>> import torch
        >>> from reglab.instance_norm import adaptive_instance_norm
        >>> content, style = torch.tensor([[[0.0, 1.0]]]), torch.tensor([[[20.0, 20.0, 40.0, 40.0]]])
        >>> adaptive_instance_norm(content, style, eps=0).tolist()
        [[[20.0, 40.0]]]
    """
    values = style.flatten(2)
    shape = (*style.shape[:2], *[1] * (content.dim() - 2))
    std = torch.sqrt(values.var(2, correction=0) + eps).view(shape)
    return instance_norm(content, eps=eps) * std + values.mean(2).view(shape)
