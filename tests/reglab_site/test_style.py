"""The palette: far from both backgrounds, and far apart for all eyes."""

from __future__ import annotations

import itertools

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.colors import to_rgb
from matplotlib.font_manager import findfont

from reglab_site import style
from reglab_site.figure_rules import LEGIBLE, PHONE, contrast

Array = npt.NDArray[np.float64]

# Machado, Oliveira and Fernandes (2009), severity 1.0, for linear RGB
EYES: dict[str, Array] = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(colour: str, eyes: Array) -> Array:
    """CIELAB of a colour as these eyes see it."""
    rgb = np.asarray(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(eyes @ linear, 0, 1) / [0.9505, 1, 1.089]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("background", style.BACKGROUNDS.values())
@pytest.mark.parametrize("colour", style.PALETTE.values())
def test_every_hue_has_contrast_with_both_backgrounds(colour: str, background: str) -> None:
    assert contrast(colour, background) >= 3.0


@pytest.mark.parametrize("eyes", EYES)
def test_any_two_hues_stay_apart(eyes: str) -> None:
    distances = {
        (one, other): float(np.linalg.norm(lab(one, EYES[eyes]) - lab(other, EYES[eyes])))
        for one, other in itertools.combinations(style.PALETTE.values(), 2)
    }
    assert min(distances.values()) > 20, min(distances, key=distances.__getitem__)


def test_black_on_white_has_the_contrast_of_wcag() -> None:
    assert contrast("black", "white") == pytest.approx(21)
    assert contrast("#777777", "white") == pytest.approx(4.48, abs=0.01)


def test_labels_are_legible_on_a_phone() -> None:
    scale = PHONE / (style.FIGURE_SIZE[0] * style.PIXELS_PER_INCH)
    for size in ("font.size", "xtick.labelsize", "axes.labelsize", "legend.fontsize"):
        assert style.RC[size] / 72 * style.PIXELS_PER_INCH * scale >= LEGIBLE


def test_apply_sets_the_look_whatever_was_set_before() -> None:
    matplotlib.rcParams["lines.linewidth"] = 17
    matplotlib.rcParams["axes.grid.axis"] = "y"
    style.apply()
    assert matplotlib.rcParams["lines.linewidth"] == style.RC["lines.linewidth"]
    assert matplotlib.rcParams["axes.grid.axis"] == "both"
    assert findfont(style.CHINESE).endswith("NotoSansCJK-Regular.ttc")
    figure, axes = plt.subplots()
    curves = [axes.plot([0, 1], [0, k])[0].get_color() for k in range(6)]
    plt.close(figure)
    assert curves == [*style.PALETTE.values(), style.PALETTE["blue"]]
