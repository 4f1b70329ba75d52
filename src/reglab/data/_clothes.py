"""The shapes of `garments` that are worn on the body: what is painted, in which order, and how its parts vary."""

from __future__ import annotations

from reglab.data._pencil import MIDDLE, Number, Part, Pencil


def upper_body(p: Pencil, *, long_sleeves: Number, hem: Number, neck: Number, flare: Number = 0.0) -> Part:
    """What T-shirt, pullover, coat and shirt share; sleeves are short where `long_sleeves` is 0 and long where 1."""
    shoulder = MIDDLE + p.between(5.6, 7.2)
    top = p.between(2.8, 4.2)
    chest = MIDDLE + p.between(4.8, 6.0)
    spread = MIDDLE + p.between(9.3, 11.8)
    short = 1 - long_sleeves
    cuff_y = short * p.between(8.5, 12.0) + long_sleeves * p.between(19.5, 24.0)
    cuff = short * p.between(3.0, 4.0) + long_sleeves * p.between(2.2, 3.2)
    return p.mirrored(
        (MIDDLE, top + neck),
        (MIDDLE + p.between(2.0, 3.2), top - 0.6),
        (shoulder, top + 1.2),
        (spread, cuff_y),
        (spread - cuff, cuff_y + 0.5 + short),
        (chest, top + p.between(5.5, 7.0)),
        (chest + flare, hem),
        (MIDDLE, hem + p.between(0.0, 0.6)),
    )


def t_shirt(p: Pencil) -> list[Part]:
    """Short sleeves and nothing else."""
    body = upper_body(p, long_sleeves=0.0, hem=p.between(21.5, 25.0), neck=p.between(1.0, 3.0))
    return [body]


def trouser(p: Pencil) -> list[Part]:
    """Two legs and a belt."""
    waist, foot, gap = p.between(3.6, 5.0), p.between(2.4, 3.6), p.between(0.4, 1.8)
    top, bottom = p.between(1.5, 3.0), p.between(24.5, 26.5)
    legs = p.mirrored(
        (MIDDLE, top),
        (MIDDLE + waist, top),
        (MIDDLE + waist + 0.7, top + 6),
        (MIDDLE + gap + foot, bottom),
        (MIDDLE + gap, bottom),
        (MIDDLE, top + p.between(6.0, 9.0)),
    )
    belt = p.line((MIDDLE - waist, top + 1.8), (MIDDLE + waist, top + 1.8), width=0.8, light=p.between(0.4, 1.0))
    return [legs, belt]


def pullover(p: Pencil) -> list[Part]:
    """Long sleeves and a band above the hem; closed in front."""
    hem = p.between(21.0, 24.0)
    body = upper_body(p, long_sleeves=1.0, hem=hem, neck=p.between(0.4, 1.8))
    band = p.line((MIDDLE - 4.5, hem - 1.2), (MIDDLE + 4.5, hem - 1.2), width=0.9, light=p.between(0.6, 1.0))
    return [body, band]


def dress(p: Pencil) -> list[Part]:
    """Long, with a waist; some have short sleeves."""
    shoulder, waist, skirt = p.between(2.8, 4.6), p.between(2.4, 3.6), p.between(3.8, 7.5)
    top, bottom = p.between(1.5, 3.0), p.between(24.5, 26.5)
    sleeve = shoulder + p.chance(0.4) * p.between(1.0, 3.5)
    return [
        p.mirrored(
            (MIDDLE, top + p.between(1.0, 3.5)),
            (MIDDLE + p.between(1.2, 2.2), top),
            (MIDDLE + shoulder, top + 0.5),
            (MIDDLE + sleeve, top + 4),
            (MIDDLE + shoulder, top + 5),
            (MIDDLE + waist, top + p.between(7.5, 10.0)),
            (MIDDLE + skirt, bottom),
            (MIDDLE, bottom + 0.4),
        )
    ]


def coat(p: Pencil) -> list[Part]:
    """Long sleeves, a lapel and an open front."""
    hem, opening = p.between(24.5, 27.0), MIDDLE + p.between(-0.8, 0.8)
    body = upper_body(p, long_sleeves=1.0, hem=hem, neck=p.between(0.8, 2.0), flare=p.between(0.3, 1.8))
    depth = p.between(7.0, 11.0)
    lapel = p.mirrored((MIDDLE, 3.4), (MIDDLE + p.between(1.8, 3.0), 3.4), (MIDDLE, depth), light=p.between(0.0, 0.4))
    front = p.line((opening, depth - 1), (opening, hem), width=p.between(0.8, 1.6), light=p.between(0.0, 0.3))
    return [body, lapel, front]


def shirt(p: Pencil) -> list[Part]:
    """A collar and a button placket; long or short sleeves."""
    hem, neck = p.between(21.5, 24.5), p.between(0.8, 2.0)
    body = upper_body(p, long_sleeves=p.chance(0.5), hem=hem, neck=neck)
    light = p.between(0.05, 0.5)
    placket = p.line((MIDDLE, 5.0), (MIDDLE, hem), width=p.between(0.4, 0.8), light=light)
    left = p.line((MIDDLE, 6.6), (MIDDLE - 2.6, 3.6), width=0.8, light=light)
    right = p.line((MIDDLE, 6.6), (MIDDLE + 2.6, 3.6), width=0.8, light=light)
    return [body, placket, left, right]
