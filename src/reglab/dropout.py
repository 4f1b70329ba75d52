"""Inverted dropout from scratch: the layer that torch calls `nn.Dropout`."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


def dropout(
    x: Float[Tensor, "*shape"], p: float = 0.5, *, training: bool = True, inplace: bool = False
) -> Float[Tensor, "*shape"]:
    r"""Set each element to zero with probability `p` and enlarge those that stay.

    Formula: $y_i = \frac{m_i}{1-p} x_i$ in training, with $m_i$ independently 1 with probability $1-p$ and 0 with
    probability $p$; otherwise $y = x$. The gradient passes the same mask:
    $\frac{\partial L}{\partial x_i} = \frac{m_i}{1-p} \frac{\partial L}{\partial y_i}$.

    The mask comes from torch's global random state, in the order in which torch draws it: after the same
    `torch.manual_seed`, `torch.nn.functional.dropout` gives the same numbers.

    Args:
        x: any shape; every element has a mask of its own.
        p: probability of dropping an element (Srivastava et al. write $p$ for the probability of keeping it).
        training: whether to drop anything at all; if not, `x` itself is returned.
        inplace: write the result into `x`, and return `x`.

    Raises:
        ValueError: `p` is no probability.

    Source:
        Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting, 2014, section 10: scaled
        in training, untouched at test time.

    Example:
        >>> import torch
        >>> from reglab.dropout import dropout
        >>> sorted(dropout(torch.ones(1000), p=0.75).unique().tolist())
        [0.0, 4.0]
        >>> dropout(torch.ones(3), p=0.75, training=False).tolist()
        [1.0, 1.0, 1.0]
    """
    if not 0 <= p <= 1:
        raise ValueError(f"p is {p}; a drop probability lies between 0 and 1")
    if not training or p == 0:
        return x
    mask = torch.empty_like(x).bernoulli_(1 - p)
    factor = mask / (1 - p) if p < 1 else mask  # all zeros at p = 1, where the formula would be 0 / 0
    return x.mul_(factor) if inplace else x * factor


class Dropout(nn.Module):
    """`dropout` as a layer: it drops in training mode and does nothing in evaluation mode.

    It has neither parameters nor buffers.

    Args:
        p: probability of dropping an element.
        inplace: overwrite the input. Refuse the temptation unless nobody else needs it: not the backward pass of the
            layer in front (ReLU, sigmoid and tanh do), and not a branch around this layer.

    Raises:
        ValueError: `p` is no probability.

    Example:
        >>> import torch
        >>> from reglab.dropout import Dropout
        >>> Dropout(p=0.9).eval()(torch.ones(3)).tolist()
        [1.0, 1.0, 1.0]
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"p is {p}; a drop probability lies between 0 and 1")
        self.p = p
        self.inplace = inplace

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The input with elements dropped, or the input itself."""
        return dropout(x, self.p, training=self.training, inplace=self.inplace)

    def extra_repr(self) -> str:
        """What `print` shows between the brackets, worded as torch does."""
        return f"p={self.p}, inplace={self.inplace}"
