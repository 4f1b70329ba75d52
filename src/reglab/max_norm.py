"""The max-norm constraint from scratch: no unit's incoming weights may be longer than a bound."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


@torch.no_grad()
def max_norm_(weight: Float[Tensor, "*shape"], max_norm: float, dim: int = 0) -> Float[Tensor, "*shape"]:
    r"""Scale down, in place, the incoming weights of every unit whose norm exceeds the bound.

    Formula: $w_j \leftarrow w_j \min(1, c / \lVert w_j \rVert_2)$ for every unit $j$: the projection onto the ball of
    radius $c$. To be called after each step of the optimizer. What `torch.renorm(weight, 2, dim, c)` returns.

    Args:
        weight: for `nn.Linear` of the shape `(units, inputs)`, for convolutions `(channels, inputs, *kernel)`.
        max_norm: $c$.
        dim: the dimension that counts the units. All others belong to one unit's weights: 0 for torch's layers.

    Returns:
        `weight` itself.

    Raises:
        ValueError: `max_norm` is not positive.

    Source:
        Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting, 2014, section 5.1.

    Example:
        >>> import torch
        >>> from reglab.max_norm import max_norm_
        >>> max_norm_(torch.tensor([[3.0, 4.0], [0.5, 0.0]]), 1.0)
        tensor([[0.6000, 0.8000],
                [0.5000, 0.0000]])
    """
    if max_norm <= 0:
        raise ValueError(f"max_norm is {max_norm}; it must be positive")
    others = [d for d in range(weight.ndim) if d != dim % weight.ndim]
    norms = torch.linalg.vector_norm(weight, dim=others, keepdim=True) if others else weight.abs()
    return weight.mul_((max_norm / norms).clamp(max=1))
