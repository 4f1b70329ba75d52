"""A small drawing of a figure: its curves, areas and marks in a few strokes, without a word, two kilobytes at most.

The home page shows many figures at once; each of those weighs some twenty kilobytes and is illegible when it is small.
What remains of a figure here is what is drawn inside its axes (what carries a `clip-path`), with rounded and
fewer points: the coarser, the more there was.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass

from fontTools.pens.recordingPen import RecordingPen
from fontTools.svgLib.path import parse_path
from lxml import etree

WIDTH = 200  # of the drawing, in its own units
LARGEST = 2000  # bytes
LARGEST_MARK = 8  # points from its middle
GRID_OPACITY = 0.13  # by which grid lines are known: `grid.alpha` of style.RC
XLINK = "{http://www.w3.org/1999/xlink}href"
KEPT = ("fill", "stroke", "opacity", "stroke-opacity", "fill-opacity")

Point = tuple[float, float]


@dataclass(frozen=True)
class Stroke:
    """A connected piece of a figure: a line, an outline, or the place of a mark (a single point)."""

    style: tuple[tuple[str, str], ...]
    points: tuple[Point, ...]
    closed: bool


class TooLarge(ValueError):
    """A figure that no coarseness brings below the limit."""


def thumbnail(svg: str) -> str:
    """The small drawing, as an inline SVG whose ink is the page's text colour.

    Raises:
        TooLarge: there is more in the figure than two kilobytes can suggest.
    """
    root = etree.fromstring(svg.encode())
    _, _, width, height = (float(number) for number in root.get("viewBox", "").split())
    scale = WIDTH / width
    size = f"{WIDTH} {round(height * scale)}"
    frames = list(dict.fromkeys(_frame(rect, scale) for rect in root.iterfind(".//{*}clipPath/{*}rect")))
    images = "".join(_image(image, scale) for image in root.iterfind(".//{*}image"))
    strokes = list(_strokes(root, scale))
    for coarseness in range(1, 40):
        drawing = f"{images}{_drawn(strokes, coarseness)}{_axes(frames)}"
        text = f'<svg viewBox="0 0 {size}" fill="none" stroke-linejoin="round" aria-hidden="true">{drawing}</svg>'
        if len(text.encode()) <= LARGEST:
            return text
    raise TooLarge(f"{len(strokes)} strokes do not fit into {LARGEST} bytes")


def _strokes(root: etree._Element, scale: float) -> Iterator[Stroke]:
    """What is drawn inside the axes, in its order."""
    outlines = {path.get("id"): path.get("d", "") for path in root.iterfind(".//{*}defs/{*}path")}
    frames = {clip.get("id"): _frame(clip[0], scale) for clip in root.iterfind(".//{*}clipPath")}
    for element in root.iter("{*}path", "{*}use"):
        lineage = [element, *element.iterancestors()]
        clip = next((one.get("clip-path") for one in lineage if one.get("clip-path")), None)
        style = {name: value for one in reversed(lineage) for name, value in _style(one).items()}
        if (
            clip is None
            or any(above.tag.endswith("defs") for above in lineage)
            or float(style.get("stroke-opacity", 1)) == GRID_OPACITY
        ):
            continue
        frame = frames[clip.removeprefix("url(#").removesuffix(")")]
        kept = tuple((name, style[name]) for name in KEPT if style.get(name, "none") != "none")
        x, y = float(element.get("x", 0)), float(element.get("y", 0))
        path = element.get("d") or outlines[element.get("href", "#")[1:]]
        for points, closed in _pieces(path):
            placed = tuple(_within(((x + dx) * scale, (y + dy) * scale), frame) for dx, dy in points)
            if element.tag.endswith("use") and _is_mark(points):
                colour = (
                    style.get("fill", "none") if style.get("fill", "none") != "none" else style.get("stroke", "none")
                )
                yield Stroke((("stroke", colour),), (_within((x * scale, y * scale), frame),), closed=False)
                break
            yield Stroke(kept, placed, closed)


def _is_mark(points: list[Point]) -> bool:
    """Whether an outline is small enough to be a mark around the origin."""
    return all(math.hypot(x, y) < LARGEST_MARK for x, y in points)


def _within(point: Point, frame: tuple[int, int, int, int]) -> Point:
    """The point, or the one nearest to it inside the axes."""
    x, y, width, height = frame
    return min(max(point[0], x), x + width), min(max(point[1], y), y + height)


def _style(element: etree._Element) -> dict[str, str]:
    pairs = (part.partition(":") for part in element.get("style", "").split(";") if part)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _pieces(path: str) -> Iterator[tuple[list[Point], bool]]:
    """The points of each connected piece of an SVG path; of a curve, those that it passes through."""
    pen = RecordingPen()
    parse_path(path, pen)
    points: list[Point] = []
    for command, arguments in pen.value:
        if command in ("closePath", "endPath"):
            yield points, command == "closePath"
            points = []
        elif arguments:
            points.append(arguments[-1])


def _drawn(strokes: list[Stroke], coarseness: int) -> str:
    """All strokes, those of one look as one path; where they are many, only every so-many-th."""
    by_style: dict[tuple[tuple[str, str], ...], list[Stroke]] = {}
    for stroke in strokes:
        by_style.setdefault((*stroke.style, ("mark", "1")) if len(stroke.points) == 1 else stroke.style, []).append(
            stroke
        )
    paths = []
    for style, alike in by_style.items():
        chosen = alike[:: max(1, math.ceil(len(alike) * coarseness / 60))]
        path = "".join(_path(stroke, 0.3 * coarseness) for stroke in chosen)
        attributes = "".join(f' {name}="{value}"' for name, value in style if name != "mark")
        attributes += ' stroke-width="5" stroke-linecap="round"' if ("mark", "1") in style else ""
        paths.append(f'<path d="{path}"{attributes}/>')
    return "".join(paths)


def _path(stroke: Stroke, tolerance: float) -> str:
    points = [(round(x), round(y)) for x, y in simplified(stroke.points, tolerance)]
    first, *rest = points
    text = f"M{first[0]} {first[1]}"
    if not rest:
        return f"{text}h0"
    here = first
    for x, y in rest:
        if (x, y) != here:
            text += f"l{x - here[0]} {y - here[1]}"
            here = (x, y)
    return text.replace(" -", "-") + ("z" if stroke.closed else "")


def simplified(points: tuple[Point, ...], tolerance: float) -> list[Point]:
    """The points without those within `tolerance` of the line through what is left (Ramer, Douglas, Peucker)."""
    kept = {0, len(points) - 1}
    open_ends = [(0, len(points) - 1)]
    while open_ends:
        start, end = open_ends.pop()
        inner = range(start + 1, end)
        farthest = max(inner, key=lambda index: _distance(points[index], points[start], points[end]), default=None)
        if farthest is not None and _distance(points[farthest], points[start], points[end]) > tolerance:
            kept.add(farthest)
            open_ends += [(start, farthest), (farthest, end)]
    return [points[index] for index in sorted(kept)]


def _distance(point: Point, start: Point, end: Point) -> float:
    """From a point to the straight piece between two others."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = dx * dx + dy * dy
    along = ((point[0] - start[0]) * dx + (point[1] - start[1]) * dy) / length if length else 0.0
    along = min(1.0, max(0.0, along))
    return math.hypot(point[0] - start[0] - along * dx, point[1] - start[1] - along * dy)


def _frame(rect: etree._Element, scale: float) -> tuple[int, int, int, int]:
    x, y, width, height = (round(float(rect.get(name, 0)) * scale) for name in ("x", "y", "width", "height"))
    return x, y, width, height


def _axes(frames: list[tuple[int, int, int, int]]) -> str:
    """The left and the lower side of each of the axes."""
    path = "".join(f"M{x} {y}v{height}h{width}" for x, y, width, height in frames)
    return f'<path d="{path}" stroke="currentColor" stroke-opacity=".4"/>' if path else ""


def _image(image: etree._Element, scale: float) -> str:
    """An image of few pixels in place of one of many."""
    from PIL import Image  # few figures have one

    data = image.get("href", image.get(XLINK, "")).partition(",")[2]
    small = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA").resize((12, 12))
    file = io.BytesIO()
    small.save(file, "PNG")
    x, y, width, height = (round(float(image.get(name, 0)) * scale) for name in ("x", "y", "width", "height"))
    encoded = base64.b64encode(file.getvalue()).decode()
    place = f'x="{x}" y="{y}" width="{width}" height="{height}"'
    return f'<image {place} preserveAspectRatio="none" href="data:image/png;base64,{encoded}"/>'
