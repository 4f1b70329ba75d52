"""Turns outlines into pixels, many pictures at a time: filled polygons and strokes with soft edges."""

from __future__ import annotations

import torch
from jaxtyping import Float32
from torch import Tensor

SIZE = 28


def filled(outline: Float32[Tensor, "n v 2"]) -> Float32[Tensor, "n 28 28"]:
    """How much of each pixel lies inside closed polygons: 1 inside, 0 outside, between on the outline.

    A point is inside if a ray to the right crosses the outline an odd number of times; within half a pixel of the
    outline, coverage falls linearly with the signed distance.

    Args:
        outline: one polygon a picture, each with `v` corners `(x, y)` in pixels, y downwards; pixel centres lie at .5.
    """
    start, end = outline, outline.roll(-1, dims=1)
    distance = _distance(start, end)
    pixel = _pixels()
    rise = end[..., 1] - start[..., 1]  # (n, v)
    run = end[..., 0] - start[..., 0]  # (n, v)
    inside = torch.zeros_like(distance, dtype=torch.bool)
    for edge in range(outline.shape[1]):
        x, y = start[:, edge, 0, None], start[:, edge, 1, None]  # (n, 1)
        crosses = (y > pixel[:, 1]) != (end[:, edge, 1, None] > pixel[:, 1])  # (n, 784)
        crossing = x + (pixel[:, 1] - y) * (run[:, edge] / rise[:, edge]).unsqueeze(1)
        inside ^= crosses & (pixel[:, 0] < crossing)
    signed = torch.where(inside, -distance, distance)
    return (0.5 - signed).clamp(0, 1).reshape(-1, SIZE, SIZE)


def stroked(path: Float32[Tensor, "n v 2"], width: Float32[Tensor, " n"]) -> Float32[Tensor, "n 28 28"]:
    """How much of each pixel is covered by open paths of straight pieces, drawn with a round pen.

    Args:
        path: one path a picture, each with `v` points `(x, y)` in pixels.
        width: of each picture's pen, in pixels; 0 draws nothing.
    """
    width = width.unsqueeze(1)  # (n, 1)
    distance = _distance(path[:, :-1], path[:, 1:])  # (n, 784)
    return ((0.5 + width / 2 - distance).clamp(0, 1) * width.clamp(max=1)).reshape(-1, SIZE, SIZE)


def _pixels() -> Float32[Tensor, "784 2"]:
    """The centres (x, y) of all pixels, row by row."""
    centre = torch.arange(SIZE) + 0.5
    y, x = torch.meshgrid(centre, centre, indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(-1, 2)


def _distance(start: Float32[Tensor, "n v 2"], end: Float32[Tensor, "n v 2"]) -> Float32[Tensor, "n 784"]:
    """From each pixel's centre to the nearest of the pieces `start` to `end`."""
    pixel = _pixels()
    nearest = torch.full((len(start), len(pixel)), torch.inf)
    for piece in range(start.shape[1]):
        x, y = (start[:, piece, axis, None] for axis in (0, 1))  # (n, 1)
        dx, dy = (end[:, piece, axis, None] - start[:, piece, axis, None] for axis in (0, 1))
        from_x, from_y = pixel[:, 0] - x, pixel[:, 1] - y  # (n, 784)
        length = (dx * dx + dy * dy).clamp(min=1e-6)  # squared
        along = ((from_x * dx + from_y * dy) / length).clamp(0, 1)
        nearest = torch.minimum(nearest, (from_x - along * dx) ** 2 + (from_y - along * dy) ** 2)
    return nearest.sqrt()
