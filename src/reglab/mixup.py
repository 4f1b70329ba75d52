"""Mixup from scratch: training on mixtures of two samples and of their targets."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def mixup(
    x: Float[Tensor, "n ..."],
    targets: Float[Tensor, "n k"],
    alpha: float,
) -> tuple[Float[Tensor, "n ..."], Float[Tensor, "n k"]]:
    r"""Mix every sample of a batch with another one, and their targets in the same proportion.

    Formula: $\tilde{x}_i = \lambda x_i + (1-\lambda) x_{\pi(i)}$ and
    $\tilde{t}_i = \lambda t_i + (1-\lambda) t_{\pi(i)}$, with one $\lambda \sim \mathrm{Beta}(\alpha, \alpha)$ and one
    random permutation $\pi$ for the batch, as in the paper's code. Both come from torch's global generator.

    Args:
        x: a batch of samples of any shape.
        targets: probabilities of the classes: one-hot rows or smoothed ones. Class numbers cannot be mixed.
        alpha: $\alpha$; the smaller, the nearer $\lambda$ is to 0 or 1, and the less is mixed.

    Returns:
        The mixed samples and the mixed targets.

    Raises:
        ValueError: `alpha` is not positive.

    Source:
        Zhang et al., mixup: Beyond Empirical Risk Minimization, 2018, equation 2.

    Example:
        >>> import torch
        >>> from reglab.mixup import mixup
        >>> _ = torch.manual_seed(0)
        >>> x, targets = mixup(torch.tensor([[0.0], [1.0]]), torch.eye(2), alpha=1.0)
        >>> torch.allclose(x[:, 0], targets[:, 1]), torch.allclose(targets.sum(1), torch.ones(2))
        (True, True)
    """
    if alpha <= 0:
        raise ValueError(f"alpha is {alpha}; it must be positive")
    share = torch.distributions.Beta(alpha, alpha).sample().to(x)
    other = torch.randperm(len(x), device=x.device)
    return share * x + (1 - share) * x[other], share * targets + (1 - share) * targets[other]
