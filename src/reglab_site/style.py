"""How figures look: what the runner sets in matplotlib before a snippet runs.

All that is not data is drawn in `INK`, which becomes `currentColor` in the published SVG and so follows the reader's
light or dark scheme. Data is drawn in the few hues of `PALETTE`, chosen so that each has a contrast of 3:1 with both
backgrounds and any two stay apart for colour-blind eyes. Further curves repeat them dashed or with markers: a snippet
says which, and `figure_rules` refuses two labelled curves that look the same.

A figure is `FIGURE_SIZE` inches large, at `PIXELS_PER_INCH` CSS pixels an inch: it fits a column of text, and on a
phone of 360 pixels its 10 point labels are still 8 pixels high.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import matplotlib.style
from cycler import cycler
from matplotlib import font_manager

INK = "#010203"
"""Stands for the colour of the text around the figure."""

PALETTE = {
    "blue": "#2f63f2",
    "orange": "#d87a14",
    "teal": "#1fa08f",
    "purple": "#b443b6",
    "brown": "#84703c",
}
"""The data colours by name; snippets write C0 to C4."""

BACKGROUNDS = {"light": "#ffffff", "dark": "#1e2129"}
"""The backgrounds that a contrast must hold on: white, and the lightest one that Material's dark scheme has."""

FIGURE_SIZE = (5.6, 3.4)
PIXELS_PER_INCH = 110

LATIN = "DejaVu Sans"
CHINESE = "Noto Sans CJK SC"
"""The fonts that measure labels. Readers see their own: DejaVu is wider than most, so that nothing overlaps there."""


RC: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "reglab",
    "figure.figsize": FIGURE_SIZE,
    "figure.dpi": PIXELS_PER_INCH,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "figure.edgecolor": "none",
    "figure.titlesize": 11,
    "font.family": [LATIN, CHINESE],
    "font.size": 10,
    "text.color": INK,
    "axes.facecolor": "none",
    "axes.edgecolor": INK,
    "axes.linewidth": 0.8,
    "axes.labelcolor": INK,
    "axes.labelsize": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.xmargin": 0.02,
    "axes.prop_cycle": cycler(color=list(PALETTE.values())),
    "axes.formatter.limits": (-4, 5),
    "grid.color": INK,
    "grid.alpha": 0.13,
    "grid.linewidth": 0.7,
    "xtick.color": INK,
    "xtick.labelsize": 10,
    "ytick.color": INK,
    "ytick.labelsize": 10,
    "legend.frameon": False,
    "legend.edgecolor": INK,
    "legend.fontsize": 10,
    "legend.handlelength": 1.8,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "lines.dashed_pattern": (4.0, 1.8),
    "lines.solid_capstyle": "round",
    "patch.edgecolor": INK,
    "patch.linewidth": 0.8,
    "hatch.color": INK,
    "hatch.linewidth": 0.8,
    "boxplot.boxprops.color": INK,
    "boxplot.capprops.color": INK,
    "boxplot.flierprops.color": INK,
    "boxplot.flierprops.markeredgecolor": INK,
    "boxplot.medianprops.color": PALETTE["blue"],
    "boxplot.meanprops.color": PALETTE["orange"],
    "boxplot.whiskerprops.color": INK,
    "errorbar.capsize": 2.5,
    "image.interpolation": "none",
    "image.composite_image": False,
}
"""The parameters that every figure is drawn with."""


def apply() -> None:
    """Set matplotlib up for a snippet, the same on every machine: no matplotlibrc and no installed fonts count."""
    matplotlib.rcdefaults()
    matplotlib.style.use(RC)
    own = Path(matplotlib.get_data_path())
    manager = font_manager.fontManager
    manager.ttflist = [font for font in manager.ttflist if Path(font.fname).is_relative_to(own)]
    manager.addfont(str(files("noto_cjk_sans_otc") / "NotoSansCJK-Regular.ttc"))
