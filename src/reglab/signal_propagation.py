"""What becomes of a signal and of its gradient, layer by layer, in a net that has not been trained."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Signal:
    r"""What `probe` found behind each layer.

    Attributes:
        rms: root mean square of all elements of the output, $\sqrt{\overline{h^2}}$.
        std: standard deviation of all elements about their common mean; after a ReLU it is smaller than `rms`.
        cosine: mean cosine between the outputs for two different samples: 1 where all point the same way.
        gradient: root mean square of the gradient with respect to the output.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from reglab.signal_propagation import probe
        >>> signal = probe([nn.ReLU()], torch.tensor([[1.0, -1.0], [1.0, 1.0]]), torch.ones(2, 2))
        >>> round(signal.rms.item(), 3), round(signal.std.item(), 3)
        (0.866, 0.433)
    """

    rms: Float[Tensor, " layers"]
    std: Float[Tensor, " layers"]
    cosine: Float[Tensor, " layers"]
    gradient: Float[Tensor, " layers"]


def probe(
    layers: Iterable[nn.Module],
    x: Float[Tensor, "batch features"],
    upstream: Float[Tensor, "batch outputs"],
) -> Signal:
    r"""Send `x` through `layers` one after the other and `upstream` back, and measure both behind each layer.

    Formula, with $h_0 = x$ and $h_l = f_l(h_{l-1})$: the gradient behind layer $l$ is
    $\partial \langle u, h_L \rangle / \partial h_l$, where $u$ is `upstream`; for $l = L$ it is $u$ itself.

    A net that normalizes is probed as it stands, in training or in evaluation mode; its running statistics change as
    in any forward pass. The parameters' gradients are not touched.

    Args:
        layers: what counts as one layer each, such as `nn.Sequential(linear, nn.ReLU())`.
        x: a batch of at least two samples.
        upstream: the gradient at the last output.

    Raises:
        ValueError: no layer, or a batch of one, between whose samples there is no angle.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from reglab.signal_propagation import probe
        >>> net = [nn.Sequential(nn.Linear(8, 8, bias=False), nn.ReLU()) for _ in range(5)]
        >>> found = probe(net, torch.randn(4, 8), torch.ones(4, 8))
        >>> found.rms.shape, found.gradient[-1].item()
        (torch.Size([5]), 1.0)
    """
    if len(x) < 2:
        raise ValueError("the batch has one sample, and the cosine needs two")
    h = x.detach().requires_grad_()
    outputs = []
    for layer in layers:
        h = layer(h)
        outputs.append(h)
    if not outputs:
        raise ValueError("no layers to probe")
    gradients = torch.autograd.grad(h, outputs, upstream)
    with torch.no_grad():
        return Signal(
            rms=torch.stack([h.square().mean().sqrt() for h in outputs]),
            std=torch.stack([h.std(correction=0) for h in outputs]),
            cosine=torch.stack([mean_cosine(h) for h in outputs]),
            gradient=torch.stack([g.square().mean().sqrt() for g in gradients]),
        )


def mean_cosine(h: Float[Tensor, "batch features"]) -> Float[Tensor, ""]:
    r"""The cosine between two samples, averaged over all pairs of different ones.

    Formula: $\frac{1}{N(N-1)} \sum_{i \ne j} \frac{h_i \cdot h_j}{\lVert h_i \rVert \, \lVert h_j \rVert}$.

    Args:
        h: one row a sample, at least two rows.

    Example:
        >>> import torch
        >>> from reglab.signal_propagation import mean_cosine
        >>> mean_cosine(torch.tensor([[1.0, 0.0], [0.0, 3.0]])).item()
        0.0
    """
    unit = h / torch.linalg.vector_norm(h, dim=1, keepdim=True)
    others = unit.sum(0).square().sum() - len(h)  # all pairs, without those of a sample and itself
    return torch.div(others, len(h) * (len(h) - 1))


def relu_gain(weight_std: float, fan_in: int) -> float:
    r"""By what factor a linear layer without bias and a ReLU change the root mean square of a signal, on average.

    Formula: $\sqrt{n \sigma_w^2 / 2}$, with $n$ inputs and independent weights of mean 0 and variance $\sigma_w^2$. The
    half stands for the ReLU, which takes away half of a symmetric second moment. The way back has the same factor, with
    the number of outputs for $n$.

    Args:
        weight_std: $\sigma_w$.
        fan_in: $n$.

    Source:
        He, Zhang, Ren, Sun: Delving Deep into Rectifiers, 2015, arXiv:1502.01852, section 2.2.

    Example:
        >>> import math
        >>> from reglab.signal_propagation import relu_gain
        >>> round(relu_gain(math.sqrt(2 / 256), 256), 12), round(relu_gain(1.0, 256), 2)
        (1.0, 11.31)
    """
    return math.sqrt(fan_in * weight_std**2 / 2)


def log_rms_walk(depth: int, width: int) -> tuple[float, float]:
    r"""Mean and standard deviation of the logarithm of one sample's size behind `depth` layers at Kaiming's scale.

    Formula: each layer multiplies $\lVert h \rVert^2$ by $\frac{2}{n} \sum_{i=1}^{n} \mathrm{ReLU}(z_i)^2$ with
    independent standard normal $z_i$, a factor with mean 1 and variance $5/n$. The logarithm of the root mean square
    is therefore about normal for $L$ layers of $n$ units, with the mean $-\frac{5L}{4n}$ and the variance
    $\frac{5L}{4n}$.

    Args:
        depth: $L$.
        width: $n$.

    Source:
        Hanin, Nica: Products of Many Large Random Matrices and Gradients in Deep Neural Networks, 2020,
        arXiv:1812.05994.

    Example:
        >>> from reglab.signal_propagation import log_rms_walk
        >>> mean, std = log_rms_walk(depth=100, width=256)
        >>> round(mean, 3), round(std, 3)
        (-0.488, 0.699)
    """
    spread = 5 * depth / (4 * width)
    return -spread, math.sqrt(spread)


def relu_cosine(cosine: float) -> float:
    r"""The cosine between two samples behind a wide random linear layer and a ReLU, from the cosine in front of it.

    Formula: $\frac{1}{\pi} \bigl( \sqrt{1 - c^2} + c\,(\pi - \arccos c) \bigr)$.

    Args:
        cosine: $c$, from -1 to 1.

    Source:
        Cho, Saul: Kernel Methods for Deep Learning, 2009, equation 6 for the degree 1.

    Example:
        >>> from reglab.signal_propagation import relu_cosine
        >>> relu_cosine(1.0), round(relu_cosine(0.0), 4)
        (1.0, 0.3183)
    """
    return (math.sqrt(1 - cosine**2) + cosine * (math.pi - math.acos(cosine))) / math.pi


def batch_norm_relu_std(batch_size: int | None = None) -> float:
    r"""The standard deviation behind batch norm and a ReLU, for normally distributed pre-activations.

    Formula: $\sqrt{\frac{1}{2} - m^2}$ with the mean
    $m = \frac{1}{2} \sqrt{\frac{B-1}{\pi}} \; \Gamma\bigl(\tfrac{B-1}{2}\bigr) / \Gamma\bigl(\tfrac{B}{2}\bigr)$ for
    a batch of $B$, since normalized values lie on a sphere. For large batches $m$ tends to $1/\sqrt{2\pi}$.

    Args:
        batch_size: $B$, at least 2; without it, the limit of large batches.

    Raises:
        ValueError: a batch of one has no spread.

    Example:
        >>> from reglab.signal_propagation import batch_norm_relu_std
        >>> round(batch_norm_relu_std(), 4), round(batch_norm_relu_std(16), 4)
        (0.5838, 0.5792)
    """
    if batch_size is None:
        return math.sqrt(0.5 - 1 / (2 * math.pi))
    if batch_size < 2:
        raise ValueError(f"batch_size is {batch_size}; batch norm needs at least 2 values")
    gammas = math.exp(math.lgamma((batch_size - 1) / 2) - math.lgamma(batch_size / 2))
    mean = 0.5 * math.sqrt((batch_size - 1) / math.pi) * gammas
    return math.sqrt(0.5 - mean**2)
