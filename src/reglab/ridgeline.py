"""Ridgeline plots: how a distribution moves while a net learns."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from torch import Tensor

BINS = 400
POINTS = 41


def density(values: Tensor, *, span: tuple[float, float]) -> tuple[Float[Tensor, " points"], Float[Tensor, " points"]]:
    r"""Kernel density estimate of `values` where there are any, with its largest value scaled to 1.

    Formula: $\hat p(a) \propto \sum_i \exp\bigl(-(a - v_i)^2 / 2 h^2\bigr)$ with Scott's bandwidth
    $h = \sigma n^{-1/5}$.

    The values are counted in narrow bins first, so that 40,000 of them cost no more than 200, and the bandwidth is at
    least the width of a bin.

    Args:
        values: any shape.
        span: what part of the axis to look at; values outside of it count for nothing.

    Returns:
        `POINTS` places, evenly spaced from three bandwidths below the smallest value in the span to three above the
        largest (but not out of the span), and the density there.

    Raises:
        ValueError: no value lies within the span.

    Source:
        Scott, Multivariate Density Estimation, 1992, section 6.5.

    Example:
        >>> import torch
        >>> from reglab.ridgeline import density
        >>> at, height = density(torch.zeros(5), span=(-1, 1))
        >>> round(at[height.argmax()].item(), 2), height.max().item()
        (0.0, 1.0)
    """
    low, high = span
    values = values.flatten()
    values = values[(values >= low) & (values <= high)]
    if values.numel() == 0:
        raise ValueError(f"no value lies between {low:g} and {high:g}")
    width = (high - low) / BINS
    centres = torch.linspace(low + width / 2, high - width / 2, BINS)
    counts = torch.histc(values, bins=BINS, min=low, max=high)
    bandwidth = max(float(values.std(correction=0)) * values.numel() ** (-1 / 5), width)
    first = max(float(values.min()) - 3 * bandwidth, low)
    last = min(float(values.max()) + 3 * bandwidth, high)
    at = torch.linspace(first, last, POINTS)
    kernel = torch.exp(-(((at[:, None] - centres[None, :]) / bandwidth) ** 2) / 2)  # (points, bins)
    smooth = kernel @ counts
    return at, smooth / smooth.max()


def ridgeline(
    ax: Axes,
    rows: Sequence[Tensor],
    *,
    span: tuple[float, float],
    color: str,
    label: str,
    height: float = 1.8,
    filled: bool = False,
) -> None:
    """Draw one density above the other, the first row at the top, each from its own baseline 0, -1, -2, …

    All ridges are equally high: their **width** is what there is to compare.

    Args:
        ax: where to draw; call it again on the same axes to lay a second series over the first.
        rows: the values of each ridge.
        span: what part of the horizontal axis to draw.
        color: of line and filling.
        label: for the legend.
        height: of a ridge, in distances between baselines; above 1 they overlap.
        filled: whether to fill the ridges.

    Example:
        >>> import matplotlib.pyplot as plt, torch
        >>> from reglab.ridgeline import ridgeline
        >>> figure, ax = plt.subplots()
        >>> ridgeline(ax, [torch.randn(99), torch.randn(99) / 2], span=(-3, 3), color="C0", label="weights")
        >>> len(ax.lines)
        2
    """
    for index, values in enumerate(rows):
        at, dense = density(values, span=span)
        top = -index + height * dense
        if filled:
            ax.fill(at, top, color=color, alpha=0.25, linewidth=0)
        ax.plot(at, top, color=color, linestyle="-", marker="", linewidth=1, label=None if index else label)
    ax.set_xlim(*span)
