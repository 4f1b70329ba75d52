"""Sigmoid, tanh and ReLU from scratch, and the loss that takes logits: safe for inputs of any size, with gradients."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def sigmoid(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Logistic sigmoid, in the two forms whose exponentials cannot overflow.

    Formula: $\sigma(x) = \frac{1}{1 + \mathrm{e}^{-x}}$ for $x \ge 0$ and the same number as
    $\frac{\mathrm{e}^{x}}{1 + \mathrm{e}^{x}}$ for $x < 0$; derivative $\sigma(x)\,(1 - \sigma(x))$, at most
    $\frac{1}{4}$.

    The branch that `torch.where` does not take still passes its gradient on, times zero. Each branch therefore sees
    its own side of 0 only, or infinity times zero would turn the gradient into `nan`. One exponential of $-|x|$ for
    both would be shorter, but $|x|$ has the derivative 0 at 0, and so would this function.

    Args:
        x: any shape.

    Example:
        >>> import torch
        >>> from reglab.sigmoid_tanh_relu import sigmoid
        >>> sigmoid(torch.tensor([-1e4, 0.0, 1e4])).tolist()
        [0.0, 0.5, 1.0]
    """
    above, below = torch.exp(-x.clamp(min=0)), torch.exp(x.clamp(max=0))
    return torch.where(x >= 0, 1 / (1 + above), below / (1 + below))


def tanh(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Hyperbolic tangent.

    Formula: $\tanh x = \frac{\mathrm{e}^{x} - \mathrm{e}^{-x}}{\mathrm{e}^{x} + \mathrm{e}^{-x}} = 2\,\sigma(2x) - 1$,
    computed as $\frac{-t}{2 + t}$ with $t = \mathrm{e}^{-2x} - 1$ for $x \ge 0$, and by $\tanh(-x) = -\tanh x$ for
    $x < 0$; derivative $1 - \tanh^2 x$.

    `expm1` gives $t$ without cancellation, so that small inputs keep all their digits.

    Args:
        x: any shape.

    Example:
        >>> import torch
        >>> from reglab.sigmoid_tanh_relu import tanh
        >>> tanh(torch.tensor([-1e4, 0.0, 1e4])).tolist()
        [-1.0, 0.0, 1.0]
    """
    above, below = torch.expm1(-2 * x.clamp(min=0)), torch.expm1(2 * x.clamp(max=0))
    return torch.where(x >= 0, -above / (2 + above), below / (2 + below))


def relu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Rectified linear unit.

    Formula: $\mathrm{relu}(x) = \max(0, x)$; derivative 1 for $x > 0$ and 0 for $x < 0$. At 0, where every slope from
    0 to 1 is a subgradient, torch takes 0, and so does this function. `x.clamp(min=0)` has the derivative 1 there.

    Args:
        x: any shape.

    Source:
        Nair, Hinton, Rectified Linear Units Improve Restricted Boltzmann Machines, 2010.

    Example:
        >>> import torch
        >>> from reglab.sigmoid_tanh_relu import relu
        >>> relu(torch.tensor([-2.0, 0.0, 3.0])).tolist()
        [0.0, 0.0, 3.0]
    """
    return torch.where(x > 0, x, torch.zeros_like(x))


def log_sigmoid(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Logarithm of the sigmoid, without ever computing a sigmoid that might be 0.

    Formula: $\ln\sigma(x) = -\ln(1 + \mathrm{e}^{-x})$ for $x \ge 0$ and $x - \ln(1 + \mathrm{e}^{x})$ for $x < 0$.

    Args:
        x: any shape.

    Example:
        >>> import torch
        >>> from reglab.sigmoid_tanh_relu import log_sigmoid
        >>> log_sigmoid(torch.tensor([-1e4, -200.0])).tolist()
        [-10000.0, -200.0]
    """
    above, below = x.clamp(min=0), x.clamp(max=0)
    return torch.where(x >= 0, -torch.log1p(torch.exp(-above)), below - torch.log1p(torch.exp(below)))


def bce_with_logits(logits: Float[Tensor, "*shape"], target: Float[Tensor, "*other"]) -> Float[Tensor, ""]:
    r"""Binary cross-entropy of logits, averaged over all elements.

    Formula: $-t\,\ln\sigma(z) - (1 - t)\,\ln\sigma(-z)$ with the logit $z$ and the target $t$; derivative
    $\sigma(z) - t$ for each element, however large $z$ is.

    Args:
        logits: $z$, before any sigmoid.
        target: $t$, from 0 to 1, of the same shape.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> import torch
        >>> from reglab.sigmoid_tanh_relu import bce_with_logits
        >>> bce_with_logits(torch.tensor([200.0]), torch.tensor([0.0])).item()
        200.0
    """
    if logits.shape != target.shape:
        raise ValueError(f"logits of the shape {tuple(logits.shape)} and targets of {tuple(target.shape)}")
    return (-target * log_sigmoid(logits) - (1 - target) * log_sigmoid(-logits)).mean()
