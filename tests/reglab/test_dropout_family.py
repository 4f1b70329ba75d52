import warnings

import pytest
import torch
from torch import Tensor, nn

from reglab import dropout_family

SHAPES = {
    "Dropout1d": [(3, 9), (4, 3, 9)],
    "Dropout2d": [(0, 3, 5, 6), (4, 3, 5, 6)],
    "Dropout3d": [(3, 2, 5, 6), (4, 3, 2, 5, 6)],
}
CASES = [(name, shape) for name, shapes in SHAPES.items() for shape in shapes]


def passes(layer: nn.Module, x: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor]:
    """Output and gradient of `layer`, with the generator in a known state."""
    leaf = x.clone().requires_grad_()
    torch.manual_seed(11)
    output = layer(leaf)
    output.backward(upstream)
    assert leaf.grad is not None
    return output.detach(), leaf.grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize(("name", "shape"), CASES)
def test_forward_and_backward_equal_torch(
    name: str, shape: tuple[int, ...], p: float, training: bool, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    x, upstream = torch.randn(shape, dtype=dtype) + 1e4, torch.randn(shape, dtype=dtype)
    ours = passes(getattr(dropout_family, name)(p).train(training), x, upstream)
    theirs = passes(getattr(nn, name)(p).train(training), x, upstream)
    assert torch.equal(ours[0], theirs[0])
    assert torch.equal(ours[1], theirs[1])


@pytest.mark.parametrize("name", SHAPES)
def test_evaluation_returns_the_input_itself(name: str) -> None:
    x = torch.ones(SHAPES[name][-1])
    assert getattr(dropout_family, name)(0.5).eval()(x) is x


@pytest.mark.parametrize(("name", "spatial"), [("Dropout1d", 1), ("Dropout2d", 2), ("Dropout3d", 3)])
def test_a_channel_lives_or_dies_as_a_whole_in_each_sample_anew(name: str, spatial: int) -> None:
    torch.manual_seed(0)
    mask = getattr(dropout_family, name)(0.5)(torch.ones(40, 30, *[4] * spatial)).flatten(2)
    assert torch.equal(mask.amin(2), mask.amax(2))
    fates = mask[..., 0]
    assert len(fates.unique(dim=0)) == 40
    assert len(fates.unique(dim=1).T) == 30
    assert (fates == 0).float().mean().item() == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("name", "dims"),
    [
        *[("Dropout1d", dims) for dims in (0, 1, 4, 5)],
        *[("Dropout2d", dims) for dims in (0, 1, 2, 3, 5)],
        *[("Dropout3d", dims) for dims in (1, 2, 3, 6)],
    ],
)
def test_other_numbers_of_axes_are_refused_with_the_right_ones(name: str, dims: int, training: bool) -> None:
    layer = getattr(dropout_family, name)(0.5).train(training)
    with pytest.raises(ValueError, match=rf"{name} takes \(.*C.*\), not the shape \("):
        layer(torch.ones([2] * dims))


def test_three_axes_are_ambiguous_in_torch_2d() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        nn.Dropout2d(0.5)(torch.ones(4, 3, 5))
    assert any("This behavior will change" in str(warning.message) for warning in caught)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_a_probability_out_of_range_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="lies between 0 and 1"):
        dropout_family.Dropout2d(p)


@pytest.mark.parametrize("name", SHAPES)
def test_inplace_overwrites_the_input_in_training_only(name: str) -> None:
    layer = getattr(dropout_family, name)(0.5, inplace=True)
    x = torch.ones(SHAPES[name][-1])
    assert layer(x) is x
    assert (x != 1).all()
    kept = torch.ones_like(x)
    assert torch.equal(layer.eval()(kept), torch.ones_like(x))


def test_print_shows_what_torch_shows() -> None:
    assert repr(dropout_family.Dropout3d(0.3)) == repr(nn.Dropout3d(0.3))
