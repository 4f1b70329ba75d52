"""Spectral normalization from scratch, and what a convolution's largest factor really is."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


def power_iteration(
    matrix: Float[Tensor, "rows columns"],
    u: Float[Tensor, " rows"],
    num_steps: int,
) -> tuple[Float[Tensor, " rows"], Float[Tensor, " columns"], Float[Tensor, ""]]:
    r"""Approach the largest singular value of a matrix, and its two singular vectors.

    Formula, a step: $v \leftarrow \frac{W^\top u}{\lVert W^\top u \rVert}$, then
    $u \leftarrow \frac{W v}{\lVert W v \rVert}$; the singular value is about $\sigma = u^\top W v$, never too large.
    After $t$ steps the error has shrunk like $(\sigma_2/\sigma_1)^{2t}$.

    Args:
        matrix: $W$.
        u: where to start; it must not be orthogonal to the singular vector, which a random one never is.
        num_steps: at least 1.

    Raises:
        ValueError: `num_steps` is below 1.

    Returns:
        $u$, $v$ and $\sigma$. No gradient flows through $u$ and $v$; it does through $\sigma$.

    Source:
        Miyato, Kataoka, Koyama, Yoshida: Spectral Normalization for Generative Adversarial Networks, 2018,
        arXiv:1802.05957, algorithm 1.

    Example:
        >>> import torch
        >>> from reglab.spectral_norm import power_iteration
        >>> u, v, sigma = power_iteration(torch.diag(torch.tensor([3.0, 1.0])), torch.tensor([0.6, 0.8]), 10)
        >>> round(sigma.item(), 4)
        3.0
    """
    if num_steps < 1:
        raise ValueError(f"num_steps is {num_steps}; it must be at least 1")
    with torch.no_grad():
        for _ in range(num_steps):
            v = F.normalize(matrix.T @ u, dim=0)
            u = F.normalize(matrix @ v, dim=0)
    return u, v, u @ matrix @ v


class SpectralNorm(nn.Module):
    r"""A weight divided by its largest singular value: what `torch.nn.utils.parametrizations.spectral_norm` registers.

    Formula: $w = W / \sigma(W)$. For more than two dimensions, $W$ is reshaped to a matrix with one row an output.

    In training mode each forward pass first takes one step of power iteration; in evaluation mode none.

    Args:
        weight: of the layer, for the shapes and the first 15 steps.
        n_power_iterations: steps for each forward pass in training mode.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from torch.nn.utils.parametrize import register_parametrization
        >>> from reglab.spectral_norm import SpectralNorm
        >>> layer = nn.Linear(20, 20)
        >>> layer = register_parametrization(layer, "weight", SpectralNorm(layer.weight))
        >>> for _ in range(200):
        ...     weight = layer.weight  # looking at it in training mode is a forward pass
        >>> round(torch.linalg.matrix_norm(weight, 2).item(), 3)
        1.0
    """

    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Float[Tensor, "outputs inputs *kernel"], n_power_iterations: int = 1) -> None:
        super().__init__()
        self.n_power_iterations = n_power_iterations
        matrix = weight.detach().flatten(1)
        start = F.normalize(torch.randn(len(matrix), dtype=matrix.dtype), dim=0)
        u, v, _ = power_iteration(matrix, start, 15)
        self.register_buffer("_u", u)
        self.register_buffer("_v", v)

    def forward(self, weight: Float[Tensor, "outputs inputs *kernel"]) -> Float[Tensor, "outputs inputs *kernel"]:
        """The weight with a largest singular value of about 1."""
        matrix = weight.flatten(1)
        if self.training:
            with torch.no_grad():
                for _ in range(self.n_power_iterations):
                    # The order of torch: u first, from the v of last time.
                    self._u = F.normalize(matrix @ self._v, dim=0)
                    self._v = F.normalize(matrix.T @ self._u, dim=0)
        return weight / (self._u @ matrix @ self._v)


def conv_operator_norm(
    weight: Float[Tensor, "outputs inputs height width"],
    image_size: int,
    *,
    padding: int = 0,
    num_steps: int = 200,
) -> float:
    r"""The largest factor by which a convolution of square images with stride 1 can lengthen its input.

    Formula: $\max_x \lVert w * x \rVert / \lVert x \rVert$ over images $x$, by power iteration with the convolution and
    its transpose. It lies between the spectral norm of the reshaped weight over the square root of the kernel's size
    and that norm times the square root.

    Args:
        weight: of an `nn.Conv2d`.
        image_size: height and width of the input.
        padding: zeros around the input.
        num_steps: of the power iteration.

    Example:
        >>> import torch
        >>> from reglab.spectral_norm import conv_operator_norm
        >>> round(conv_operator_norm(torch.full((1, 1, 3, 3), 1 / 9), 32, padding=1), 2)  # a blur keeps flat images
        0.99
    """
    x = torch.randn(1, weight.shape[1], image_size, image_size, dtype=weight.dtype)
    size = 0.0
    with torch.no_grad():
        for _ in range(num_steps):
            x = x / torch.linalg.vector_norm(x)
            y = F.conv2d(x, weight, padding=padding)
            size = torch.linalg.vector_norm(y).item()
            x = F.conv_transpose2d(y, weight, padding=padding)
    return size
