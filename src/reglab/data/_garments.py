"""Ten classes of clothes, drawn: what stands in for Fashion-MNIST where that is not present."""

from __future__ import annotations

import torch
from jaxtyping import Float32
from torch import Tensor

from reglab.data._cloth import cloth
from reglab.data._clothes import coat, dress, pullover, shirt, t_shirt, trouser
from reglab.data._image_set import GARMENT_CLASSES, ImageSet
from reglab.data._pencil import MIDDLE, Pencil
from reglab.data._raster import SIZE, filled, stroked
from reglab.data._shoes_and_bags import ankle_boot, bag, sandal, sneaker

SILHOUETTES = (t_shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle_boot)  # by label


def garments(num_per_class: int, *, seed: int) -> ImageSet:
    """Pictures like those of Fashion-MNIST, with its ten classes, drawn from outlines with random shape and cloth.

    A picture is a silhouette whose corners, place, size, slant, brightness, pattern and grain vary at random: 28×28
    grey pixels on black. A linear classifier gets clearly fewer right than a small convolutional network, and pullover,
    coat, shirt and T-shirt are the hard ones, as in the real data; the rest of the resemblance ends there, so numbers
    measured on one say nothing about the other.

    The numbers come from a generator of their own: torch's global random state is neither read nor changed.

    Args:
        num_per_class: how many pictures of each class.
        seed: of everything random.

    Returns:
        `10 * num_per_class` pictures of the shape `(n, 1, 28, 28)` with brightness from 0 to 1, in random order.

    Raises:
        ValueError: `num_per_class` is below 1.

    Source:
        Drawn for this site; classes and format as in Xiao, Rasul, Vollgraf: Fashion-MNIST, 2017, arXiv:1708.07747.

    Example:
        >>> from reglab.data import garments
        >>> pictures = garments(3, seed=0)
        >>> pictures.images.shape, pictures.labels.bincount().tolist()
        (torch.Size([30, 1, 28, 28]), [3, 3, 3, 3, 3, 3, 3, 3, 3, 3])
    """
    if num_per_class < 1:
        raise ValueError(f"num_per_class is {num_per_class}; it must be at least 1")
    generator = torch.Generator().manual_seed(seed)
    pictures = torch.cat([_draw(label, num_per_class, generator) for label in range(len(SILHOUETTES))])
    labels = torch.arange(len(SILHOUETTES)).repeat_interleave(num_per_class)
    order = torch.randperm(len(labels), generator=generator)
    return ImageSet(pictures[order].unsqueeze(1), labels[order], GARMENT_CLASSES, "garments")


def _draw(label: int, num: int, generator: torch.Generator) -> Float32[Tensor, "n 28 28"]:
    """`num` pictures of one class."""
    pencil = Pencil(num, generator)
    parts = SILHOUETTES[label](pencil)
    stretch, shift = _place(pencil)
    picture = torch.zeros(num, SIZE, SIZE)
    for part in parts:
        wobble = 0.3 * torch.randn(part.points.shape, generator=generator)
        points = (part.points + wobble - MIDDLE) @ stretch + MIDDLE + shift
        cover = filled(points) if part.width is None else stroked(points, part.width)
        picture += cover * (part.light[:, None, None] - picture)
    return (picture * cloth(pencil)).clamp(0, 1)


def _place(p: Pencil) -> tuple[Float32[Tensor, "n 2 2"], Float32[Tensor, "n 1 2"]]:
    """How each picture is turned, slanted and scaled about its middle, and how far it is then moved."""
    angle, slant = p.between(-0.16, 0.16), p.between(-0.12, 0.12)
    wide, high = p.between(0.74, 0.98), p.between(0.74, 0.98)
    stretch = torch.stack(
        [
            torch.stack([wide * angle.cos(), wide * angle.sin()], dim=-1),
            torch.stack([high * (slant - angle.sin()), high * angle.cos()], dim=-1),
        ],
        dim=1,
    )
    shift = torch.stack([p.between(-2.5, 2.5), p.between(-2.0, 2.0)], dim=-1)
    return stretch, shift.unsqueeze(1)
