"""Batch normalization from scratch: the layers that torch calls `nn.BatchNorm1d`, `2d` and `3d`."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


def batch_norm(
    x: Float[Tensor, "n c *rest"],
    running_mean: Float[Tensor, " c"] | None,
    running_var: Float[Tensor, " c"] | None,
    weight: Float[Tensor, " c"] | None = None,
    bias: Float[Tensor, " c"] | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Float[Tensor, "n c *rest"]:
    r"""Normalize each channel, by the batch in training and by running statistics otherwise.

    Formula: $y = \frac{x - \mu_c}{\sqrt{\sigma_c^2 + \varepsilon}}\,\gamma_c + \beta_c$. In training $\mu_c$ and
    $\sigma_c^2$ are mean and variance over the $m$ elements of channel $c$: all samples, and all places where there are
    any; the variance divides by $m$. Besides, with $\alpha$ for `momentum`,
    $\hat{\mu}_c \leftarrow (1-\alpha)\,\hat{\mu}_c + \alpha\,\mu_c$ and
    $\hat{\sigma}_c^2 \leftarrow (1-\alpha)\,\hat{\sigma}_c^2 + \alpha\,\frac{m}{m-1}\,\sigma_c^2$: what is recorded is
    the unbiased variance. Otherwise the recorded $\hat{\mu}_c$ and $\hat{\sigma}_c^2$ take the place of $\mu_c$ and
    $\sigma_c^2$, and are constants for the gradient.

    Args:
        x: `(N, C)` behind a linear layer, `(N, C, *)` behind a convolution.
        running_mean: the recorded means, changed in place while training; nothing is recorded without them.
        running_var: the recorded variances, likewise.
        weight: γ, one for each channel; 1 where it is missing.
        bias: β, likewise; 0 where it is missing.
        training: whether to use the statistics of this batch, and to record them.
        momentum: the weight of the **new** value in what is recorded.
        eps: ε, added to the variance under the root.

    Raises:
        ValueError: a channel has a single element in training, or there is nothing recorded outside training.

    Source:
        Ioffe, Szegedy: Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift,
        2015, arXiv:1502.03167, algorithms 1 and 2.

    Example:
        >>> import torch
        >>> from reglab.batch_norm import batch_norm
        >>> mean, var = torch.zeros(1), torch.ones(1)
        >>> batch_norm(torch.tensor([[1.0], [3.0]]), mean, var, training=True, eps=0.0).flatten().tolist()
        [-1.0, 1.0]
        >>> mean, var  # a tenth of the batch's mean 2, and of its unbiased variance 2
        (tensor([0.2000]), tensor([1.1000]))
    """
    shape = (1, -1, *[1] * (x.dim() - 2))  # so that a number a channel meets x
    if training:
        over = (0, *range(2, x.dim()))  # all axes but the channels
        num_elements = x.numel() // x.shape[1]
        if num_elements < 2:
            raise ValueError(
                f"a batch of the shape {tuple(x.shape)} has {num_elements} element a channel; its variance says nothing"
            )
        mean = x.mean(over)
        centred = x - mean.view(shape)
        var = centred.square().mean(over)  # of the centred values: E[x²] - E[x]² cancels for large means
        with torch.no_grad():  # what is recorded is no part of the graph
            if running_mean is not None:
                running_mean.lerp_(mean, momentum)
            if running_var is not None:
                running_var.lerp_(var * (num_elements / (num_elements - 1)), momentum)
    elif running_mean is None or running_var is None:
        raise ValueError("outside training, running_mean and running_var are needed")
    else:
        centred, var = x - running_mean.view(shape), running_var
    y = centred / torch.sqrt(var + eps).view(shape)
    if weight is not None:
        y = y * weight.view(shape)
    return y if bias is None else y + bias.view(shape)


class BatchNorm(nn.Module):
    """`batch_norm` as a layer: what torch's `BatchNorm1d`, `2d` and `3d` have in common.

    Those three differ only in the number of axes that they accept; this one takes `(N, C)` and `(N, C, *)`. Parameters,
    buffers and their names are torch's, so a `state_dict` of one can be loaded into the other.

    Args:
        num_features: C, the number of channels.
        eps: added to the variance under the root.
        momentum: the weight of the new value in the running statistics; with `None` they are the plain average of all
            batches so far.
        affine: whether there are a `weight` and a `bias`.
        track_running_stats: whether running statistics are kept. Without them, evaluation mode uses the batch as well.

    Attributes:
        weight: γ, all ones at the start; or None.
        bias: β, all zeros at the start; or None.
        running_mean: a buffer, all zeros at the start; or None.
        running_var: a buffer, all ones at the start; or None.
        num_batches_tracked: a buffer, how many batches have been recorded; or None.

    Raises:
        ValueError: the input has another number of channels, or a channel has a single element in training.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from reglab.batch_norm import BatchNorm
        >>> ours, theirs = BatchNorm(3), nn.BatchNorm2d(3)
        >>> x = torch.randn(8, 3, 5, 5)
        >>> torch.allclose(ours(x), theirs(x), atol=1e-6)
        True
        >>> theirs.load_state_dict(ours.state_dict())
        <All keys matched successfully>
    """

    weight: nn.Parameter | None
    bias: nn.Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None
        # Buffers: state that no gradient reaches, but that is saved, loaded and moved with the parameters.
        self.register_buffer("running_mean", torch.zeros(num_features) if track_running_stats else None)
        self.register_buffer("running_var", torch.ones(num_features) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", torch.tensor(0) if track_running_stats else None)

    def forward(self, x: Float[Tensor, "n c *rest"]) -> Float[Tensor, "n c *rest"]:
        """Normalize `x` channel by channel; the shape stays."""
        if x.shape[1] != self.num_features:
            raise ValueError(f"the input has {x.shape[1]} channels, the layer has {self.num_features}")
        momentum = self.momentum
        if momentum is None:  # the plain average: the first batch counts 1, the second 1/2, the third 1/3, …
            momentum = 0.0 if self.num_batches_tracked is None else 1 / (int(self.num_batches_tracked) + 1)
        y = batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=self.training or not self.track_running_stats,
            momentum=momentum,
            eps=self.eps,
        )
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked += 1
        return y

    def reset_running_stats(self) -> None:
        """Forget what has been recorded: mean 0, variance 1, no batches.

        Example:
            >>> import torch
            >>> from reglab.batch_norm import BatchNorm
            >>> layer = BatchNorm(2)
            >>> _ = layer(5 + torch.randn(8, 2))
            >>> layer.reset_running_stats()
            >>> layer.running_mean, layer.num_batches_tracked
            (tensor([0., 0.]), tensor(0))
        """
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()
