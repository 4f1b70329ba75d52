import math

import pytest
import torch
from torch import Tensor, nn

from reglab.alpha_dropout import AlphaDropout, FeatureAlphaDropout, factors
from reglab.selu import SATURATION

PROBABILITIES = [0.0, 0.05, 0.5, 0.9, 1.0]
LAYERS = [
    (AlphaDropout, nn.AlphaDropout, (7,)),
    (AlphaDropout, nn.AlphaDropout, (1, 5)),
    (AlphaDropout, nn.AlphaDropout, (6, 3, 4, 2)),
    (FeatureAlphaDropout, nn.FeatureAlphaDropout, (4, 6)),
    (FeatureAlphaDropout, nn.FeatureAlphaDropout, (1, 6, 5)),
    (FeatureAlphaDropout, nn.FeatureAlphaDropout, (4, 6, 5, 3, 2)),
]


def passes(layer: nn.Module, x: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor]:
    """Output and gradient of `layer`, with the generator in a known state."""
    leaf = x.clone().requires_grad_()
    torch.manual_seed(5)
    output = layer(leaf)
    output.backward(upstream)
    assert leaf.grad is not None
    return output.detach(), leaf.grad


@pytest.mark.parametrize(("ours", "theirs", "shape"), LAYERS)
@pytest.mark.parametrize("p", PROBABILITIES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_forward_and_backward_equal_torchs(
    ours: type[AlphaDropout],
    theirs: type[nn.Module],
    shape: tuple[int, ...],
    p: float,
    training: bool,
    dtype: torch.dtype,
) -> None:
    torch.manual_seed(0)
    x, upstream = torch.randn(shape, dtype=dtype), torch.randn(shape, dtype=dtype)
    for one, other in zip(
        passes(ours(p).train(training), x, upstream),
        passes(theirs(p).train(training), x, upstream),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_a_transposed_input_gets_the_mask_that_torch_would_draw() -> None:
    x = torch.randn(4, 6).mT
    torch.manual_seed(2)
    ours = AlphaDropout(0.5)(x)
    torch.manual_seed(2)
    torch.testing.assert_close(ours, nn.AlphaDropout(0.5)(x))


@pytest.mark.parametrize("p", [0.05, 0.5, 0.9])
def test_mean_and_variance_of_a_standard_input_are_kept(p: float) -> None:
    torch.manual_seed(0)
    y = AlphaDropout(p)(torch.randn(1_000_000))
    assert y.mean().item() == pytest.approx(0, abs=0.005)
    assert y.var().item() == pytest.approx(1, abs=0.01)


def test_a_dropped_element_comes_out_as_the_formula_says() -> None:
    torch.manual_seed(0)
    scale, shift = factors(0.3)
    y = AlphaDropout(0.3)(torch.full((1000,), 10.0, dtype=torch.float64))
    assert sorted(y.unique().tolist()) == pytest.approx([scale * SATURATION * 0.7, scale * 10 + shift])


def test_channels_are_dropped_whole() -> None:
    torch.manual_seed(0)
    spread = FeatureAlphaDropout(0.5)(torch.randn(8, 16, 5, 5)).std((2, 3))
    assert 30 < (spread < 1e-6).sum() < 98


def test_in_evaluation_mode_the_input_itself_comes_back() -> None:
    x = torch.randn(5, 3)
    for p in PROBABILITIES:
        assert AlphaDropout(p).eval()(x) is x
        assert FeatureAlphaDropout(p).eval()(x) is x


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_p_must_be_a_probability(p: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        AlphaDropout(p)


@pytest.mark.parametrize("p", [-0.1, 1.0])
def test_factors_need_something_kept(p: float) -> None:
    with pytest.raises(ValueError, match="below 1"):
        factors(p)


def test_features_need_two_axes() -> None:
    with pytest.raises(ValueError, match=r"\(N, C, \*\)"):
        FeatureAlphaDropout(0.5)(torch.ones(4))


def test_there_is_no_state_and_the_representation_tells_p() -> None:
    assert not AlphaDropout().state_dict()
    assert repr(FeatureAlphaDropout(0.2)) == "FeatureAlphaDropout(p=0.2)"
