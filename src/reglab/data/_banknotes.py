"""Photographs of two banknotes, drawn: what stands in for the pictures that a post trained its LeNet on."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float32
from torch import Tensor
from torch.nn import functional as F

from reglab.data._image_set import ImageSet
from reglab.data._pencil import Pencil

CLASSES = ("1 yuan", "100 yuan")
SIDE = 32  # pixels, as the post resized its photographs
FINE = 3  # each pixel is the mean of FINE × FINE points

Plane = Float32[Tensor, "n s s"]
Mask = Bool[Tensor, "n s s"]


class _Note(NamedTuple):
    """What tells one denomination from the other; colours are red, green, blue from 0 to 1."""

    digits: str
    paper: tuple[float, float, float]
    ink: tuple[float, float, float]
    length: float  # as a share of the picture's side, before scaling


NOTES = (
    _Note("1", paper=(0.80, 0.82, 0.62), ink=(0.38, 0.44, 0.20), length=0.82),
    _Note("100", paper=(0.90, 0.70, 0.68), ink=(0.66, 0.16, 0.20), length=0.94),
)
ASPECT = 2.03  # length over height, that of the real ones within two percent


def banknotes(num_per_class: int, *, seed: int) -> ImageSet:
    """Colour pictures of 1-yuan and 100-yuan notes as a phone might take them, drawn from rules.

    A note lies on a table, turned, moved, near or far, some upside down; it has a portrait, a crest, fine lines and its
    number in two corners. Olive paper means 1 and red paper 100, but light varies in strength and hue and most cameras
    of this world lose some colour, up to all of it: then the number, the size and the crest have to do. Grain is added.
    Nothing here is a copy of a real note, and accuracies say nothing about photographs.

    The numbers come from a generator of their own: torch's global random state is neither read nor changed.

    Args:
        num_per_class: how many pictures of each note.
        seed: of everything random.

    Returns:
        `2 * num_per_class` pictures of the shape `(n, 3, 32, 32)` with brightness from 0 to 1, in random order; label 0
        is 1 yuan and label 1 is 100 yuan.

    Raises:
        ValueError: `num_per_class` is below 1.

    Example:
        >>> from reglab.data import banknotes
        >>> notes = banknotes(4, seed=0)
        >>> notes.images.shape, notes.labels.bincount().tolist(), notes.classes[1]
        (torch.Size([8, 3, 32, 32]), [4, 4], '100 yuan')
    """
    if num_per_class < 1:
        raise ValueError(f"num_per_class is {num_per_class}; it must be at least 1")
    generator = torch.Generator().manual_seed(seed)
    pictures = torch.cat([_photograph(note, Pencil(num_per_class, generator)) for note in NOTES])
    labels = torch.arange(len(NOTES)).repeat_interleave(num_per_class)
    order = torch.randperm(len(labels), generator=generator)
    return ImageSet(pictures[order], labels[order], CLASSES, "banknotes")


def _photograph(note: _Note, p: Pencil) -> Float32[Tensor, "n 3 32 32"]:
    """`p.num` pictures of one note: printed, laid on a table, lit and taken."""
    x, y = _seen_from_the_note(note, p)
    table = torch.stack([p.between(0.15, 0.75) for _ in range(3)], dim=1)[..., None, None]  # (n, 3, 1, 1)
    on_note = ((x.abs() < ASPECT / 2) & (y.abs() < 0.5)).unsqueeze(1)
    scene = torch.where(on_note, _printed(note, x, y), table.expand(-1, -1, *x.shape[1:]))
    picture = F.avg_pool2d(scene, FINE)
    return _taken(picture, p)


def _seen_from_the_note(note: _Note, p: Pencil) -> tuple[Plane, Plane]:
    """Where each point of a picture lies on the note, whose height is 1 and whose middle is the origin."""
    centre = (torch.arange(SIDE * FINE) + 0.5) / (SIDE * FINE) - 0.5
    down, right = torch.meshgrid(centre, centre, indexing="ij")
    right = right - p.between(-0.08, 0.08)[:, None, None]
    down = down - p.between(-0.12, 0.12)[:, None, None]
    upside_down = math.pi * (p.between(0, 1) < 0.25)
    angle = (p.between(-0.5, 0.5) + upside_down)[:, None, None]
    scale = (ASPECT / (note.length * p.between(0.75, 1.1)))[:, None, None]
    return scale * (angle.cos() * right + angle.sin() * down), scale * (angle.cos() * down - angle.sin() * right)


def _printed(note: _Note, x: Plane, y: Plane) -> Float32[Tensor, "n 3 s s"]:
    """The colours of the note at these places: paper, fine lines, portrait, crest and numbers."""
    lines = 0.25 + 0.15 * torch.sin(18 * y + 4 * torch.sin(5 * x))
    cover = torch.where((x.abs() < ASPECT / 2 - 0.06) & (y.abs() < 0.44), lines, 0.05)
    portrait = (((x - 0.52) / 0.22) ** 2 + ((y - 0.04) / 0.34) ** 2) < 1
    cover = torch.where(portrait, 0.75 - 0.3 * (y < 0.0), cover)
    crest = ((x + 0.78) ** 2 + (y + 0.28) ** 2) < 0.11**2
    if note.digits == "1":  # a flower with petals in its middle, where the other has its number large
        radius, turn = (x + 0.12).hypot(y), torch.atan2(y, x + 0.12)
        crest = crest | (radius < 0.16 + 0.06 * torch.cos(5 * turn))
    dark = crest | _number(note.digits, x + 0.80, y - 0.24, 0.30) | _number(note.digits, x - 0.80, y + 0.32, 0.16)
    if note.digits == "100":
        dark = dark | _number(note.digits, x + 0.12, y, 0.42)
    cover = torch.where(dark, 1.0, cover).unsqueeze(1)
    paper, ink = (torch.tensor(colour)[:, None, None] for colour in (note.paper, note.ink))
    return paper + cover * (ink - paper)


def _number(digits: str, x: Plane, y: Plane, height: float) -> Mask:
    """Where a number is printed whose middle is the origin."""
    x, y = x / height, y / height  # the digits are 1 high
    covered = torch.zeros_like(x, dtype=torch.bool)
    for place, digit in enumerate(digits):
        across = x - 0.62 * (place - (len(digits) - 1) / 2)
        if digit == "1":
            covered |= (across.abs() < 0.11) & (y.abs() < 0.5)
        else:
            outer, inner = (across / 0.29) ** 2 + (y / 0.5) ** 2, (across / 0.12) ** 2 + (y / 0.30) ** 2
            covered |= (outer < 1) & (inner > 1)
    return covered


def _taken(picture: Float32[Tensor, "n 3 h w"], p: Pencil) -> Float32[Tensor, "n 3 h w"]:
    """What the camera makes of a scene: coloured light, lost colour, a shadow to one side, grain."""
    light = torch.stack([p.between(0.7, 1.3) for _ in range(3)], dim=1)[..., None, None]
    picture = picture * light * p.between(0.5, 1.1)[:, None, None, None]
    grey = picture.mean(1, keepdim=True)
    picture = grey + p.between(0, 0.9)[:, None, None, None] * (picture - grey)
    side = torch.linspace(-1, 1, SIDE) * p.between(-0.25, 0.25)[:, None]  # (n, w)
    picture = picture * (1 + side[:, None, None, :])
    return (picture + 0.06 * torch.randn(picture.shape, generator=p.generator)).clamp(0, 1)
