"""How large the weights must be for an activation function, by an integral over the normal distribution."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

Function = Callable[[Tensor], Tensor]

_LIMIT, _NODES = 12, 20


def _rule() -> tuple[Float64[Tensor, " nodes"], Float64[Tensor, " nodes"]]:
    """Gauss-Legendre on every interval between integers, so that a kink at an integer does no harm."""
    nodes, weights = (torch.from_numpy(array) for array in np.polynomial.legendre.leggauss(_NODES))
    starts = torch.arange(-_LIMIT, _LIMIT, dtype=torch.float64)
    z = (starts[:, None] + (nodes + 1) / 2).flatten()
    mass = (weights / 2).repeat(2 * _LIMIT) * torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    return z, mass


def normal_mean(function: Function, std: float = 1.0) -> float:
    r"""The expectation of a function of a normal number with mean 0.

    Formula: $\operatorname{E}[f(s z)]$ for standard normal $z$, by quadrature between -12 and 12, beyond which the
    density is below $10^{-31}$. Functions with kinks at whole numbers of $z$ only are integrated to about 15 digits.

    Args:
        function: $f$, for tensors in float64.
        std: $s$.

    Example:
        >>> import torch
        >>> from reglab.gain import normal_mean
        >>> round(normal_mean(torch.relu), 6), round(normal_mean(torch.square), 6)
        (0.398942, 1.0)
    """
    z, mass = _rule()
    return float((mass * function(std * z)).sum())


def gain(function: Function, *, centred: bool = False) -> float:
    r"""The gain that keeps the mean square of standard normal sums from layer to layer.

    Formula: $g = \operatorname{E}[f(z)^2]^{-1/2}$; weights with the standard deviation $g / \sqrt{n}$ behind $n$ such
    activations give sums of mean square 1 again. For leaky ReLU this is $\sqrt{2 / (1 + a^2)}$, and what
    `torch.nn.init.calculate_gain` returns; it knows neither GELU nor SiLU, Mish, ELU or Softplus.

    With `centred`, the mean is taken off first, as biases $-\operatorname{E}[f(z)] \sum_j w_{ij}$ do:
    $g = \operatorname{Var}[f(z)]^{-1/2}$.

    Args:
        function: $f$, for tensors in float64.
        centred: whether biases cancel the mean of $f(z)$.

    Raises:
        ValueError: the function is 0 everywhere, or constant where it is to be centred.

    Source:
        He et al., Delving Deep into Rectifiers, 2015, arXiv:1502.01852, section 2.2, there for ReLU and PReLU.

    Example:
        >>> import torch
        >>> from reglab.gain import gain
        >>> round(gain(torch.relu), 6), round(gain(torch.nn.functional.gelu), 4)
        (1.414214, 1.5335)
    """
    mean = normal_mean(function) if centred else 0.0
    square = normal_mean(lambda z: (function(z) - mean) ** 2)
    if square < 1e-20:
        raise ValueError("the function is constant on all that a normal distribution reaches: no gain helps")
    return 1 / math.sqrt(square)
