"""What a figure must be like to be read by everyone: few points, colours that stand out on white and on black.

Black, given by the author, becomes the ink of the page, which is light in the dark scheme. Marks whose colour stands
for a number, and pale fills, get an outline in ink; axes with an image get a frame. Alpha counts for what a label
speaks of (a pale curve in the legend is refused), and not for what is without one (a bundle of faint curves, a band).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import Collection, LineCollection, PathCollection, QuadMesh
from matplotlib.colors import to_hex, to_rgba, to_rgba_array
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.path import Path
from matplotlib.table import Cell
from matplotlib.text import Annotation, Text
from matplotlib.typing import ColorType

from reglab_site.style import BACKGROUNDS, INK, PALETTE, PIXELS_PER_INCH

POINTS = 200  # of one curve
MARKS = 1000  # of one scatter plot, or cells of one mesh
CONTRAST = 3.0
PHONE = 328  # CSS pixels that a phone of 360 leaves for a figure
LEGIBLE = 8  # CSS pixels of font size

OUTLINE = 0.6


class Problem(NamedTuple):
    """What is wrong with a figure, and how to mend it."""

    message: str
    hint: str


def shown(artist: Artist) -> Iterator[Artist]:
    """`artist` and everything in it that is visible; of the ticks, their labels."""
    if not artist.get_visible():
        return
    yield artist
    if isinstance(artist, Axis):
        ticks = [*artist.majorTicks, *artist.minorTicks]
        labels = [label for tick in ticks for label in (tick.label1, tick.label2)]
        children: list[Artist] = [artist.label, artist.offsetText, *labels]
    else:
        children = list(artist.get_children())
    if isinstance(artist, Cell):
        children.append(artist.get_text())
    if isinstance(artist, Axes) and not artist.axison:
        children = [child for child in children if not isinstance(child, Axis)]
    if isinstance(artist, Annotation) and artist.arrow_patch is not None:
        children.append(artist.arrow_patch)
    for child in children:
        yield from shown(child)


# Contrast


def luminance(colour: ColorType) -> float:
    """Relative luminance as WCAG 2 defines it."""
    rgb = np.asarray(to_rgba(colour)[:3])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: ColorType, other: ColorType) -> float:
    """The contrast of two colours as WCAG 2 defines it, from 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def stands_out(colour: ColorType, *, opaque: bool = False) -> bool:
    """Whether `colour` can be told from both backgrounds; `opaque` leaves its alpha out of account. Ink always can."""
    *rgb, alpha = to_rgba(colour)
    if alpha == 0:
        return False
    if to_hex(colour) == INK:
        return True
    alpha = 1.0 if opaque else alpha
    for background in BACKGROUNDS.values():
        blend = [alpha * part + (1 - alpha) * behind for part, behind in zip(rgb, to_rgba(background), strict=False)]
        if contrast(tuple(blend), background) < CONTRAST:  # type: ignore[arg-type]
            return False
    return True


def _inked(colour: ColorType) -> ColorType:
    """`colour`, or ink of the same alpha for black."""
    rgba = to_rgba(colour)
    return to_rgba(INK, rgba[3]) if rgba[:3] == (0, 0, 0) and rgba[3] > 0 else rgba


def _alpha(colour: ColorType) -> float:
    return to_rgba(colour)[3]


def _pale(what: str, colour: ColorType) -> Problem:
    return Problem(
        f"{what} is drawn in {to_hex(colour, keep_alpha=_alpha(colour) < 1)}, which has a contrast below "
        f"{CONTRAST:g} with the light or the dark background",
        f"use C0 to C{len(PALETTE) - 1}, or black, which follows the page; no alpha on what has a label",
    )


def _crowded(what: str, count: int, limit: int, unit: str) -> Problem:
    return Problem(
        f"{what} has {count} {unit}, and {limit} is the limit",
        f"plot every {-(-count // limit)}th of them: x[::{-(-count // limit)}]",
    )


# Rules


def check(figure: Figure) -> list[Problem]:
    """Give black its ink and pale fills their outlines, and tell what else is wrong."""
    problems: list[Problem] = []
    artists = list(dict.fromkeys(shown(figure)))
    backgrounds: set[Artist] = {figure.patch}
    on_images: set[Artist] = set()
    for artist in artists:
        if isinstance(artist, Axes):
            backgrounds.add(artist.patch)
            problems += _check_twins(artist)
            if _holds_image(artist):
                _frame(artist)
                on_images.update(artist.texts)
        elif isinstance(artist, Legend):
            backgrounds.add(artist.get_frame())
    for artist in artists:
        if isinstance(artist, Patch):
            problems += _check_background(artist) if artist in backgrounds else _check_patch(artist)
        elif isinstance(artist, Line2D):
            problems += _check_line(artist)
        elif isinstance(artist, Text) and artist not in on_images:
            problems += _check_text(artist)
        elif isinstance(artist, Collection):
            problems += _check_collection(artist)
    return list(dict.fromkeys(problems))


def check_size(figure: Figure) -> Iterator[Problem]:
    """Whether labels, once drawn, are legible on a phone, to whose width the figure shrinks."""
    width = float(figure.get_figwidth()) * PIXELS_PER_INCH
    texts = (artist for artist in shown(figure) if isinstance(artist, Text) and artist.get_text().strip())
    smallest = min(texts, key=lambda text: float(text.get_fontsize()), default=None)
    if smallest is None:
        return
    points = float(smallest.get_fontsize())
    pixels = points / 72 * PIXELS_PER_INCH * min(1.0, PHONE / width)
    if pixels < LEGIBLE:
        yield Problem(
            f"{smallest.get_text()!r} would be {pixels:.1f} pixels high on a phone, and {LEGIBLE} are needed",
            "make the figure at most 5.6 inches wide, with panels below each other, and its labels 10 points",
        )


def _name(artist: Artist, what: str) -> str:
    label = str(artist.get_label() or "")
    return what if label.startswith("_") or not label else f"{what} {label!r}"


def _vertices(path: Path) -> int:
    return len(np.asarray(path.vertices))


def _labelled(artist: Artist) -> bool:
    label = str(artist.get_label() or "")
    return bool(label) and not label.startswith("_")


def _check_line(line: Line2D) -> Iterator[Problem]:
    what = _name(line, "a curve")
    count = np.shape(line.get_xydata())[0]
    curve = line.get_linestyle() != "None" and line.get_linewidth() > 0
    limit = POINTS if curve else MARKS
    if count > limit:
        yield _crowded(what, count, limit, "points")
    alpha = line.get_alpha()
    opaque = not _labelled(line)
    marks = line.get_marker() not in ("None", "none", "", " ", None)
    face, edge = line.get_markerfacecolor(), line.get_markeredgecolor()
    line.set_color(_inked(line.get_color()))
    if curve and not stands_out(to_rgba(line.get_color(), alpha), opaque=opaque):
        yield _pale(what, to_rgba(line.get_color(), alpha))
    elif marks:
        line.set_markerfacecolor(_inked(face))
        line.set_markeredgecolor(_inked(edge))
        if not any(stands_out(to_rgba(colour, alpha), opaque=opaque) for colour in (_inked(face), _inked(edge))):
            yield _pale(f"{what} (its marker)", face)


def _check_twins(axes: Axes) -> Iterator[Problem]:
    """Curves that a legend tells apart must look different."""
    seen: dict[tuple[str, object, object], Line2D] = {}
    for line in axes.lines:
        if line.get_visible() and _labelled(line):
            look = (to_hex(line.get_color()), line.get_linestyle(), line.get_marker())
            first = seen.setdefault(look, line)
            if first.get_label() != line.get_label():
                yield Problem(
                    f"{_name(first, 'the curves')} and {line.get_label()!r} look the same",
                    'give one of them linestyle="--" or marker="o"',
                )


def _check_text(text: Text) -> Iterator[Problem]:
    if not text.get_text().strip():
        return
    text.set_color(_inked(text.get_color()))
    colour = to_rgba(text.get_color(), text.get_alpha())
    if not stands_out(colour):
        yield _pale(f"the text {text.get_text()!r}", colour)
    box = text.get_bbox_patch()
    if box is not None and _alpha(box.get_facecolor()) > 0:
        yield Problem(f"the text {text.get_text()!r} has a box of its own colour", "leave the bbox out")


def _check_background(patch: Patch) -> Iterator[Problem]:
    if _alpha(patch.get_facecolor()) > 0 and patch.get_fill():
        yield Problem(
            f"a background is filled with {to_hex(patch.get_facecolor())}", "leave it: the page shows through figures"
        )


def _check_patch(patch: Patch) -> Iterator[Problem]:
    what = _name(patch, "a shape")
    if (count := _vertices(patch.get_path())) > 2 * POINTS + 5:
        yield _crowded(what, count, 2 * POINTS, "vertices")
    face, edge = patch.get_facecolor(), patch.get_edgecolor()
    filled = bool(patch.get_fill()) and _alpha(face) > 0
    edged = patch.get_linewidth() > 0 and _alpha(edge) > 0
    if filled:
        patch.set_facecolor(_inked(face))
    if edged:
        patch.set_edgecolor(_inked(edge))
    if edged and stands_out(patch.get_edgecolor()):
        return
    if filled and not stands_out(patch.get_facecolor(), opaque=True):
        patch.set_edgecolor(INK)
        patch.set_linewidth(OUTLINE)
    elif edged and not filled:
        yield _pale(what, edge)


def _check_collection(marks: Collection) -> Iterator[Problem]:
    what = _name(marks, "a scatter plot" if isinstance(marks, PathCollection) else "a band or bundle of lines")
    if isinstance(marks, QuadMesh):
        cells = 0 if (values := marks.get_array()) is None else values.size
        if cells > MARKS and not marks.get_rasterized():
            yield Problem(f"a mesh has {cells} cells, and {MARKS} is the limit", "draw it with plt.imshow")
        return
    if isinstance(marks, PathCollection):
        if (count := np.shape(marks.get_offsets())[0]) > MARKS:
            yield _crowded(what, count, MARKS, "marks")
    else:
        longest = max((_vertices(path) for path in marks.get_paths()), default=0)
        bound = POINTS if isinstance(marks, LineCollection) else 2 * POINTS + 5
        if longest > bound and not isinstance(marks, ContourSet):
            yield _crowded(what, longest, bound, "vertices")
    marks.update_scalarmappable()
    faces, edges = _ink_all(marks)
    if edges and all(stands_out(edge, opaque=not _labelled(marks)) for edge in edges):
        return
    pale = [face for face in faces if not stands_out(face, opaque=True)]
    if isinstance(marks, ContourSet) and faces:
        return
    if pale or (faces and marks.get_array() is not None):
        marks.set_edgecolor(INK)
        marks.set_linewidth(OUTLINE)
    elif not faces and edges:
        yield _pale(what, next(edge for edge in edges if not stands_out(edge, opaque=not _labelled(marks))))


def _ink_all(marks: Collection) -> tuple[list[ColorType], list[ColorType]]:
    """The visible face and edge colours of a collection, black ones inked unless they stand for numbers."""
    colours: list[list[ColorType]] = []
    for found, change in (
        (marks.get_facecolor(), marks.set_facecolor),
        (marks.get_edgecolor(), marks.set_edgecolor),
    ):
        rgba = to_rgba_array(found)
        black = (rgba[:, :3] == 0).all(axis=1) & (rgba[:, 3] > 0)
        if black.any() and marks.get_array() is None:
            rgba[black, :3] = to_rgba(INK)[:3]
            change([to_rgba(tuple(one)) for one in rgba])
        colours.append([to_rgba(tuple(one)) for one in np.unique(rgba, axis=0) if one[3] > 0])
    return colours[0], colours[1]


# Images


def _holds_image(axes: Axes) -> bool:
    """Whether the axes hold an image or mesh, other than the one of a colour bar, which has an outline."""
    pictures = (
        child
        for child in axes.get_children()
        if isinstance(child, AxesImage | QuadMesh) or (isinstance(child, ContourSet) and child.filled)
    )
    return not hasattr(axes, "_colorbar") and any(child.get_visible() for child in pictures)


def _frame(axes: Axes) -> None:
    """Draw the four sides of the axes and no grid, also where the author has switched ticks and labels off."""
    if not axes.axison:
        axes.set_axis_on()
        axes.xaxis.set_visible(False)
        axes.yaxis.set_visible(False)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_linewidth(OUTLINE)
