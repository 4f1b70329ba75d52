"""How the shapes of `garments` are put down: parts to paint, and a pencil that draws a part in many pictures.

Coordinates are pixels of a 28×28 picture, x to the right and y downwards; 14 is the middle. Every number that differs
from picture to picture is a tensor with one entry a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float32
from torch import Tensor

Number = float | Tensor
Point = tuple[Number, Number]
MIDDLE = 14.0


@dataclass(frozen=True, eq=False)
class Part:
    """One thing to paint over what is there.

    Attributes:
        points: corners of a polygon, or points of a path.
        light: its brightness relative to the garment's: 1 is the cloth, 0 a hole.
        width: of the pen that draws the path; a polygon is filled and has none.
    """

    points: Float32[Tensor, "n v 2"]
    light: Float32[Tensor, " n"]
    width: Float32[Tensor, " n"] | None = None


class Pencil:
    """Draws random numbers and parts for `num` pictures at a time."""

    def __init__(self, num: int, generator: torch.Generator) -> None:
        self.num = num
        self.generator = generator

    def between(self, low: float, high: float) -> Float32[Tensor, " n"]:
        """Evenly distributed between `low` and `high`."""
        return low + (high - low) * torch.rand(self.num, generator=self.generator)

    def chance(self, probability: float) -> Float32[Tensor, " n"]:
        """1 with this probability, else 0."""
        return (torch.rand(self.num, generator=self.generator) < probability).float()

    def area(self, *points: Point, light: Number = 1.0) -> Part:
        """A filled polygon."""
        return Part(self._stack(points), self._each(light))

    def mirrored(self, *points: Point, light: Number = 1.0) -> Part:
        """A filled polygon that is symmetric to the middle: the right half's corners, from top to bottom."""
        left = [(2 * MIDDLE - x, y) for x, y in reversed(points)]
        return self.area(*points, *left, light=light)

    def line(self, *points: Point, width: Number, light: Number = 1.0) -> Part:
        """A path drawn with a pen."""
        return Part(self._stack(points), self._each(light), self._each(width))

    def _each(self, number: Number) -> Float32[Tensor, " n"]:
        return torch.as_tensor(number, dtype=torch.float32).expand(self.num)

    def _stack(self, points: Sequence[Point]) -> Float32[Tensor, "n v 2"]:
        return torch.stack([torch.stack([self._each(x), self._each(y)], dim=-1) for x, y in points], dim=1)
