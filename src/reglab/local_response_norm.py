"""Local response normalization from scratch: the layer that torch calls `nn.LocalResponseNorm`."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def local_response_norm(
    x: Float[Tensor, "n c *positions"],
    size: int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
) -> Float[Tensor, "n c *positions"]:
    r"""Divide each element by a power of what its neighbouring channels have at the same position.

    Formula: $b_c = a_c \Bigl( k + \frac{\alpha}{s} \sum_{c'} a_{c'}^2 \Bigr)^{-\beta}$, where $c'$ runs over the
    $s$ channels around $c$, from $c - \lfloor s/2 \rfloor$ on; beyond the first and the last channel there are zeros.
    The paper has $\alpha$ where torch has $\alpha / s$.

    Args:
        x: a batch, with the channels second.
        size: $s$, how many channels count as neighbours.
        alpha: α.
        beta: β.
        k: added to the sum, so that nothing is divided by zero.

    Source:
        Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural Networks, 2012,
        section 3.3.

    Example:
        >>> import torch
        >>> from reglab.local_response_norm import local_response_norm
        >>> x = torch.tensor([[1.0, 2.0, 0.0]]).reshape(1, 3, 1)
        >>> [round(value, 4) for value in local_response_norm(x, 3, alpha=3.0, beta=1.0).flatten().tolist()]
        [0.1667, 0.3333, 0.0]
    """
    before, after = size // 2, (size - 1) // 2
    squares = x.square().movedim(1, -1)  # channels last, for the padding
    padded = F.pad(squares, (before, after))
    sums = padded.unfold(-1, size, 1).sum(-1).movedim(-1, 1)
    return x / torch.pow(k + alpha / size * sums, beta)
