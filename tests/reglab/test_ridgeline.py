import matplotlib as mpl
import pytest
import torch
from matplotlib.figure import Figure

from reglab.ridgeline import POINTS, density, ridgeline

mpl.use("Agg")


def test_the_density_of_normal_values_is_the_normal_density() -> None:
    torch.manual_seed(0)
    at, height = density(torch.randn(200, 200), span=(-4, 4))
    torch.testing.assert_close(height, torch.exp(-(at**2) / 2), atol=0.04, rtol=0)
    assert height.max() == 1
    assert len(at) == len(height) == POINTS


def test_it_looks_where_the_values_are() -> None:
    at, _ = density(torch.linspace(0.4, 0.6, 100), span=(-1, 1))
    assert 0.2 < at[0] < 0.4
    assert 0.6 < at[-1] < 0.8


def test_it_never_leaves_the_span_and_ignores_what_does() -> None:
    inside = torch.linspace(-1, 1, 100)
    at, height = density(inside, span=(-1, 1))
    assert at[0] == -1
    assert at[-1] == 1
    again, same = density(torch.cat([inside, torch.full((50,), 9.0)]), span=(-1, 1))
    assert torch.equal(at, again)
    assert torch.equal(height, same)


def test_equal_values_make_a_narrow_peak() -> None:
    at, height = density(torch.full((10,), 0.3), span=(0, 1))
    assert at[height.argmax()] == pytest.approx(0.3, abs=0.01)


def test_a_span_without_values_is_refused() -> None:
    with pytest.raises(ValueError, match="between 5 and 6"):
        density(torch.zeros(3), span=(5, 6))


def test_rows_stand_below_each_other_and_share_one_entry_in_the_legend() -> None:
    ax = Figure().subplots()
    ridgeline(ax, [torch.randn(50) for _ in range(3)], span=(-4, 4), color="C0", label="weights", height=0.9)
    tops = [max(line.get_ydata()) for line in ax.lines]
    assert tops == pytest.approx([0.9, -0.1, -1.1])
    assert ax.get_legend_handles_labels()[1] == ["weights"]
    assert ax.get_xlim() == (-4, 4)


def test_filling_adds_an_area_to_each_row() -> None:
    ax = Figure().subplots()
    ridgeline(ax, [torch.randn(50) for _ in range(3)], span=(-4, 4), color="C0", label="weights", filled=True)
    assert len(ax.patches) == 3
