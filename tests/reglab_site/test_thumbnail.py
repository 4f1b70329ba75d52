import math
import re

import pytest

from reglab_site.thumbnail import LARGEST, TooLarge, simplified, thumbnail

FRAME = '<defs><clipPath id="c"><rect x="10" y="10" width="80" height="80"/></clipPath></defs>'
GRID = '<path d="M10 20l80 0" clip-path="url(#c)" style="fill:none;stroke:currentColor;stroke-opacity:0.13"/>'


def figure(content: str) -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">{content}{FRAME}</svg>'


def line(points: int, colour: str = "#2f63f2", shift: float = 0) -> str:
    at = [(10 + 80 * i / points, 50 + shift + 30 * math.sin(6 * math.pi * i / points)) for i in range(points)]
    path = "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in at)
    return f'<path d="{path}" clip-path="url(#c)" style="fill:none;stroke:{colour}"/>'


def test_curves_marks_and_axes_remain_and_words_ticks_and_grid_go() -> None:
    tick = '<defs><path id="t" d="M0 0l0 3"/></defs><use x="10" y="90" style="stroke:currentColor" href="#t"/>'
    marks = (
        '<defs><path id="m" d="M0 2C1 2 2 1 2 0C2 -1 1 -2 0 -2z"/></defs>'
        '<g clip-path="url(#c)" style="fill:#d87a14"><use x="20" y="30" href="#m"/><use x="40" y="30" href="#m"/></g>'
    )
    drawing = thumbnail(figure(f"<text>loss</text>{GRID}{tick}{line(100)}{marks}"))
    assert "text" not in drawing
    assert "loss" not in drawing
    assert re.findall(r'stroke="([^"]+)"', drawing) == ["#2f63f2", "#d87a14", "currentColor"]
    assert "M40 60h0M80 60h0" in drawing
    assert "M20 20v160h160" in drawing


def test_an_area_drawn_by_reference_is_no_mark() -> None:
    area = '<defs><path id="a" d="M10 -40L90 -40L90 -20L10 -20z"/></defs>'
    use = '<g clip-path="url(#c)" style="fill:#d87a14;opacity:0.25"><use x="0" y="100" href="#a"/></g>'
    assert '<path d="M20 120l160 0l0 40l-160 0l0-40z" fill="#d87a14" opacity="0.25"/>' in thumbnail(figure(area + use))


def test_what_leaves_the_axes_is_cut_off_at_their_edge() -> None:
    outside = '<path d="M10 50L90 500" clip-path="url(#c)" style="fill:none;stroke:#2f63f2"/>'
    assert '<path d="M20 100l160 80"' in thumbnail(figure(outside))


def test_much_becomes_coarse_and_too_much_is_refused() -> None:
    bundle = "".join(line(200, shift=shift) for shift in range(60))
    assert len(thumbnail(figure(bundle)).encode()) <= LARGEST
    colours = "".join(line(200, colour=f"#{number:06x}", shift=number / 10) for number in range(200))
    with pytest.raises(TooLarge, match=f"200 strokes do not fit into {LARGEST} bytes"):
        thumbnail(figure(colours))


def test_a_straight_line_keeps_its_ends_and_a_corner_is_kept() -> None:
    straight = tuple((float(x), 2.0 * x) for x in range(50))
    assert simplified(straight, 0.1) == [straight[0], straight[-1]]
    corner = ((0.0, 0.0), (5.0, 0.05), (10.0, 8.0), (20.0, 0.0))
    assert simplified(corner, 0.5) == [corner[0], corner[1], corner[2], corner[3]]
    assert simplified(corner, 5.0) == [corner[0], corner[2], corner[3]]
