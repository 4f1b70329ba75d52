"""The two penalties on weights, to be added to a loss."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor


def l1_penalty(parameters: Iterable[Tensor]) -> Float[Tensor, ""]:
    r"""The sum of absolute values over all elements of all parameters.

    Formula: $\sum_i \lvert w_i \rvert$. Autograd gives it the subgradient $\operatorname{sign}(w_i)$, which is 0 at 0.
    Multiply by the strength $\lambda$, and pass the weights alone: biases need no penalty.

    Args:
        parameters: tensors of any shapes; `net.parameters()` may be passed directly.

    Raises:
        ValueError: there is no parameter, perhaps because a generator had been used up before.

    Example:
        >>> import torch
        >>> from reglab.penalties import l1_penalty
        >>> l1_penalty([torch.tensor([[1.0, -2.0]]), torch.tensor([-0.5])]).item()
        3.5
    """
    return _sum(w.abs().sum() for w in parameters)


def l2_penalty(parameters: Iterable[Tensor]) -> Float[Tensor, ""]:
    r"""Half the sum of squares over all elements of all parameters.

    Formula: $\frac{1}{2} \sum_i w_i^2$, whose gradient is $w$. With plain SGD, $\lambda$ times this in the loss does
    the same as `weight_decay=λ` in the optimizer.

    Args:
        parameters: tensors of any shapes; `net.parameters()` may be passed directly.

    Raises:
        ValueError: there is no parameter, perhaps because a generator had been used up before.

    Example:
        >>> import torch
        >>> from reglab.penalties import l2_penalty
        >>> l2_penalty([torch.tensor([[1.0, -2.0]]), torch.tensor([-1.0])]).item()
        3.0
    """
    return _sum(w.square().sum() for w in parameters) / 2


def _sum(terms: Iterable[Tensor]) -> Tensor:
    found = list(terms)
    if not found:
        raise ValueError("there is no parameter to penalize; was the generator used before?")
    return torch.stack(found).sum()
