"""Label smoothing from scratch: targets that leave a little probability to every class."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def smooth_targets(labels: Int64[Tensor, "*shape"], num_classes: int, smoothing: float) -> Float[Tensor, "*shape k"]:
    r"""Mix the one-hot targets with the uniform distribution.

    Formula: $t_k = (1-\varepsilon)\,[k = y] + \varepsilon / K$. The right class keeps
    $1 - \varepsilon + \varepsilon/K$, which is more than $1 - \varepsilon$.

    Args:
        labels: the right class $y$ of each sample.
        num_classes: $K$.
        smoothing: $\varepsilon$, from 0 to 1.

    Returns:
        Targets of the shape of `labels` with one more dimension, of `num_classes`; each row sums to 1.

    Raises:
        ValueError: `smoothing` is not within 0 and 1.

    Source:
        Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2016, section 7.

    Example:
        >>> import torch
        >>> from reglab.label_smoothing import smooth_targets
        >>> smooth_targets(torch.tensor([1]), 4, 0.5).tolist()
        [[0.125, 0.625, 0.125, 0.125]]
    """
    _check(smoothing)
    one_hot = torch.nn.functional.one_hot(labels, num_classes).to(torch.get_default_dtype())
    return (1 - smoothing) * one_hot + smoothing / num_classes


def smoothed_cross_entropy(
    logits: Float[Tensor, "n k"],
    labels: Int64[Tensor, " n"],
    smoothing: float,
) -> Float[Tensor, ""]:
    r"""The mean cross entropy with smoothed targets, as `nn.CrossEntropyLoss(label_smoothing=…)` computes it.

    Formula: $-\frac{1}{N} \sum_n \sum_k t_{nk} \log p_{nk}$ with $p_n$ the softmax of row $n$, and
    $t$ as `smooth_targets` gives it; the same as $(1-\varepsilon)$ times the plain cross entropy plus $\varepsilon$
    times the mean of $-\log p_{nk}$ over all classes.

    Args:
        logits: what the network puts out, before any softmax.
        labels: the right class of each sample.
        smoothing: $\varepsilon$, from 0 to 1.

    Raises:
        ValueError: `smoothing` is not within 0 and 1.

    Example:
        >>> import torch
        >>> from reglab.label_smoothing import smoothed_cross_entropy
        >>> logits, labels = torch.tensor([[2.0, -1.0, 0.5]]), torch.tensor([0])
        >>> ours = smoothed_cross_entropy(logits, labels, 0.1)
        >>> torch.isclose(ours, torch.nn.CrossEntropyLoss(label_smoothing=0.1)(logits, labels)).item()
        True
    """
    _check(smoothing)
    log_p = logits - logits.logsumexp(dim=1, keepdim=True)  # (n, k)
    right = log_p.gather(1, labels.unsqueeze(1)).mean()
    return -(1 - smoothing) * right - smoothing * log_p.mean()


def optimal_logit_gap(num_classes: int, smoothing: float) -> float:
    r"""How far the right class's logit stands above the others where the smoothed loss is lowest.

    Formula: $\log\frac{1-\varepsilon+\varepsilon/K}{\varepsilon/K}$; infinite without smoothing.

    Args:
        num_classes: $K$.
        smoothing: $\varepsilon$, from 0 to 1.

    Raises:
        ValueError: `smoothing` is not within 0 and 1.

    Example:
        >>> from reglab.label_smoothing import optimal_logit_gap
        >>> round(optimal_logit_gap(10, 0.1), 3)
        4.511
    """
    _check(smoothing)
    others = smoothing / num_classes
    return math.log((1 - smoothing + others) / others) if others else math.inf


def _check(smoothing: float) -> None:
    if not 0 <= smoothing <= 1:
        raise ValueError(f"smoothing is {smoothing}; it must be from 0 to 1")
