"""What a garment of `garments` is made of: its brightness, pattern, shading and grain."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float32
from torch import Tensor

from reglab.data._pencil import Pencil
from reglab.data._raster import SIZE


def cloth(p: Pencil) -> Float32[Tensor, "n 28 28"]:
    """One piece of cloth a picture, at least 28×28 pixels large; 1 is white."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, SIZE), torch.linspace(-1, 1, SIZE), indexing="ij")  # (28, 28)
    slant = x * p.between(-0.2, 0.2)[:, None, None] + y * p.between(-0.2, 0.2)[:, None, None]
    grain = p.between(0.02, 0.1)[:, None, None] * torch.randn(p.num, SIZE, SIZE, generator=p.generator)
    brightness = p.between(0.3, 0.95)[:, None, None]
    return brightness * (1 + slant + grain) * _stripes(p, x, y) * _print(p, x, y)


def _stripes(p: Pencil, x: Float32[Tensor, "28 28"], y: Float32[Tensor, "28 28"]) -> Float32[Tensor, "n 28 28"]:
    """Stripes along, across or askew on a third of all pictures."""
    depth = p.chance(0.35) * p.between(0.2, 0.7)
    angle = (p.between(0, 4).floor() * math.pi / 4)[:, None, None]
    frequency = p.between(8, 22)[:, None, None]
    phase = p.between(0, 2 * math.pi)[:, None, None]
    wave = torch.sin(frequency * (x * angle.cos() + y * angle.sin()) + phase)
    return 1 - depth[:, None, None] * (0.5 + 0.5 * wave)


def _print(p: Pencil, x: Float32[Tensor, "28 28"], y: Float32[Tensor, "28 28"]) -> Float32[Tensor, "n 28 28"]:
    """A round spot, lighter or darker, on a third of all pictures."""
    strength = p.chance(0.35) * p.between(-0.7, 0.5)
    from_x = x - p.between(-0.35, 0.35)[:, None, None]
    from_y = y - p.between(-0.5, 0.4)[:, None, None]
    radius = p.between(0.12, 0.35)[:, None, None]
    return 1 + strength[:, None, None] * torch.exp(-(from_x**2 + from_y**2) / radius**2)
