"""Soft threshold and proximal SGD: the way to minimize an L1 penalty that leaves exact zeros."""

from __future__ import annotations

from collections.abc import Callable
from typing import overload

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim.optimizer import ParamsT


def soft_threshold(w: Float[Tensor, "*shape"], threshold: float) -> Float[Tensor, "*shape"]:
    r"""Move every element towards zero by `threshold`, and to zero if it is no farther away than that.

    Formula: $S_t(w) = \operatorname{sign}(w) \max(\lvert w \rvert - t, 0)$, the minimizer over $z$ of
    $\frac{1}{2} (z - w)^2 + t \lvert z \rvert$: the proximal step of the L1 penalty. The same as `F.softshrink`.

    Args:
        w: any shape.
        threshold: $t$.

    Raises:
        ValueError: `threshold` is negative.

    Source:
        Donoho & Johnstone, Ideal Spatial Adaptation by Wavelet Shrinkage, 1994; Parikh & Boyd, Proximal Algorithms,
        2014, section 6.5.2.

    Example:
        >>> import torch
        >>> from reglab.proximal import soft_threshold
        >>> soft_threshold(torch.tensor([-3.0, -0.5, 0.25, 2.0]), 1.0).tolist()
        [-2.0, 0.0, 0.0, 1.0]
    """
    if threshold < 0:
        raise ValueError(f"the threshold is {threshold}; it must be at least 0")
    # One clamp gives what is taken off; no product of a sign and a zero, which would be -0 for negative numbers.
    return w - w.clamp(-threshold, threshold)


class ProximalSGD(torch.optim.SGD):
    r"""SGD for a loss plus an L1 penalty: a gradient step on the loss, then a soft threshold, which leaves exact zeros.

    Formula: $w \leftarrow S_{\eta\lambda}(w - \eta g)$, where $g$ is the gradient of the loss **without** the penalty,
    $\eta$ the learning rate and $\lambda$ the strength; ISTA, if $g$ is the gradient over all data.

    There is no momentum here on purpose. A soft threshold behind a step with momentum $\mu$ comes to rest where a
    penalty of $(1-\mu)\lambda$ would.

    Args:
        params: parameters or groups of them; a group may have an `l1` of its own, such as 0 for biases.
        lr: learning rate $\eta$.
        l1: strength $\lambda$ for groups that name none.

    Raises:
        ValueError: an `l1` is negative.

    Source:
        Beck & Teboulle, A Fast Iterative Shrinkage-Thresholding Algorithm, 2009, equation 1.4.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from reglab.proximal import ProximalSGD
        >>> w = nn.Parameter(torch.tensor([1.0, 0.25]))
        >>> optimizer = ProximalSGD([w], lr=0.5, l1=1.0)
        >>> w.grad = torch.zeros(2)
        >>> optimizer.step()
        >>> w.tolist()
        [0.5, 0.0]
    """

    def __init__(self, params: ParamsT, lr: float, *, l1: float = 0.0) -> None:
        super().__init__(params, lr=lr)
        for group in self.param_groups:
            group.setdefault("l1", l1)
            if group["l1"] < 0:
                raise ValueError(f"l1 is {group['l1']}; it must be at least 0")

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """A gradient step for every parameter that has a gradient, then its soft threshold."""
        loss: float | None = super().step(closure)
        for group in self.param_groups:
            for w in group["params"]:
                if w.grad is not None:
                    w.copy_(soft_threshold(w, group["lr"] * group["l1"]))
        return loss
