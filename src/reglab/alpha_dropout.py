"""AlphaDropout and FeatureAlphaDropout from scratch: dropout that keeps mean 0 and variance 1."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reglab.selu import SATURATION


def factors(p: float) -> tuple[float, float]:
    r"""The scale $a$ and the shift $b$ that make up for what the mask does to mean and variance.

    Formula: with $q = 1 - p$ and $\alpha'$ = `SATURATION`, $a = (q + \alpha'^2 q (1-q))^{-1/2}$ and
    $b = -a (1-q) \alpha'$.

    Args:
        p: probability of dropping an element, below 1: nothing restores the variance where nothing is kept.

    Raises:
        ValueError: `p` is not in [0, 1).

    Source:
        Klambauer et al., Self-Normalizing Neural Networks, 2017, arXiv:1706.02515, “New Dropout Technique”.

    Example:
        >>> from reglab.alpha_dropout import factors
        >>> scale, shift = factors(0.5)
        >>> round(scale, 4), round(shift, 4)
        (0.8864, 0.7792)
    """
    if not 0 <= p < 1:
        raise ValueError(f"p is {p}; the factors exist for drop probabilities from 0 to below 1")
    q = 1 - p
    scale = 1 / math.sqrt(q + SATURATION**2 * q * p)
    return scale, -scale * p * SATURATION


class AlphaDropout(nn.Module):
    r"""Set elements to SELU's saturation value with probability `p`, then scale and shift all of them.

    Formula, in training mode: $y_i = a\,(m_i x_i + (1-m_i)\,\alpha') + b$ with $m_i$ independently 1 with probability
    $1-p$ and 0 with probability $p$, $\alpha'$ = `reglab.selu.SATURATION`, and `a, b = factors(p)`. A dropped element
    thus comes out as $a \alpha' (1-p)$, not as $\alpha'$. In evaluation mode $y = x$.

    If the inputs have mean 0 and variance 1, so have the outputs, on average over inputs and masks; other moments are
    not kept. The mask is drawn as torch draws it: from the same seed both give the same numbers.

    Args:
        p: probability of dropping an element. With 1, the output is zero, as in torch.

    Raises:
        ValueError: `p` is no probability.

    Source:
        Klambauer et al., Self-Normalizing Neural Networks, 2017, arXiv:1706.02515, “New Dropout Technique”.

    Example:
        >>> import torch
        >>> from reglab.alpha_dropout import AlphaDropout
        >>> _ = torch.manual_seed(0)
        >>> y = AlphaDropout(0.2)(torch.randn(100_000))
        >>> abs(y.mean().item()) < 0.01, abs(y.var().item() - 1) < 0.02
        (True, True)
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"p is {p}; a drop probability lies between 0 and 1")
        self.p = p

    def kept(self, x: Tensor) -> Tensor:
        """The mask for `x`: 1 where an element is kept."""
        return torch.empty_like(x).bernoulli_(1 - self.p)

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The input with elements dropped, or the input itself."""
        if not self.training or self.p == 0:
            return x
        if self.p == 1:
            return x * 0
        kept = self.kept(x)
        scale, shift = factors(self.p)
        return scale * (x * kept + SATURATION * (1 - kept)) + shift

    def extra_repr(self) -> str:
        """What `print` shows between the brackets."""
        return f"p={self.p}"


class FeatureAlphaDropout(AlphaDropout):
    """`AlphaDropout` whose mask has one number for each channel of each sample.

    Shape:
        `(N, C, *)`: the first two axes are samples and channels. An input without a batch is not recognized: as in
        torch 2.13, in `(C, D, H, W)` one slice `(H, W)` would be dropped at a time.

    Raises:
        ValueError: `p` is no probability, or an input has fewer than two axes.

    Example:
        >>> import torch
        >>> from reglab.alpha_dropout import FeatureAlphaDropout
        >>> FeatureAlphaDropout(0.5).kept(torch.ones(8, 16, 28, 28)).shape
        torch.Size([8, 16, 1, 1])
    """

    def kept(self, x: Tensor) -> Tensor:
        """The mask for `x`, with size 1 along every axis behind the channels."""
        if x.dim() < 2:
            raise ValueError(f"FeatureAlphaDropout takes (N, C, *), not the shape {tuple(x.shape)}")
        return x.new_empty(x.shape[:2] + (1,) * (x.dim() - 2)).bernoulli_(1 - self.p)
