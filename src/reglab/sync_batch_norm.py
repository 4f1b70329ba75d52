"""The arithmetic of synchronized batch norm: one batch's statistics and gradients from those of its shards."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def combine_statistics(
    counts: Sequence[int],
    means: Sequence[Float[Tensor, " features"]],
    variances: Sequence[Float[Tensor, " features"]],
) -> tuple[Float[Tensor, " features"], Float[Tensor, " features"]]:
    r"""Mean and variance of a whole batch from the number, mean and variance of each shard.

    Formula: $\mu = \frac{1}{N} \sum_k n_k \mu_k$ and
    $\sigma^2 = \frac{1}{N} \sum_k n_k \bigl( \sigma_k^2 + (\mu_k - \mu)^2 \bigr)$, with $N = \sum_k n_k$. All variances
    divide by their number, not by one less.

    Args:
        counts: $n_k$, how many values each shard has for a feature.
        means: $\mu_k$.
        variances: $\sigma_k^2$.

    Raises:
        ValueError: not as many counts as means and variances, or no values at all.

    Source:
        Chan, Golub, LeVeque: Algorithms for Computing the Sample Variance, 1983, The American Statistician 37 (3).

    Example:
        >>> import torch
        >>> from reglab.sync_batch_norm import combine_statistics
        >>> first, second = torch.tensor([[0.0], [2.0]]), torch.tensor([[10.0]])
        >>> mean, var = combine_statistics([2, 1], [first.mean(0), second.mean(0)], [torch.ones(1), torch.zeros(1)])
        >>> mean.item(), round(var.item(), 4), round(torch.cat([first, second]).var(correction=0).item(), 4)
        (4.0, 18.6667, 18.6667)
    """
    if not len(counts) == len(means) == len(variances):
        raise ValueError(f"{len(counts)} counts, {len(means)} means and {len(variances)} variances")
    if sum(counts) < 1:
        raise ValueError("no values in any shard")
    shares = torch.tensor(counts, dtype=means[0].dtype) / sum(counts)
    mean = shares @ torch.stack(list(means))
    variance = shares @ torch.stack([v + (m - mean).square() for m, v in zip(means, variances, strict=True)])
    return mean, variance


def sync_forward(
    shards: Sequence[Float[Tensor, "_ features"]],
    eps: float = 1e-5,
) -> tuple[list[Tensor], Float[Tensor, " features"], Float[Tensor, " features"]]:
    r"""Normalize each shard by the statistics of all, as synchronized batch norm does without its affine part.

    Formula: $\hat{x} = (x - \mu) / \sqrt{\sigma^2 + \varepsilon}$, with the $\mu$ and $\sigma^2$ of
    `combine_statistics`.

    Args:
        shards: each of the shape `(samples, features)`; the numbers of samples may differ.
        eps: ε.

    Returns:
        The normalized shards, the mean and the variance.

    Example:
        >>> import torch
        >>> from reglab.sync_batch_norm import sync_forward
        >>> shards, mean, var = sync_forward([torch.randn(6, 3), torch.randn(2, 3)])
        >>> [tuple(shard.shape) for shard in shards], abs(torch.cat(shards).mean().item()) < 1e-5
        ([(6, 3), (2, 3)], True)
    """
    means = [shard.mean(0) for shard in shards]
    variances = [shard.var(0, correction=0) for shard in shards]
    mean, variance = combine_statistics([len(shard) for shard in shards], means, variances)
    return [(shard - mean) / torch.sqrt(variance + eps) for shard in shards], mean, variance


def sync_backward(
    normalized: Sequence[Float[Tensor, "_ features"]],
    upstream: Sequence[Float[Tensor, "_ features"]],
    variance: Float[Tensor, " features"],
    eps: float = 1e-5,
) -> list[Tensor]:
    r"""The gradient for each shard of `sync_forward`'s input, from two sums over all shards.

    Formula: $\frac{\partial L}{\partial x} = \frac{1}{\sqrt{\sigma^2 + \varepsilon}} \Bigl( g - \frac{1}{N} \sum g -
    \hat{x}\,\frac{1}{N} \sum g \hat{x} \Bigr)$, where $g = \partial L / \partial \hat{x}$ and both sums run over all
    samples of all shards.

    Args:
        normalized: $\hat{x}$, what `sync_forward` returned.
        upstream: $g$, one tensor a shard.
        variance: $\sigma^2$, likewise.
        eps: ε, as in the forward pass.

    Example:
        >>> import torch
        >>> from reglab.sync_batch_norm import sync_backward, sync_forward
        >>> normalized, _, var = sync_forward([torch.randn(6, 3), torch.randn(2, 3)])
        >>> gradients = sync_backward(normalized, [torch.randn(6, 3), torch.randn(2, 3)], var)
        >>> abs(torch.cat(gradients).sum(0).max().item()) < 1e-5
        True
    """
    total = sum(len(shard) for shard in normalized)
    pairs = list(zip(upstream, normalized, strict=True))
    # What the processes exchange on the way back: two numbers for each feature.
    mean_g = torch.stack([g.sum(0) for g, _ in pairs]).sum(0) / total
    mean_gx = torch.stack([(g * x).sum(0) for g, x in pairs]).sum(0) / total
    return [(g - mean_g - x * mean_gx) / torch.sqrt(variance + eps) for g, x in pairs]
