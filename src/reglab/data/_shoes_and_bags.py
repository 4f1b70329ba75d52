"""The other shapes of `garments`: shoes, whose toes point to the left, and bags."""

from __future__ import annotations

from reglab.data._pencil import MIDDLE, Part, Pencil


def sandal(p: Pencil) -> list[Part]:
    """A sole, straps and the air between them; the heel flat or high."""
    heel, sole, toe = p.between(11.0, 18.5), p.between(19.5, 22.5), p.between(1.5, 3.5)
    back, light = p.between(24.0, 26.0), p.between(0.7, 1.0)
    strap = p.between(0.9, 1.8)
    ground = p.line((toe, sole), (11.0, sole), (back, heel + 2), width=p.between(1.2, 2.2))
    peg = p.line((back - 0.4, heel + 2), (back - p.between(0.0, 1.5), sole + 1), width=p.between(1.0, 3.0))
    front = p.line((toe + 2, sole), (7.5, sole - p.between(2.5, 4.5)), (11.5, sole), width=strap, light=light)
    ankle = p.line((back - 0.5, heel + 2), (back - 1.5, heel - 4), (15.5, heel - 2.5), width=strap, light=light)
    middle = p.line((15.5, heel - 2.5), (12.0, sole), width=strap * p.chance(0.7), light=light)
    return [ground, peg, front, ankle, middle]


def sneaker(p: Pencil) -> list[Part]:
    """Low, with a rubber sole and laces."""
    top, sole, toe, back = p.between(7.5, 12.5), p.between(19.0, 22.5), p.between(1.0, 3.0), p.between(24.5, 26.5)
    upper = p.area(
        (toe, sole),
        (toe + 0.3, sole - p.between(2.2, 3.6)),
        (8.5, sole - p.between(4.0, 5.0)),
        (15.0, top),
        (18.5, top + p.between(0.8, 2.2)),
        (back - 0.8, top - 0.4),
        (back, sole),
    )
    light = p.between(0.3, 1.3)
    rubber = p.line((toe + 0.5, sole), (back - 0.5, sole), width=p.between(1.2, 2.4), light=light)
    lace = p.line((9.5, sole - 4.0), (14.0, top + 1.5), width=0.9, light=p.between(0.2, 0.9))
    return [upper, rubber, lace]


def ankle_boot(p: Pencil) -> list[Part]:
    """A shaft above the heel, and a zip."""
    top, sole, toe, back = p.between(3.0, 8.5), p.between(21.0, 24.5), p.between(1.5, 4.0), p.between(22.5, 25.5)
    shaft = p.between(8.5, 12.0)
    heel = p.between(0.0, 2.0)
    boot = p.area(
        (toe, sole),
        (toe + 0.4, sole - p.between(2.8, 4.2)),
        (back - shaft - 1.5, sole - p.between(6.0, 8.0)),
        (back - shaft, top + p.between(0.0, 1.0)),
        (back, top),
        (back - 0.6, sole - 5),
        (back, sole + heel),
        (back - 4.5, sole + heel),
        (back - 5.5, sole),
    )
    sole_line = p.line((toe + 0.5, sole), (back - 6, sole), width=1.0, light=p.between(0.3, 1.0))
    zip_line = p.line((back - 4, top + 1), (back - 4.5, sole - 5), width=0.7, light=p.between(0.4, 1.0))
    return [boot, sole_line, zip_line]


def bag(p: Pencil) -> list[Part]:
    """A box with a seam, mostly with a handle."""
    top, bottom, width = p.between(8.5, 12.5), p.between(21.5, 25.5), p.between(8.5, 11.5)
    taper, reach, rise = p.between(-1.0, 2.5), p.between(3.0, 6.5), p.between(3.0, 8.0)
    handle = p.line(
        (MIDDLE - reach, top),
        (MIDDLE - reach * 0.75, top - rise * 0.8),
        (MIDDLE, top - rise),
        (MIDDLE + reach * 0.75, top - rise * 0.8),
        (MIDDLE + reach, top),
        width=p.between(0.9, 1.8) * p.chance(0.85),
        light=p.between(0.6, 1.0),
    )
    body = p.mirrored((MIDDLE, top), (MIDDLE + width - taper, top), (MIDDLE + width, bottom), (MIDDLE, bottom))
    flap = top + p.between(3.0, 6.0)
    seam = p.line((MIDDLE - width + 1, flap), (MIDDLE + width - 1, flap), width=0.8, light=p.between(0.3, 1.0))
    return [handle, body, seam]
