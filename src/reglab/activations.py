"""PReLU and its relatives from scratch: equal to torch forwards and backwards, at zero and far out."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reglab.sigmoid_tanh_relu import sigmoid, tanh


def leaky_relu(x: Float[Tensor, "*shape"], negative_slope: float = 0.01) -> Float[Tensor, "*shape"]:
    r"""ReLU with a small constant slope on the negative side.

    Formula: $\max(0, x) + a\,\min(0, x)$ with $a$ = `negative_slope`; the derivative at 0 is $a$, as in torch.

    Args:
        x: any shape.
        negative_slope: $a$.

    Source:
        Maas, Hannun, Ng, Rectifier Nonlinearities Improve Neural Network Acoustic Models, 2013.

    Example:
        >>> import torch
        >>> from reglab.activations import leaky_relu
        >>> leaky_relu(torch.tensor([-2.0, 0.0, 3.0]), 0.5).tolist()
        [-1.0, 0.0, 3.0]
    """
    return torch.where(x > 0, x, negative_slope * x)


def prelu(x: Float[Tensor, "*shape"], weight: Float[Tensor, " slopes"]) -> Float[Tensor, "*shape"]:
    r"""Leaky ReLU whose slope is learned, one for all or one for each channel.

    Formula: $y = \max(0, x) + a_c\,\min(0, x)$, where $c$ is the channel of $x$, its index along dimension 1.
    Derivatives: $\frac{\partial y}{\partial x}$ is 1 for $x > 0$ and $a_c$ otherwise, and $\frac{\partial L}{\partial
    a_c} = \sum \frac{\partial L}{\partial y}\,\min(0, x)$ over all samples and positions of channel $c$; with a single
    slope, over all channels too.

    Args:
        x: `(N, C, *)`; any shape if there is one slope.
        weight: the slopes $a$, one or $C$.

    Raises:
        ValueError: there are several slopes, and not as many as channels.

    Source:
        He et al., Delving Deep into Rectifiers, 2015, arXiv:1502.01852, equations 1, 8 and 9.

    Example:
        >>> import torch
        >>> from reglab.activations import prelu
        >>> prelu(torch.tensor([[-2.0, -2.0, 3.0]]), torch.tensor([0.5, 0.25, 7.0])).tolist()
        [[-1.0, -0.5, 3.0]]
    """
    if len(weight) > 1:
        channels = x.shape[1] if x.dim() > 1 else 1
        if len(weight) != channels:
            raise ValueError(f"{len(weight)} slopes for {channels} channels; dimension 1 of {tuple(x.shape)} counts")
        weight = weight.view(-1, *[1] * (x.dim() - 2))  # along dimension 1
    return torch.where(x > 0, x, weight * x)


def elu(x: Float[Tensor, "*shape"], alpha: float = 1.0) -> Float[Tensor, "*shape"]:
    r"""Exponential linear unit.

    Formula: $x$ for $x > 0$ and $\alpha\,(\mathrm{e}^{x} - 1)$ for $x \le 0$. The derivative comes to $\alpha$ from the
    left and to 1 from the right of 0, where it is $\alpha$, as in torch.

    Args:
        x: any shape.
        alpha: $\alpha$; the function saturates at $-\alpha$.

    Source:
        Clevert, Unterthiner, Hochreiter, Fast and Accurate Deep Network Learning by Exponential Linear Units, 2016,
        arXiv:1511.07289, equation 4.

    Example:
        >>> import torch
        >>> from reglab.activations import elu
        >>> elu(torch.tensor([-1e4, 0.0, 1e4]), alpha=2.0).tolist()
        [-2.0, 0.0, 10000.0]
    """
    return torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0)))


def celu(x: Float[Tensor, "*shape"], alpha: float = 1.0) -> Float[Tensor, "*shape"]:
    r"""ELU made smooth: its derivative is continuous at 0 for every $\alpha$.

    Formula: $x$ for $x > 0$ and $\alpha\,(\mathrm{e}^{x/\alpha} - 1)$ for $x \le 0$.

    Args:
        x: any shape.
        alpha: $\alpha$; the function saturates at $-\alpha$.

    Source:
        Barron, Continuously Differentiable Exponential Linear Units, 2017, arXiv:1704.07483, equation 2.

    Example:
        >>> import torch
        >>> from reglab.activations import celu
        >>> celu(torch.tensor([-1e4, 0.0, 1e4]), alpha=2.0).tolist()
        [-2.0, 0.0, 10000.0]
    """
    return torch.where(x > 0, x, alpha * torch.expm1((x / alpha).clamp(max=0)))


def softplus(x: Float[Tensor, "*shape"], beta: float = 1.0, threshold: float = 20.0) -> Float[Tensor, "*shape"]:
    r"""A smooth ReLU, whose derivative is a sigmoid.

    Formula: $\frac{1}{\beta} \ln(1 + \mathrm{e}^{\beta x})$, and $x$ itself where $\beta x$ > `threshold`, as in torch.

    Args:
        x: any shape.
        beta: $\beta$; the larger, the nearer to ReLU.
        threshold: of $\beta x$, not of $x$.

    Example:
        >>> import torch
        >>> from reglab.activations import softplus
        >>> softplus(torch.tensor([-1e4, 1e4])).tolist()
        [0.0, 10000.0]
    """
    scaled = beta * x
    return torch.where(scaled > threshold, x, torch.log1p(torch.exp(scaled.clamp(max=threshold))) / beta)


def gelu(x: Float[Tensor, "*shape"], approximate: str = "none") -> Float[Tensor, "*shape"]:
    r"""Gaussian error linear unit: the input times the probability that a standard normal number is below it.

    Formula: $x\,\Phi(x)$ with $\Phi(x) = \frac{1}{2}\operatorname{erfc}(-x / \sqrt{2})$; with `approximate="tanh"`,
    $\frac{x}{2}\bigl(1 + \tanh(\sqrt{2/\pi}\,(x + 0.044715\,x^3))\bigr)$.

    Args:
        x: any shape.
        approximate: `"none"` or `"tanh"`.

    Raises:
        ValueError: `approximate` is something else.

    Source:
        Hendrycks, Gimpel, Gaussian Error Linear Units, 2016, arXiv:1606.08415, section 2.

    Example:
        >>> import torch
        >>> from reglab.activations import gelu
        >>> gelu(torch.tensor([-1e4, 0.0, 1e4])).tolist()
        [-0.0, 0.0, 10000.0]
    """
    if approximate == "none":
        return x * torch.erfc(-x / math.sqrt(2)) / 2
    if approximate == "tanh":
        return x / 2 * (1 + tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    raise ValueError(f"approximate is {approximate!r}; it must be 'none' or 'tanh'")


def silu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Sigmoid linear unit, also known as Swish with $\beta = 1$.

    Formula: $x\,\sigma(x)$ with the sigmoid $\sigma$.

    Args:
        x: any shape.

    Source:
        Elfwing, Uchibe, Doya, Sigmoid-Weighted Linear Units, 2018, arXiv:1702.03118; Ramachandran, Zoph, Le, Searching
        for Activation Functions, 2017, arXiv:1710.05941.

    Example:
        >>> import torch
        >>> from reglab.activations import silu
        >>> silu(torch.tensor([-1e4, 0.0, 1e4])).tolist()
        [-0.0, 0.0, 10000.0]
    """
    return x * sigmoid(x)


def mish(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Self-gated by the tanh of a softplus.

    Formula: $x \tanh(\ln(1 + \mathrm{e}^{x}))$.

    Args:
        x: any shape.

    Source:
        Misra, Mish: A Self Regularized Non-Monotonic Activation Function, 2019, arXiv:1908.08681.

    Example:
        >>> import torch
        >>> from reglab.activations import mish
        >>> mish(torch.tensor([-1e4, 0.0, 1e4])).tolist()
        [-0.0, 0.0, 10000.0]
    """
    return x * tanh(softplus(x))


def hardswish(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""SiLU with straight pieces for a sigmoid.

    Formula: $\frac{x}{6}\,\min(\max(0, x + 3), 6)$. The derivative at -3 is 0 and at 3 is 1, as in torch.

    Args:
        x: any shape.

    Source:
        Howard et al., Searching for MobileNetV3, 2019, arXiv:1905.02244, section 5.2.

    Example:
        >>> import torch
        >>> from reglab.activations import hardswish
        >>> hardswish(torch.tensor([-3.0, 0.0, 3.0])).tolist()
        [0.0, 0.0, 3.0]
    """
    middle = x / 6 * (x.clamp(-3, 3) + 3)
    return torch.where(x <= -3, torch.zeros_like(x), torch.where(x < 3, middle, x))


class PReLU(nn.Module):
    """`prelu` as a layer, with torch's argument names and its one parameter.

    Args:
        num_parameters: 1 for a slope that all channels share, or the number of channels for one each.
        init: what all slopes start from.

    Attributes:
        weight: the slopes, `(num_parameters,)`.

    Raises:
        ValueError: the input has another number of channels.

    Example:
        >>> import torch
        >>> from reglab.activations import PReLU
        >>> PReLU(16)(torch.randn(8, 16, 5, 5)).shape, PReLU().weight.tolist()
        (torch.Size([8, 16, 5, 5]), [0.25])
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((num_parameters,), init))

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The activation of every element."""
        return prelu(x, self.weight)
