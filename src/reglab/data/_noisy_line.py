"""A straight line with noise: the smallest data that a large network overfits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float32
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Points:
    """Points of a plane, as a regression net takes them.

    Attributes:
        x: inputs, one column.
        y: targets, one column.

    Example:
        >>> import torch
        >>> from reglab.data import Points
        >>> Points(x=torch.zeros(3, 1), y=torch.ones(3, 1)).y.shape
        torch.Size([3, 1])
    """

    x: Float32[Tensor, "n 1"]
    y: Float32[Tensor, "n 1"]


def noisy_line(
    num_points: int = 10,
    *,
    slope: float = 1.5,
    train_noise: float = 0.5,
    test_noise: float = 0.3,
    seed: int,
) -> tuple[Points, Points]:
    r"""Training and test points around one line through the origin.

    Formula: $y_i = \text{slope} \cdot x_i + \varepsilon_i$ with $\varepsilon_i \sim \mathcal{N}(0, \text{noise}^2)$
    and $x_i$ evenly spaced on $[-1, 1]$.

    Both sets have **the same x**: the test set is a second draw of the noise, not of the inputs. A model is measured
    against points that it has seen the x of, so a low test error says little about what it does between the points;
    compare it with the true line `slope * x` as well.

    The numbers come from a generator of their own: torch's global random state is neither read nor changed.

    Args:
        num_points: how many points each set has.
        slope: of the true line.
        train_noise: standard deviation of the noise on the training targets.
        test_noise: standard deviation of the noise on the test targets.
        seed: of the noise; training noise is drawn first.

    Returns:
        `(train, test)`; in each, `x` and `y` have the shape `(num_points, 1)`.

    Raises:
        ValueError: fewer than two points (they would not span the interval), or a negative noise.

    Source:
        `gen_data` in the posts on weight decay and dropout, which this site began with; its noise came from the global
        random state.

    Example:
        >>> from reglab.data import noisy_line
        >>> train, test = noisy_line(num_points=5, seed=1)
        >>> train.x.flatten().tolist()
        [-1.0, -0.5, 0.0, 0.5, 1.0]
        >>> train.x.equal(test.x), train.y.equal(test.y)
        (True, False)
    """
    if num_points < 2:
        raise ValueError(f"num_points is {num_points}; a line needs at least 2")
    if train_noise < 0 or test_noise < 0:
        raise ValueError(f"noise is a standard deviation, at least 0; got {train_noise} and {test_noise}")
    generator = torch.Generator().manual_seed(seed)
    x = torch.linspace(-1, 1, num_points).unsqueeze(1)  # (num_points, 1)

    def draw(noise: float) -> Points:
        return Points(x.clone(), slope * x + noise * torch.randn(x.shape, generator=generator))

    return draw(train_noise), draw(test_noise)
