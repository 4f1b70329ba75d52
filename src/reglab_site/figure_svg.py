"""From a matplotlib figure to SVG that stands in a page: the page's fonts, the page's text colour, no clashing ids."""

# matplotlib ships no types for its SVG backend:
# mypy: allow-untyped-calls

from __future__ import annotations

import io
import math
import re
from dataclasses import dataclass
from typing import Literal, cast

import matplotlib
from lxml import etree
from matplotlib.backend_bases import FigureCanvasBase, GraphicsContextBase, RendererBase
from matplotlib.backends.backend_mixed import MixedModeRenderer
from matplotlib.backends.backend_svg import RendererSVG
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, weight_dict
from matplotlib.ft2font import LoadFlags, StyleFlags
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

from reglab_site.style import CHINESE, INK, LATIN, PIXELS_PER_INCH

UNITS_PER_INCH = 72
METADATA = ("Creator", "Date", "Format", "Type")
RASTER_DPI = 2 * PIXELS_PER_INCH


# Drawing


@dataclass(frozen=True)
class Run:
    """Characters of a label in one style, `dx` behind what stands before them and `dy` below its baseline."""

    text: str
    size: float
    italic: bool
    bold: bool
    dx: float
    dy: float


_COMMON = re.compile(r"[\u0020-\u024f\u0370-\u03ff\u2212\u2202\u221e\u2248\u2260\u2264\u2265]")
"""Characters that Latin fonts have; for others, such as ‖, browsers take the wide ones of Chinese fonts."""


def _runs(label: str, font: FontProperties) -> list[Run] | None:
    """A label with `$math$` as a row of characters.

    None where that would not look right: math that stacks (fractions, roots, accents) or has rare symbols.
    """
    base = float(font.get_size_in_points())
    parsed = text_to_path.mathtext_parser.parse(label, UNITS_PER_INCH, font)
    if parsed.rects:
        return None
    runs: list[Run] = []
    pen, baseline, last_size = 0.0, 0.0, base
    for face, size, code, _, x, y in parsed.glyphs:
        gap = x - pen
        both_scripts = size < base and last_size < base
        own_font = face.family_name == CHINESE or (face.family_name == LATIN and _COMMON.match(chr(code)))
        if not own_font or size > base or (gap < -0.35 * size and not both_scripts):
            return None
        face.set_size(size, UNITS_PER_INCH)
        pen = x + face.load_char(code, flags=LoadFlags.NO_HINTING).linearHoriAdvance / 65536
        italic, bold = StyleFlags.ITALIC in face.style_flags, StyleFlags.BOLD in face.style_flags
        run = Run(chr(code), size, italic, bold, gap if abs(gap) > 0.02 * size else 0.0, baseline - y)
        baseline, last_size = y, size
        above = runs[-1] if runs else None
        if above and (run.size, run.italic, run.bold, run.dx, run.dy) == (above.size, above.italic, above.bold, 0, 0):
            runs[-1] = Run(above.text + run.text, run.size, run.italic, run.bold, above.dx, above.dy)
        else:
            runs.append(run)
    return runs


def _anchor(text: Text | None, gid: str | None, angle: float) -> str:
    """The point of a line of text that must stay where it is, whatever font a reader has: start, middle or end."""
    horizontal = text.get_horizontalalignment() if text else gid or "left"
    if text and abs(angle) % 180 > 45 and text.get_rotation_mode() == "default":
        return {"bottom": "start", "center": "middle", "top": "end"}.get(text.get_verticalalignment(), "start")
    return {"left": "start", "center": "middle", "right": "end"}[horizontal]


class _Renderer(RendererSVG):
    """Writes labels as text that flows in the reader's own font, with math in it; stacked math becomes paths."""

    def __init__(self, width: float, height: float, file: io.StringIO) -> None:
        super().__init__(width, height, file, image_dpi=RASTER_DPI, metadata=dict.fromkeys(METADATA))
        self._text2path = text_to_path  # one for all, since it remembers the math that it has parsed
        self.lines: list[str] = []
        self.gid: str | None = None

    def open_group(self, s: str, gid: str | None = None) -> None:
        self.gid = gid
        super().open_group(s, gid)

    def draw_text(
        self,
        gc: GraphicsContextBase,
        x: float,
        y: float,
        s: str,
        prop: FontProperties,
        angle: float,
        ismath: bool | Literal["TeX"] = False,
        mtext: Text | None = None,
    ) -> None:
        self.lines.append(s)
        runs = _runs(s, prop) if ismath else []
        if runs is None:
            with matplotlib.rc_context({"svg.fonttype": "path"}):
                super().draw_text(gc, x, y, s, prop, angle, ismath, mtext)
            return
        anchor = _anchor(mtext, self.gid, angle)
        along = {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor]
        along *= self.get_text_width_height_descent(s, prop, ismath)[0]
        x += along * math.cos(math.radians(angle))
        y -= along * math.sin(math.radians(angle))
        weight = prop.get_weight()
        style = {
            "font-size": f"{prop.get_size_in_points():.2f}px",
            "font-style": prop.get_style(),
            "font-weight": str(weight_dict.get(str(weight), weight)),
            "text-anchor": anchor,
            "fill": to_hex(gc.get_rgb()),
            "opacity": str(gc.get_rgb()[3]),
        }
        place = {"x": str(x), "y": str(y)} | ({"transform": f"rotate({-angle} {x:.2f} {y:.2f})"} if angle else {})
        self.writer.start("text", place, style=_css(style))
        if not ismath:
            self.writer.data(s)
        for run in runs:
            moves = {name: str(move) for name, move in (("dx", run.dx), ("dy", run.dy)) if abs(move) > 0.005}
            look = {
                "font-size": f"{run.size:.2f}px" if run.size != prop.get_size_in_points() else "",
                "font-style": "italic" if run.italic else "",
                "font-weight": "700" if run.bold else "",
            }
            self.writer.element("tspan", run.text.replace(" ", "\u00a0"), moves, style=_css(look))
        self.writer.end("text")


class _Canvas(FigureCanvasBase):
    """Lets the layout measure with the renderer that draws, which then need not measure again."""

    def __init__(self, figure: Figure, renderer: _Renderer) -> None:
        super().__init__(figure)
        self.renderer = renderer

    def get_renderer(self) -> _Renderer:
        return self.renderer


def draw(figure: Figure) -> tuple[str, list[str]]:
    """The figure as matplotlib's SVG, and the lines of text drawn."""
    file = io.StringIO()
    dpi = figure.dpi
    width, height = figure.get_size_inches()
    figure.dpi = UNITS_PER_INCH
    try:
        vector = _Renderer(width * UNITS_PER_INCH, height * UNITS_PER_INCH, file)
        _Canvas(figure, vector)
        renderer = MixedModeRenderer(figure, width, height, RASTER_DPI, vector)
        figure.draw(cast(RendererBase, renderer))
        renderer.finalize()
    finally:
        figure.dpi = dpi
    return file.getvalue(), vector.lines


# Making it fit for a page

SVG = "{http://www.w3.org/2000/svg}"
HREF = "{http://www.w3.org/1999/xlink}href"
_DEFAULTS = {
    "font-style": "normal",
    "font-weight": "400",
    "text-anchor": "start",
    "opacity": "1.0",
    "stroke-linejoin": "round",
    "stroke-linecap": "butt",
    "stroke-miterlimit": "100000",
    "stroke-width": "1",
    "image-rendering": "auto",
}
_NUMBER = re.compile(r"-?\d*\.\d+(?:e[-+]?\d+)?")
_SEGMENT = re.compile(r"([MLQCz])([^MLQCz]*)")
_MEASURES = ("d", "x", "y", "dx", "dy", "width", "height", "style", "viewBox")
_REFERENCE = re.compile(r"#([^)\s]+)")


def inline(drawn: str, prefix: str) -> str:
    """matplotlib's SVG as an element for a page.

    It scales with its column up to its natural width, takes colour and font of the text around it, and each id in it
    begins with `prefix`.
    """
    root = etree.fromstring(drawn.encode(), etree.XMLParser(remove_comments=True))
    for element in [*root.iter(f"{SVG}metadata"), *root.iter(f"{SVG}style")]:
        _remove(element)
    for element in root.iter():
        element.text = (element.text or "").strip(" \n") or None  # keeps the non-breaking spaces within math
        element.tail = None
        if HREF in element.attrib:
            element.set("href", element.attrib.pop(HREF))
        if element.tag == f"{SVG}image":
            element.set("style", "image-rendering: pixelated")
        if "style" in element.attrib:
            style = _styles(element.get("style", ""))
            element.set("style", _css({name: value for name, value in style.items() if _DEFAULTS.get(name) != value}))
    _rename_ids(root, prefix)
    _prune(root)
    _hoist_styles(root)
    for element in root.iter():
        for name in _MEASURES:
            if name in element.attrib:
                element.set(name, _shorten(element.get(name, "")))
        if element.tag == f"{SVG}path":
            element.set("d", _relative(element.get("d", "")))
        if "scale" not in element.get("transform", "scale"):
            element.set("transform", _shorten(element.get("transform", "")))
        if element.get("style") == "":
            del element.attrib["style"]
    width = float(root.get("viewBox", "").split()[2]) / UNITS_PER_INCH * PIXELS_PER_INCH
    for name in ("width", "height", "version"):
        del root.attrib[name]
    root.set("style", f"max-width:{width:.0f}px")
    root.set("fill", "currentColor")
    root.set("stroke-linejoin", "round")
    root.set("font-family", "system-ui, sans-serif")
    etree.cleanup_namespaces(root)
    return etree.tostring(root, encoding="unicode").replace(INK, "currentColor")


def _css(style: dict[str, str]) -> str:
    return ";".join(f"{name}:{value}" for name, value in style.items() if value)


def _styles(css: str) -> dict[str, str]:
    return {name.strip(): value.strip() for name, _, value in (part.partition(":") for part in css.split(";")) if value}


def _shorten(measures: str) -> str:
    """Numbers with at most two decimals, and no needless space."""
    rounded = _NUMBER.sub(lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), measures)
    return re.sub(r"\s+(?=[MLQCz])|(?<=[MLQC])\s+", "", re.sub(r"(?<![\d.])-0(?![\d.])", "0", rounded)).strip()


def _relative(path: str) -> str:
    """A path whose lines say how far they go, not where: the steps of a curve repeat, which halves the gzipped page."""
    written: list[str] = []
    at = (0, 0)
    for command, numbers in _SEGMENT.findall(path):
        units = [round(float(number) * 100) for number in numbers.split()]
        steps = [unit - start for unit, start in zip(units, at, strict=False)] if command == "L" else units
        written.append(f"{'l' if command == 'L' else command}{' '.join(f'{step / 100:g}' for step in steps)}")
        at = (units[-2], units[-1]) if units else at
    return "".join(written)


def _rename_ids(root: etree._Element, prefix: str) -> None:
    """Number the ids that something refers to, behind `prefix`, and drop the others."""
    used: dict[str, str] = {}
    for element in root.iter():
        for name in ("href", "clip-path", "style"):
            value = element.get(name, "")
            if name != "href" or value.startswith("#"):
                for found in _REFERENCE.findall(value) if "url(" in value or name == "href" else ():
                    used.setdefault(found, f"{prefix}{len(used) + 1}")
    for element in root.iter():
        name = element.get("id", "")
        if name in used:
            element.set("id", used[name])
        elif name:
            del element.attrib["id"]
        for attribute in ("href", "clip-path", "style"):
            value = element.get(attribute, "")
            if value.startswith("#"):
                element.set(attribute, f"#{used[value[1:]]}")
            elif "url(" in value:
                element.set(attribute, re.sub(r"url\(#([^)]+)\)", lambda found: f"url(#{used[found[1]]})", value))


def _prune(root: etree._Element) -> None:
    """Remove what is not seen, and groups that group nothing."""
    for element in [*root.iter(f"{SVG}path")]:
        style = _styles(element.get("style", ""))
        if style.get("fill") == "none" and "stroke" not in style and not element.get("id"):
            parent = element.getparent()
            if parent is not None and parent.tag == f"{SVG}g":
                _remove(element)
    for element in reversed([*root.iter(f"{SVG}g", f"{SVG}defs")]):
        if not len(element):
            _remove(element)
        elif element.tag == f"{SVG}g" and not element.attrib:
            _unwrap(element)


def _hoist_styles(root: etree._Element) -> None:
    """State once, on the group, what all the marks of a group have in common."""
    for group in root.iter(f"{SVG}g"):
        marks = [child for child in group if child.tag == f"{SVG}use"]
        styles = {mark.get("style", "") for mark in marks}
        if len(marks) > 2 and len(styles) == 1 and "opacity" not in _styles(*styles) and "style" not in group.attrib:
            group.set("style", *styles)
            for mark in marks:
                del mark.attrib["style"]


def _remove(element: etree._Element) -> None:
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)


def _unwrap(element: etree._Element) -> None:
    """Put the children of an element in its place."""
    parent = element.getparent()
    if parent is not None:
        place = parent.index(element)
        parent[place : place + 1] = list(element)
