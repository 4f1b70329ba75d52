"""Single steps of SGD, SGDW, Adam and AdamW from scratch: the updates that `torch.optim` makes.

Each function updates one parameter in place, one formula a line. `state` is a dictionary that the caller keeps for that
parameter, empty before the first step. A parameter whose gradient is `None` is left alone, weight decay included.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

State = dict[str, Any]


@torch.no_grad()
def sgd_step(
    w: Float[Tensor, "*shape"],
    gradient: Float[Tensor, "*shape"] | None,
    state: State,
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
) -> None:
    r"""One step of stochastic gradient descent, with weight decay as an L2 penalty.

    Formula: $d = \pm g + \lambda w$; $v \leftarrow \mu v + (1-\tau) d$, but $v = d$ at the first step; then
    $w \leftarrow w - \eta v$, or $w \leftarrow w - \eta (d + \mu v)$ with `nesterov`.

    Args:
        w: the parameter, changed in place.
        gradient: of the loss, left as it is.
        state: keeps the velocity `v` from step to step.
        lr: learning rate $\eta$.
        momentum: $\mu$.
        dampening: $\tau$.
        weight_decay: $\lambda$ of the penalty $\frac{\lambda}{2} \lVert w \rVert^2$.
        nesterov: look one step ahead; torch asks for `momentum` above 0 and `dampening` 0 then.
        maximize: climb the loss; the penalty still pulls towards zero.

    Raises:
        ValueError: `nesterov` without momentum, or with dampening.

    Source:
        `torch.optim.SGD`; Sutskever et al., On the Importance of Initialization and Momentum in Deep Learning, 2013.

    Example:
        >>> import torch
        >>> from reglab.optimizers import sgd_step
        >>> w = torch.tensor([1.0])
        >>> sgd_step(w, torch.tensor([2.0]), {}, lr=0.25, weight_decay=1.0)
        >>> w.tolist()
        [0.25]
    """
    if nesterov and (momentum <= 0 or dampening != 0):
        raise ValueError(f"nesterov needs momentum and no dampening; got {momentum=}, {dampening=}")
    if gradient is None:
        return
    d = (-gradient if maximize else gradient) + weight_decay * w
    if momentum:
        state["v"] = momentum * state["v"] + (1 - dampening) * d if "v" in state else d
        d = d + momentum * state["v"] if nesterov else state["v"]
    w -= lr * d


@torch.no_grad()
def sgdw_step(
    w: Float[Tensor, "*shape"],
    gradient: Float[Tensor, "*shape"] | None,
    state: State,
    *,
    lr: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
) -> None:
    r"""One step of SGD with decoupled weight decay, which torch does not have.

    Formula: $w \leftarrow (1 - \eta\lambda) w$, then `sgd_step` without weight decay. Arguments as there; as in torch's
    AdamW, and not in the paper, $\lambda$ is multiplied by the whole learning rate.

    Source:
        Loshchilov & Hutter, Decoupled Weight Decay Regularization, 2019, algorithm 1.

    Example:
        >>> import torch
        >>> from reglab.optimizers import sgdw_step
        >>> w, state = torch.tensor([1.0]), {}
        >>> sgdw_step(w, torch.tensor([2.0]), state, lr=0.25, momentum=0.5, weight_decay=1.0)
        >>> w.tolist(), state["v"].tolist()
        ([0.25], [2.0])
    """
    if gradient is None:
        return
    w *= 1 - lr * weight_decay
    sgd_step(w, gradient, state, lr=lr, momentum=momentum)


@torch.no_grad()
def adam_step(
    w: Float[Tensor, "*shape"],
    gradient: Float[Tensor, "*shape"] | None,
    state: State,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> None:
    r"""One step of Adam, with weight decay as an L2 penalty.

    Formula: $d = \pm g + \lambda w$; $m \leftarrow \beta_1 m + (1-\beta_1) d$;
    $v \leftarrow \beta_2 v + (1-\beta_2) d^2$; $\hat{m} = m / (1-\beta_1^t)$; $\hat{v} = v / (1-\beta_2^t)$;
    $w \leftarrow w - \eta \hat{m} / (\sqrt{\hat{v}} + \varepsilon)$, with $t$ counting steps from 1.

    Args:
        w: the parameter, changed in place.
        gradient: of the loss, left as it is.
        state: keeps `m`, `v` and `t`.
        lr: learning rate $\eta$.
        betas: $\beta_1$ and $\beta_2$.
        eps: $\varepsilon$, outside the root.
        weight_decay: $\lambda$ of the penalty, whose gradient goes through `m` and `v` like the loss's.
        maximize: climb the loss; the penalty still pulls towards zero.

    Source:
        `torch.optim.Adam`; Kingma & Ba, Adam: A Method for Stochastic Optimization, 2015, algorithm 1.

    Example:
        >>> import torch
        >>> from reglab.optimizers import adam_step
        >>> w = torch.tensor([1.0, 1.0])
        >>> adam_step(w, torch.tensor([2.0, 2000.0]), {}, lr=0.25)
        >>> w.tolist()
        [0.75, 0.75]
    """
    if gradient is None:
        return
    beta1, beta2 = betas
    d = (-gradient if maximize else gradient) + weight_decay * w
    t = state["t"] = state.get("t", 0) + 1
    m = state["m"] = beta1 * state.get("m", 0.0) + (1 - beta1) * d
    v = state["v"] = beta2 * state.get("v", 0.0) + (1 - beta2) * d**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    w -= lr * m_hat / (v_hat.sqrt() + eps)


@torch.no_grad()
def adamw_step(
    w: Float[Tensor, "*shape"],
    gradient: Float[Tensor, "*shape"] | None,
    state: State,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
    maximize: bool = False,
) -> None:
    r"""One step of Adam with decoupled weight decay, as `torch.optim.AdamW` does it.

    Formula: $w \leftarrow (1 - \eta\lambda) w$, then `adam_step` without weight decay. Arguments as there, but the
    default of `weight_decay` is not zero.

    Source:
        `torch.optim.AdamW`; Loshchilov & Hutter, Decoupled Weight Decay Regularization, 2019, algorithm 2, whose
        $\lambda$ is multiplied by the schedule and not by the base learning rate.

    Example:
        >>> import torch
        >>> from reglab.optimizers import adamw_step
        >>> w = torch.tensor([1.0, 1.0])
        >>> adamw_step(w, torch.tensor([0.0, 2000.0]), {}, lr=0.25, weight_decay=2.0)
        >>> w.tolist()
        [0.5, 0.25]
    """
    if gradient is None:
        return
    w *= 1 - lr * weight_decay
    adam_step(w, gradient, state, lr=lr, betas=betas, eps=eps, maximize=maximize)
