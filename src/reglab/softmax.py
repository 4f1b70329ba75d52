"""Softmax, its logarithm and the cross entropy of logits from scratch, without overflow, as torch computes them."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def softmax(x: Float[Tensor, "*shape"], dim: int) -> Float[Tensor, "*shape"]:
    r"""Turn scores along one dimension into positive numbers that sum to 1.

    Formula: $p_i = \frac{\mathrm{e}^{x_i - m}}{\sum_j \mathrm{e}^{x_j - m}}$ with $m = \max_j x_j$. Subtracting $m$
    changes nothing on paper. In floating point it makes the largest exponent 0, so that no exponential overflows and
    the sum is at least 1.

    The maximum is taken as a constant on the way back, which is right because the result does not depend on it.

    Args:
        x: scores (logits), any shape; `-inf` gets the probability 0. If all along `dim` are `-inf`, the result is
            `nan`, as in torch.
        dim: the dimension that sums to 1. Unlike torch's, it has no default.

    Source:
        Goodfellow, Bengio, Courville: Deep Learning, 2016, section 4.1.

    Example:
        >>> import torch
        >>> from reglab.softmax import softmax
        >>> softmax(torch.tensor([[0.0, 0.0], [1000.0, -1000.0]]), dim=1).tolist()
        [[0.5, 0.5], [1.0, 0.0]]
    """
    exponentials = torch.exp(_shifted(x, dim))
    return exponentials / exponentials.sum(dim, keepdim=True)


def log_softmax(x: Float[Tensor, "*shape"], dim: int) -> Float[Tensor, "*shape"]:
    r"""The logarithm of `softmax`, also where the probability itself rounds to 0.

    Formula: $\log p_i = (x_i - m) - \log \sum_j \mathrm{e}^{x_j - m}$ with $m = \max_j x_j$. The brackets matter: $m$
    plus the logarithm, the log-sum-exp of $x$, rounds the logarithm away where $m$ is large.

    Args:
        x: scores (logits), any shape.
        dim: the dimension along which the probabilities sum to 1.

    Source:
        Blanchard, Higham, Higham: Accurately Computing the Log-Sum-Exp and Softmax Functions, 2021,
        doi:10.1093/imanum/draa038.

    Example:
        >>> import torch
        >>> from reglab.softmax import log_softmax
        >>> log_softmax(torch.tensor([0.0, 1000.0]), dim=0).tolist()
        [-1000.0, 0.0]
    """
    shifted = _shifted(x, dim)
    return shifted - shifted.exp().sum(dim, keepdim=True).log()


def cross_entropy(
    logits: Float[Tensor, "n classes *places"],
    target: Int64[Tensor, "*target"],
    reduction: Literal["mean", "sum", "none"] = "mean",
) -> Float[Tensor, "*reduced"]:
    r"""Minus the log-probability of the right class, straight from the logits: nothing may be applied before.

    Formula: $L = -\log p_y = \log \sum_j \mathrm{e}^{x_j} - x_y$ for each sample, with the logits $x$ and the class
    $y$. The gradient is $\partial L / \partial x_i = p_i - [i = y]$.

    Args:
        logits: scores before any softmax; the classes are dimension 1, also for pictures, `(N, C, H, W)`.
        target: the class of each sample or pixel, the shape of `logits` without dimension 1.
        reduction: `"mean"` or `"sum"` over all samples, or `"none"`.

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> import torch
        >>> from reglab.softmax import cross_entropy
        >>> logits = torch.tensor([[2.0, 2.0], [5.0, -995.0]])
        >>> cross_entropy(logits, torch.tensor([0, 1]), reduction="none").tolist()
        [0.6931471824645996, 1000.0]
    """
    expected = (logits.shape[0], *logits.shape[2:])
    if tuple(target.shape) != expected:
        raise ValueError(
            f"logits {tuple(logits.shape)} want a target of the shape {expected}, not {tuple(target.shape)}"
        )
    losses = -log_softmax(logits, dim=1).gather(1, target.unsqueeze(1)).squeeze(1)
    return {"none": losses, "mean": losses.mean(), "sum": losses.sum()}[reduction]


def _shifted(x: Float[Tensor, "*shape"], dim: int) -> Float[Tensor, "*shape"]:
    """`x` with its largest value along `dim` moved to 0."""
    return x - x.detach().amax(dim, keepdim=True)
