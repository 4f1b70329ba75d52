"""Weight standardization from scratch: convolve with weights of mean 0 and variance 1."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


def standardize_weight(
    weight: Float[Tensor, "outputs inputs *kernel"],
    eps: float = 1e-10,
) -> Float[Tensor, "outputs inputs *kernel"]:
    r"""Give the weights of each output the mean 0 and the variance 1.

    Formula: $\hat{w}_{oi} = \frac{w_{oi} - \mu_o}{\sqrt{\sigma_o^2 + \varepsilon}}$, where $i$ runs over the $I$
    weights of output $o$, $\mu_o$ is their mean and $\sigma_o^2$ their variance, which divides by $I$.

    Args:
        weight: of a linear or convolutional layer.
        eps: ε, under the root.

    Source:
        Qiao, Wang, Liu, Shen, Yuille: Micro-Batch Training with Batch-Channel Normalization and Weight Standardization,
        2019, arXiv:1903.10520, equations 5 to 8.

    Example:
        >>> import torch
        >>> from reglab.weight_standardization import standardize_weight
        >>> standardize_weight(torch.tensor([[1.0, 3.0]])).tolist()
        [[-1.0, 1.0]]
    """
    others = tuple(range(1, weight.ndim))
    centred = weight - weight.mean(others, keepdim=True)
    return centred / torch.sqrt(centred.square().mean(others, keepdim=True) + eps)


class WSConv2d(nn.Conv2d):
    """`nn.Conv2d` that convolves with its standardized weight. Put a norm for activations behind it.

    The outputs of a standardized convolution are large, about the square root of the number of inputs times those of
    the input, so without a norm behind it a deep net explodes.

    Example:
        >>> import torch
        >>> from reglab.weight_standardization import WSConv2d
        >>> WSConv2d(3, 8, 3)(torch.randn(2, 3, 10, 10)).shape
        torch.Size([2, 8, 8, 8])
    """

    def forward(self, input: Float[Tensor, "n c h w"]) -> Float[Tensor, "n outputs rows columns"]:
        """Convolve `input`."""
        y: Tensor = self._conv_forward(input, standardize_weight(self.weight), self.bias)
        return y
